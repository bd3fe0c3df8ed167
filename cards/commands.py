"""`medimeta list` and `medimeta info`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from .catalogue import DATASETS, DatasetCard
from .console import AsJson, out, print_facts, print_table
from .errors import UnknownName


def list_datasets(
    domain: Annotated[str | None, typer.Option(help="Only this imaging domain.")] = None,
    target: Annotated[str | None, typer.Option(help="Only with a task of this kind.")] = None,
    licence: Annotated[
        str | None, typer.Option("--license", "--licence", help='"commercial": what may be used so.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the 19 datasets."""
    tasks = DATASETS.tasks(domain=domain, target=target)  # type: ignore[arg-type]
    if licence not in (None, "commercial"):
        raise UnknownName(f"Unknown licence filter {licence!r}. The only one is: commercial.")
    wanted = {task.dataset for task in tasks} & set(DATASETS.commercial() if licence else DATASETS)
    cards = [card for name, card in DATASETS.items() if name in wanted]
    if as_json:
        out.print_json(json.dumps([_summary(card) for card in cards]))
        return
    rows = [[c.id, c.name, c.domain, str(len(c.tasks)), f"{c.total:,}", c.licence.id] for c in cards]
    print_table(["id", "dataset", "domain", "tasks", "images", "licence"], rows, right=(3, 4))


def info(dataset: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Show all facts of one dataset: tasks, labels, splits, overlaps, licence, where to get it."""
    card = DATASETS[dataset]
    if as_json:
        out.print_json(json.dumps(asdict(card)))
        return
    out.print(f"[bold]{escape(card.name)}[/bold] ({card.id}), {escape(card.domain)}, {card.total:,} images {card.mode}")
    out.print(f"{escape(card.summary)}\n")
    rows = [
        [
            task.name,
            task.column,
            task.target,
            ", ".join(f"{k} {n}" for k, n in zip(task.keys, task.labels, strict=True)),
        ]
        for task in card.tasks
    ]
    print_table(["task", "column", "target", "labels"], rows)
    splits = ", ".join(f"{name} {count:,}" for name, count in card.splits.counts.items())
    print_facts(
        {
            "splits": f"{splits}. {card.splits.note}",
            "images": card.processing,
            "subjects": f"subject_id names the {card.subject}" if card.subject else "the source names none",
            "same domain": ", ".join(card.domain_overlaps) or "none",
            "shared subjects": "; ".join(
                f"{o.dataset} ({'published' if o.published else 'found by this project'}): {o.note}"
                for o in card.subject_overlaps
            )
            or "none known",
            "licence": card.licence.id + ("" if card.licence.commercial else " (no commercial use)"),
            "licence conflict": card.licence.conflict,
            "known issues": list(card.known_issues),
            "corrections": [f"{c.task or 'masks'}: {c.change} ({c.reason})" + _rows(c.rows) for c in card.corrections],
        }
    )
    for source in card.sources:
        print_facts(
            {"source": f"{source.title}, {source.licence_text}", "page": source.url, "archives": list(source.archives)}
        )
    out.print(f"\n{escape(_how_to_build(card))}")


def _summary(card: DatasetCard) -> dict[str, Any]:
    return {
        "id": card.id,
        "name": card.name,
        "domain": card.domain,
        "tasks": [task.name for task in card.tasks],
        "images": card.total,
        "licence": card.licence.id,
        "commercial": card.licence.commercial,
    }


def _how_to_build(card: DatasetCard) -> str:
    return (
        f"Put {', '.join(card.archives)} into one folder and run: medimeta build {card.id} --source FOLDER --out HUBDIR"
    )


def _rows(count: int | None) -> str:
    return "" if count is None else f" [{count:,} rows]"
