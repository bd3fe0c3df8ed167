"""`medimeta info`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.markup import escape

from ..builders.balance import balance, labels_of
from ..builders.locate import find_local, open_source, where_to_get
from ..builders.source import Options
from ..cards.card import ARXIV, DOI
from ..cards.catalogue import DATASETS
from ..cards.facts import DatasetCard, Task
from .console import AsJson, From, Id, out, print_facts, print_hint, print_json, print_table

_BAR = 24  # characters of the longest bar
Balance = dict[str, dict[str, int]]  # rows per label and split


def info(dataset: Id, source: From = None, as_json: AsJson = False) -> None:
    """Show all about one dataset, and where to get it.

    Tasks, labels, splits, subjects, overlaps, licence, known label errors, sources and their archives.

    With --source, or with the data under MEDIMETA_DATA, also how often each label occurs; no image is decoded.
    """
    card = DATASETS[dataset]
    counts = _count(card, source)
    if as_json:
        print_json(asdict(card) | ({"balance": counts} if counts else {}))
        return
    out.print(f"[bold]{escape(card.name)}[/bold]  [cyan]{card.id}[/cyan]", highlight=False)
    out.print(f"{escape(card.domain)}, {card.total:,} images {card.mode}\n", highlight=False)
    out.print(escape(card.summary), highlight=False, soft_wrap=not out.is_terminal)
    for task in card.tasks:
        _print_task(task, counts.get(task.column, {}))
    if not counts:
        print_hint(f"How often each label occurs: medimeta info {card.id} --source FOLDER")
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
    out.print(escape(where_to_get(card)), highlight=False, soft_wrap=True)


def _count(card: DatasetCard, source: Any) -> dict[str, Balance]:
    """Rows per label and split of each task, where the data are at hand."""
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
    totals = {label: sum(found.values()) for label, found in counts.items()}
    most = max(1, *totals.values())
    bar: list[str] = []
    rows = []
    for label, found in counts.items():
        bar = ["━" * round(_BAR * totals[label] / most)] if out.is_terminal else []
        rows.append([keys.get(label, ""), label, *(f"{n:,}" for n in found.values()), f"{totals[label]:,}", *bar])
    columns = ["key", "label", *next(iter(counts.values())), "all", *("" for _ in bar)]
    print_table(columns, rows, {0, *range(2, len(columns) - len(bar))}, titles=True)


def _head(text: str) -> None:
    out.print(f"\n[bold]{escape(text)}[/bold]", highlight=False, soft_wrap=not out.is_terminal)


def _facts(card: DatasetCard) -> dict[str, str | list[str] | None]:
    splits = ", ".join(f"{name} {count:,}" for name, count in card.splits.counts.items())
    return {
        "splits": [splits, card.splits.note],
        "images": card.processing,
        "subjects": f"subject_id names the {card.subject}" if card.subject else "the source names none",
        "same domain": ", ".join(card.domain_overlaps) or "none",
        "shared subjects": [
            f"{o.dataset} ({'published' if o.published else 'found by this project'}): {o.note}"
            for o in card.subject_overlaps
        ]
        or "none known",
        "licence": card.licence.id
        + ("" if card.licence.commercial else ", no commercial use")
        + ("" if card.licence.redistribution else ", images may not be passed on"),
        "licence conflict": card.licence.conflict,
        "known issues": list(card.known_issues),
        "--labels corrected": [
            f"{c.task or 'masks'}: {c.change} ({c.reason})" + ("" if c.rows is None else f" [{c.rows:,} rows]")
            for c in card.corrections
        ],
    }
