"""What the commands of all rooms share: options, tables, progress bars."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
From = Annotated[
    Path | None,
    typer.Option("--source", help="Raw archives, a release or a Hub folder; else MEDIMETA_DATA, else a download."),
]
Labels = Annotated[str, typer.Option(help='"released" or "corrected".')]
Partial = Annotated[bool, typer.Option("--partial", help="Take what is there of an incomplete source.")]
SplitsFrom = Annotated[
    str | None, typer.Option(help="Release folder, zip or annotations.csv whose split membership is applied.")
]
WithMasks = Annotated[bool, typer.Option("--with-masks", help="Add mask and box columns.")]
NumProc = Annotated[int, typer.Option(min=1, help="Processes that render images.")]


@contextmanager
def resumable() -> Iterator[None]:
    """Ctrl-C ends a command whose finished work is kept."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("Interrupted. What was finished is kept; run the same command to go on.")
        raise typer.Exit(1) from None


def print_facts(facts: dict[str, str | list[str] | None]) -> None:
    """Names and values, a line each; several values below each other; nothing for None."""
    for name, value in facts.items():
        lines = value if isinstance(value, list) else [value] if value else []
        for position, line in enumerate(lines):
            out.print(
                f"[bold]{name if position == 0 else '':<16}[/bold] {escape(line)}", highlight=False, soft_wrap=True
            )


def print_table(columns: Iterable[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> None:
    """A table on a terminal; tab-separated lines in a pipe."""
    if not out.is_terminal:
        for row in rows:
            out.file.write("\t".join(row) + "\n")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


class _Rate(ProgressColumn):
    """Images, or something else, per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / max(task.elapsed or 0, 0.001):,.0f} {self.unit}/s")


def progress_bar(unit: str = "images") -> Progress:
    """A bar with images, or something else, per second and the time that is left, on standard error."""
    return Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(),
        console=err,
    )
