"""`medimeta list` and `medimeta cite`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..cards.catalogue import DATASETS
from ..cards.citing import cite as find_citation
from ..cards.facts import DatasetCard
from ..errors import unknown
from . import completion as complete
from .console import AsJson, out, print_hint, print_json, print_table


def list_datasets(
    domain: Annotated[
        str | None, typer.Option(help="Only this imaging domain.", autocompletion=complete.domain)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", "--target", help="Only with a task of this kind: binary, ...", autocompletion=complete.kind
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--license", "--licence", help='"commercial": what may be used so.', autocompletion=complete.use),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show all datasets, or some of them."""
    tasks = DATASETS.tasks(domain=domain, kind=kind)  # type: ignore[arg-type]
    if licence not in (None, *complete.USES):
        raise unknown("licence filter", licence, complete.USES, hint="All licences: medimeta list")
    wanted = {task.dataset for task in tasks} & set(DATASETS.commercial() if licence else DATASETS)
    cards = [card for name, card in DATASETS.items() if name in wanted]
    if as_json:
        print_json([_summary(card) for card in cards])
        return
    rows = [
        [c.id, c.name, c.domain, _tasks(c), f"{c.total:,}", c.licence.id.removeprefix("LicenseRef-")] for c in cards
    ]
    print_table(["id", "dataset", "domain", "tasks, main first", "images", "licence"], rows, right=(4,), first="cyan")
    count = sum(len(card.tasks) for card in cards)
    print_hint(
        f"{len(cards)} datasets, {count} tasks, {sum(c.total for c in cards):,} images. All about one: medimeta info ID"
    )


def _tasks(card: DatasetCard) -> str:
    first = f"{card.tasks[0].name} ({len(card.tasks[0].labels)})"
    return first if len(card.tasks) == 1 else f"{first} +{len(card.tasks) - 1}"


def cite(
    datasets: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="All by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print what to cite for some datasets: BibTeX, with the attribution that licences ask for as comments."""
    found = find_citation(*(datasets or ()))
    if as_json:
        print_json(asdict(found))
    else:
        out.file.write(f"{found}\n")


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
