"""Command `info`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from .shared.console import is_terminal, print_facts, print_hint, print_json, print_styled, print_table, print_text
from .shared.options import AsJson, From, Id

if TYPE_CHECKING:
    from ..cards.facts import DatasetCard, Task

_BAR = 24  # characters of the longest bar
Balance = dict[str, dict[str, int]]  # rows per label and split


def info(dataset: Id, source: From = None, as_json: AsJson = False) -> None:
    """Show everything about a dataset, and where to get it.

    Shows tasks, labels, splits, subjects, overlaps, licence, known label errors, sources and their archives.

    With --source, or with the data under MEDIMETA_DATA, also counts the labels; no image is decoded.
    """
    from ..builders.locate import where_to_get
    from ..cards.card import ARXIV, DOI
    from ..cards.catalogue import DATASETS

    card = DATASETS[dataset]
    counts = _count(card, source)
    if as_json:
        print_json(asdict(card) | ({"balance": counts} if counts else {}))
        return
    print_styled(f"{card.name}  {card.id}", "bold")
    print_styled(f"{card.domain}, {card.total:,} {'grayscale' if card.channels == 1 else 'RGB'} images\n")
    print_styled(card.summary)
    for task in card.tasks:
        _print_task(task, counts.get(task.column, {}))
    if not counts:
        print_hint(f"To count the labels: medimeta info {card.id} --source FOLDER")
    _head("Data")
    print_facts(_facts(card))
    for origin in card.sources:
        _head(f"Source: {origin.name}")
        print_facts(
            {
                "title": origin.title,
                "authors": origin.authors,
                "licence": origin.licence_text,
                "page": [origin.url, *origin.links],
                "archives": origin.archives,
                "cite": [f"https://doi.org/{doi}" for doi in origin.doi],
            }
        )
    _head("Cite")
    print_facts({"MedIMeta": [f"https://doi.org/{DOI}", f"https://arxiv.org/abs/{ARXIV}"], "sources": "as above"})
    _head("Build")
    print_text(where_to_get(card))


def _count(card: DatasetCard, source: Path | None) -> dict[str, Balance]:
    """Return the rows per label and split of each task, if the data are on this machine."""
    from ..builders.locate import find_local, open_source
    from ..builders.source import Options
    from ..builders.table.balance import balance, labels_of

    place = find_local(card.id, source)
    if place is None:
        return {}
    rows = open_source(card.id, place, Options(partial=True)).manifest()
    return {
        task.column: balance([labels_of(value, task) for value in rows[task.column]], rows["split"], task)
        for task in card.tasks
    }


def _print_task(task: Task, counts: Balance) -> None:
    _head(f"{task.name}{' (main task)' if task.is_main else ''}: {task.kind}, column {task.column}")
    keys = dict(zip(task.labels, map(str, task.keys), strict=True))
    if not counts:
        print_table(["key", "label"], [[key, label] for label, key in keys.items()], right=(0,))
        return
    totals = {label: sum(splits.values()) for label, splits in counts.items()}
    most = max(1, *totals.values())
    bar: list[str] = []
    rows = []
    for label, splits in counts.items():
        bar = ["━" * round(_BAR * totals[label] / most)] if is_terminal() else []
        rows.append([keys.get(label, ""), label, *(f"{n:,}" for n in splits.values()), f"{totals[label]:,}", *bar])
    columns = ["key", "label", *next(iter(counts.values())), "all", *("" for _ in bar)]
    print_table(columns, rows, {0, *range(2, len(columns) - len(bar))}, titles=True)


def _other_sizes(card: DatasetCard) -> list[str]:
    if (originals := card.originals) is None:
        return []
    median = "{}x{} pixels".format(*originals.median) if originals.median else "not known"
    useful = f"{originals.useful}; it enlarges at most 5 % of the images" if originals.useful else "not known"
    return [
        f"Median size in the source: {median}.",
        f"Largest useful --size: {useful}.",
        f"Other sizes: {originals.other_sizes}",
    ]


def _head(text: str) -> None:
    print_styled(f"\n{text}", "bold")


def _facts(card: DatasetCard) -> dict[str, str | list[str] | None]:
    splits = ", ".join(f"{name} {count:,}" for name, count in card.splits.counts.items())
    return {
        "splits": [splits, card.splits.note],
        "images": [card.processing, *_other_sizes(card)],
        "subjects": f"subject_id identifies the {card.subject}" if card.subject else "not given by the source",
        "same domain": ", ".join(card.domain_overlaps) or "none",
        "shared subjects": [
            f"{o.dataset} ({'published' if o.published else 'found by this project'}): {o.note}"
            for o in card.subject_overlaps
        ]
        or "none known",
        "licence": card.licence.id
        + ("" if card.licence.commercial else ", no commercial use")
        + ("" if card.licence.redistribution else ", no redistribution of images"),
        "licence conflict": card.licence.conflict,
        "groups for --by": ", ".join(card.groups) or None,
        "known issues": list(card.known_issues),
        "--labels corrected": [
            f"{c.task or 'masks'}: {c.change} ({c.reason})" + ("" if c.rows is None else f" [{c.rows:,} rows]")
            for c in card.corrections
        ],
    }
