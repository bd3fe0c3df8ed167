"""Command `show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .shared.console import print_text
from .shared.options import From, Id, Labels, OneTask, Partial, Release, Split, writes


def show(
    dataset: Id,
    task: OneTask = None,
    split: Split = "train",
    columns: Annotated[int, typer.Option(min=1, help="Images per label.")] = 6,
    seed: Annotated[int, typer.Option(help="Seed of the choice of images.")] = 0,
    corruption: Annotated[str | None, typer.Option(help="Corrupt the images; see `medimeta corruptions ID`.")] = None,
    severity: Annotated[int, typer.Option(help="Severity of the corruption, 1 to 5.")] = 3,
    path: Annotated[
        Path | None,
        typer.Option("--out", help="PNG file to write. Default: ID-TASK-SPLIT.png.", callback=writes("PNG")),
    ] = None,
    data_dir: From = None,
    release: Release = False,
    labels: Labels = "released",
    partial: Partial = False,
) -> None:
    """Write images of a task with their labels to a PNG file."""
    from ..cards.catalogue import DATASETS
    from ..learn.figures.show import show as draw
    from ..learn.figures.style import save
    from .shared.sources import check_source

    chosen = DATASETS.find_task(dataset, task)
    card = DATASETS[chosen.dataset]
    check_source(card, data_dir, release=release, command="show")
    options: dict[str, Any] = {"labels": labels, "partial": partial}
    options |= {} if corruption is None else {"corruption": corruption, "severity": severity}
    figure = draw(chosen, split=split, columns=columns, seed=seed, data_dir=data_dir, **options)
    path = path or Path(f"{card.id}-{chosen.column}-{split.replace('+', '-')}.png")
    save(figure, path)
    print_text(f"Wrote {path}.")
