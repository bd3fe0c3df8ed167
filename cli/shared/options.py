"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from . import completion as complete


def writes(kind: str) -> Callable[[typer.Context, Path | None], Path | None]:
    """Return a callback for a path that a command writes: a kind of `files.outputs.SIGNS`, or "folder"."""

    def check(context: typer.Context, value: Path | None) -> Path | None:
        from ...files.outputs import check_folder, check_output

        if value is not None and not context.resilient_parsing:
            check_folder(value) if kind == "folder" else check_output(value, kind)
        return value

    return check


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="Dataset id; see `medimeta list`.", autocompletion=complete.dataset)
]
OneTask = Annotated[
    str | None, typer.Argument(metavar="TASK", help="Task; default: the main task.", autocompletion=complete.task)
]
Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...", help='Dataset ids; see `medimeta list`. Or "all".', autocompletion=complete.dataset
    ),
]
# One option with two names: maintainers look for --source, learners for --data-dir.
From = Annotated[
    Path | None,
    typer.Option(
        "--source",
        "--data-dir",
        help="Raw archives, a release, a Hub folder, or a repository (ns/medimeta). Default: found in MEDIMETA_DATA.",
    ),
]
Release = Annotated[
    bool, typer.Option("--release", help="Download the published release if no source is found on this machine.")
]
Split = Annotated[
    str, typer.Option(help='Split, or several such as "train+validation".', autocompletion=complete.split)
]
Labels = Annotated[str, typer.Option(help='"released" or "corrected".', autocompletion=complete.labels)]
Partial = Annotated[bool, typer.Option("--partial", help="Accept an incomplete source and use the available files.")]
SplitsFrom = Annotated[
    str | None, typer.Option(help="Take the split membership from a release: its folder, zip or annotations.csv.")
]
WithMasks = Annotated[bool, typer.Option("--with-masks", help="Add mask and box columns.")]
Size = Annotated[
    int | None,
    typer.Option(
        "--size",
        metavar="PIXELS",
        help="Height and width of the images, 28 to 1024, made from raw archives. Default: 224, or as in a Hub folder.",
    ),
]
NumProc = Annotated[int, typer.Option(min=1, help="Processes; extra workers start after 20 s.")]
Checksums = Annotated[
    str | None,
    typer.Option(help="Compare every file of a raw source with a list that sha256sum, md5sum or the like wrote."),
]
