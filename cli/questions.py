"""Command `questions`: multiple-choice questions for vision-language models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..files.version import VERSION
from .shared import completion as complete
from .shared.console import print_json, print_text
from .shared.options import AsJson


def questions(
    folder: Annotated[Path, typer.Argument(metavar="HUBDIR", help="The folder that `medimeta build` wrote.")],
    datasets: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID...", help="Datasets in it. Default: all.", autocompletion=complete.dataset),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choices and their order; part of the name.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Add multiple-choice questions about the test splits of a Hub folder, for vision-language models."""
    counts = add_questions(folder, datasets, seed)
    if as_json:
        print_json([{"config": name, "questions": count} for name, count in counts.items()])
        return
    for name, count in counts.items():
        print_text(f"{name}: {count:,} questions")
    print_text(f"Load them with: load_dataset({str(folder)!r}, {next(iter(counts))!r}, split='test')")


def add_questions(folder: Path, datasets: list[str] | None, seed: int) -> dict[str, int]:
    """Write the question configs of some datasets, by default all in a Hub folder, and its card.

    Returns:
        Number of questions by the name of the config.
    """
    from ..upload.folder.writing import write_card
    from ..upload.push.refusals import chosen
    from ..upload.questions.configs import write_questions

    counts: dict[str, int] = {}
    for dataset in chosen(folder, datasets or ()):
        counts |= {config.name: count for config, count in write_questions(folder, dataset, seed).items()}
    write_card(folder, VERSION)
    return counts
