"""Contents of the preview page: facts and counts of all rows of a Hub folder, and images of a sample."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...builders.rows import splits_of
from ...builders.table.balance import balance
from ...cards.card import MEMBERSHIP
from ...cards.facts import Task
from ..folder.record import BuildRecord, read_records
from ..push.refusals import chosen
from .rows import read, row_entries

IMAGES = 900  # of all datasets together, so that a page of 19 datasets opens quickly
MOST = 120  # of one dataset
BYTES = 7_500_000  # of all images together, before they become text, which takes a third more


def contents(
    folder: Path,
    *,
    only: Collection[str] = (),
    seed: int = 0,
    size: int | None = None,
    public: bool = False,
    finished: Callable[[str], None] = lambda dataset: None,
) -> list[dict[str, Any]]:
    """Return facts, label counts and sample images of the datasets in a Hub folder, in JSON types.

    The result depends only on the folder and the seed.

    Args:
        folder: A Hub folder.
        only: Ids of the datasets to show; empty for all in the folder.
        seed: Seed of the sample.
        size: Images per dataset; by default as many as open quickly, at most 120 of a dataset.
        public: Leave out images that must not be redistributed.
        finished: Called with each dataset's id.

    Raises:
        NotAHubFolder, PushRefused, SourceBroken, UnknownName: If the folder is not a valid Hub folder.
    """
    names = chosen(folder, only)
    records = [record for record in read_records(folder) if record.dataset in names]
    found = []
    for record in records:
        most = min(MOST, IMAGES // len(records)) if size is None else size
        limit = BYTES // len(records) if size is None else None
        if public and not record.card.licence.redistribution:
            most = 0
        found.append(_dataset(folder, record, most, limit, seed))
        finished(record.dataset)
    return found


def _dataset(folder: Path, record: BuildRecord, most: int, limit: int | None, seed: int) -> dict[str, Any]:
    card = record.card
    source, rows, names = read(folder, record, card)
    splits = splits_of(rows)
    picked = sample(rows["split"].to_list(), list(names.values()), most, seed)
    return {
        "id": card.id,
        "name": card.name,
        "domain": card.domain,
        "summary": card.summary,
        "mode": card.mode,
        "subject": card.subject,
        "subjects": int(rows["subject_id"].nunique()),
        "images": len(rows),
        "published": card.total,
        "splits": {split: int((rows["split"] == split).sum()) for split in splits},
        "membership": MEMBERSHIP[record.membership].replace("**", ""),
        "corrected": record.labels == "corrected",
        "licence": {
            "id": card.licence.id,
            "commercial": card.licence.commercial,
            "redistribution": card.licence.redistribution,
            "conflict": card.licence.conflict,
            "url": _licence_url(card.licence.id),
        },
        "sources": [
            {"name": one.title or one.name, "url": one.url, "licence": one.licence_text} for one in card.sources
        ],
        "issues": list(card.known_issues),
        "tasks": [_task(task, names[task.column], rows["split"]) for task in card.tasks],
        "rows": row_entries(source, rows.iloc[picked], names, limit),
    }


def _licence_url(licence: str) -> str | None:
    """Return the page of a Creative Commons licence; None for others, whose text is in LICENSE.md."""
    match = re.fullmatch(r"CC-(BY[A-Z-]*)-(\d\.\d)", licence)
    return f"https://creativecommons.org/licenses/{match[1].lower()}/{match[2]}/" if match else None


def _task(task: Task, names: Sequence[Sequence[str]], of_split: pd.Series) -> dict[str, Any]:
    counts = balance(names, of_split, task)
    return {
        "name": task.name,
        "column": task.column,
        "target": task.kind,
        "labels": len(task.labels),
        "balance": [{"label": name, "counts": list(found.values())} for name, found in counts.items()],
    }


def sample(splits: Sequence[str], tasks: Sequence[Sequence[Sequence[str]]], most: int, seed: int) -> list[int]:
    """Sample rows so that every label of every task appears in every split, as evenly as possible.

    Labels take turns, those of the main task first. A label whose turn it is gets the next of its rows in random
    order, unless rows that were chosen for others gave it its share already.

    Args:
        splits: The split of each row.
        tasks: For each task the labels of each row.
        most: Largest number of rows.
        seed: Seed of the random order.

    Returns:
        Positions of rows, in the order in which they were chosen.
    """
    cells: dict[tuple[int, str, str], list[int]] = {}
    for row in np.random.RandomState(seed).permutation(len(splits)).tolist():  # the same in every version of NumPy
        for cell in _cells(row, splits, tasks):
            cells.setdefault(cell, []).append(row)
    waiting = {cell: iter(rows) for cell, rows in sorted(cells.items())}
    shares = dict.fromkeys(cells, 0)
    picked: dict[int, None] = {}  # a set that keeps its order
    for share in range(1, most + 1):
        for cell, rows in waiting.items():
            if shares[cell] < share and (row := next((row for row in rows if row not in picked), None)) is not None:
                picked[row] = None
                for other in _cells(row, splits, tasks):
                    shares[other] += 1
        if len(picked) >= most:
            break
    return list(picked)[:most]


def _cells(row: int, splits: Sequence[str], tasks: Sequence[Sequence[Sequence[str]]]) -> Iterator[tuple[int, str, str]]:
    """Yield the number of a task, the split and the label, for each label of a row."""
    for number, labels in enumerate(tasks):
        for label in labels[row]:
            yield number, splits[row], label
