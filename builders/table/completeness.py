"""Whether a complete source has the published files and labels, by hashes that its card pins."""

from __future__ import annotations

import hashlib
import lzma
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from ...cards import catalogue
from ...cards.facts import DatasetCard, Task
from ...errors import SourceIncomplete
from .manifest import label_ids


def path_hash(rows: pd.DataFrame) -> str:
    """Return the sha256 of the sorted original file paths, one per line.

    Args:
        rows: A manifest with the column `original_filepath`.
    """
    return _sha256(sorted(rows["original_filepath"]))


def label_hash(rows: pd.DataFrame, card: DatasetCard) -> str:
    """Return the sha256 of the source's split and all labels, one line per row in the order of the manifest.

    A line has `original_split` and, separated by tabs, the published key of each task; a multilabel task gives a 0 or 1
    per label, or "unknown".

    Args:
        rows: A canonical manifest: label ids in a column per task, named `Task.column`.
        card: The dataset's card.
    """
    columns = [[_key(value, task) for value in rows[task.column]] for task in card.tasks]
    return _sha256(["\t".join(cells) for cells in zip(rows["original_split"], *columns, strict=True)])


def subject_hash(rows: pd.DataFrame) -> str:
    """Return the sha256 of files and subjects, one line per row in the order of the manifest, separated by a tab.

    Args:
        rows: A manifest with the columns `subject_id` and `listed` (the names in the source's table) or, without it,
            `original_filepath`.
    """
    files = rows["listed" if "listed" in rows else "original_filepath"]
    return _sha256([f"{file}\t{subject}" for file, subject in zip(files, rows["subject_id"], strict=True)])


@lru_cache(maxsize=1)
def published_paths(dataset: str) -> frozenset[str]:
    """Return the original paths of all published images, where the project ships a list; otherwise an empty set."""
    place = Path(catalogue.__file__).parent / "paths" / f"{dataset}.txt.xz"
    if not place.exists():
        return frozenset()
    return frozenset(lzma.decompress(place.read_bytes()).decode("utf-8").splitlines())


def check_pins(rows: pd.DataFrame, card: DatasetCard, remedy: str) -> None:
    """Compare a complete source with the hashes that its card pins.

    Args:
        rows: All rows as its reader gives them, with released labels.
        card: The dataset's card.
        remedy: What the user should do, as a sentence.

    Raises:
        SourceIncomplete: If names of files or labels are not the published ones.
    """
    pins = card.complete
    if pins is None:
        return
    there = f"{card.id}: the source has {len(rows):,} images as published"
    if pins.paths is not None and (paths := path_hash(rows)) != pins.paths:
        raise SourceIncomplete(
            f"{there}, but not under the published names: the sha256 of the sorted paths is {paths[:16]}..., not "
            f"{pins.paths[:16]}.... Were files renamed or exchanged? {remedy}"
        )
    if pins.subjects is not None and (subjects := subject_hash(rows)) != pins.subjects:
        raise SourceIncomplete(
            f"{there}, but not with the published files and {card.subject}s: their sha256 in order is "
            f"{subjects[:16]}..., not {pins.subjects[:16]}.... Was a table edited or sorted? {remedy}"
        )
    ids = rows.assign(**{task.column: label_ids(rows, task) for task in card.tasks})
    if pins.labels is not None and (labels := label_hash(ids, card)) != pins.labels:
        raise SourceIncomplete(
            f"{there}, but not with the published labels: the sha256 of splits and labels in order is "
            f"{labels[:16]}..., not {pins.labels[:16]}.... Was a table edited, or is it another edition? {remedy}"
        )


def _key(value: Any, task: Task) -> str:
    if value is None:
        return "unknown"
    if task.kind == "multilabel":
        return "".join(str(int(label in value)) for label in range(len(task.labels)))
    return str(task.keys[value])


def _sha256(lines: list[str]) -> str:
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")).hexdigest()
