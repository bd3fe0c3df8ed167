"""Commands `list` and `cite`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import unknown
from .shared import completion as complete
from .shared.console import print_hint, print_json, print_table, print_text
from .shared.options import AsJson

if TYPE_CHECKING:
    from ..cards.facts import DatasetCard


def list_datasets(
    domain: Annotated[
        str | None, typer.Option(help="Show only this imaging domain.", autocompletion=complete.domain)
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", "--target", help="Show only datasets with a task of this kind.", autocompletion=complete.kind
        ),
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--license",
            "--licence",
            help='"commercial": show only datasets that allow it.',
            autocompletion=complete.use,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the datasets, optionally filtered by domain, kind of task or licence."""
    from ..cards.catalogue import DATASETS

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
    print_table(["id", "dataset", "domain", "tasks (main first)", "images", "licence"], rows, right=(4,))
    count = sum(len(card.tasks) for card in cards)
    print_hint(
        f"{len(cards)} datasets, {count} tasks, {sum(c.total for c in cards):,} images. Details: medimeta info ID"
    )


def _tasks(card: DatasetCard) -> str:
    first = f"{card.tasks[0].name} ({len(card.tasks[0].labels)})"
    return first if len(card.tasks) == 1 else f"{first} +{len(card.tasks) - 1}"


def cite(
    datasets: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID...", help="Dataset ids; default: all.", autocompletion=complete.dataset),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print BibTeX for some datasets, with the attribution that their licences require as comments."""
    from ..cards.citing import cite as find_citation

    citation = find_citation(*(datasets or ()))
    if as_json:
        print_json(asdict(citation))
    else:
        print_text(str(citation))


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
