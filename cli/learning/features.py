"""Command `features`: publish features of the cache on the Hub."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ..shared import completion as complete
from ..shared.console import print_text


class Action(StrEnum):
    """What is done with features."""

    push = "push"


def features(
    action: Annotated[Action, typer.Argument(help="push: publish features of the cache.")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="<namespace>/<name>; created if it does not exist.")],
    encoder: Annotated[str | None, typer.Option(help="Only features of this encoder.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Only features of this dataset.", autocompletion=complete.dataset)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be published, without doing it.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    permissions: Annotated[
        str,
        typer.Option(
            "--i-hold-permission-for",
            metavar="ID,...",
            help="Datasets whose owners gave you written permission to redistribute the images.",
        ),
    ] = "",
) -> None:
    """Publish features of images as Parquet on the Hub.

    They were computed by `medimeta.features` or `medimeta bench`; `medimeta cache` lists them. Others use them with
    medimeta.features(..., repo=REPO). Features can identify people: the terms of the images apply to them.
    """
    from ...cards.catalogue import DATASETS
    from ...files.remote.retry import quiet
    from ...learn.encoders.feature_banks import published
    from ...learn.encoders.feature_banks.banks import banks
    from ..shared.progress import byte_bars

    chosen = banks(encoder=encoder, dataset=DATASETS[dataset].id if dataset else None)
    if dry_run:
        for bank in chosen:
            facts = bank.about
            print_text("{dataset} {split}, {encoder}".format(**facts) + f": {bank.shape[0]:,} x {bank.shape[1]:,}")
        return
    quiet()
    with byte_bars() as progress:
        bar = progress.add_task("sending, bytes", total=None)
        new = published.push(
            chosen,
            repo,
            private=private,
            permissions=[name for name in permissions.split(",") if name],
            sent=lambda size: progress.advance(bar, size),
        )
    print_text("\n".join(new) if new else "Everything is on the Hub already.")
    print_text(f"Use them with: medimeta.features(ENCODER, DATASET, repo={repo!r})")
