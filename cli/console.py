"""What the commands of all rooms share: options, tables, progress bars."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from . import completion as complete

out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="Dataset id; see `medimeta list`.", autocompletion=complete.dataset)
]
OneTask = Annotated[
    str | None, typer.Argument(metavar="TASK", help="The main task by default.", autocompletion=complete.task)
]
Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help="Dataset ids; see `medimeta list`.", autocompletion=complete.dataset),
]
# One place for data, with one name for the maintainer's commands and the learner's: each takes both.
From = Annotated[
    Path | None,
    typer.Option(
        "--source", "--data-dir", help="Archives, a release or a Hub folder; by default under the folder MEDIMETA_DATA."
    ),
]
Split = Annotated[str, typer.Option(help='The split, or several: "train+validation".', autocompletion=complete.split)]
Labels = Annotated[str, typer.Option(help='"released" or "corrected".', autocompletion=complete.labels)]
Partial = Annotated[bool, typer.Option("--partial", help="Take what is there of an incomplete source.")]
SplitsFrom = Annotated[
    str | None, typer.Option(help="Release folder, zip or annotations.csv whose split membership is applied.")
]
WithMasks = Annotated[bool, typer.Option("--with-masks", help="Add mask and box columns.")]
NumProc = Annotated[int, typer.Option(min=1, help="Processes that render images; others start when the work lasts.")]


def print_json(content: Any) -> None:
    """JSON, coloured on a terminal, in one line in a pipe."""
    if out.is_terminal:
        out.print_json(json.dumps(content))
    else:
        out.file.write(json.dumps(content) + "\n")


def print_hint(text: str) -> None:
    """What to do next, for people: not in a pipe."""
    if out.is_terminal:
        out.print(f"\n{escape(text)}", style="dim", highlight=False)


def print_facts(facts: Mapping[str, str | Sequence[str] | None]) -> None:
    """Names and values; several values below each other; nothing for None and for no values.

    On a terminal values are broken to its width beside their names; in a pipe each stays in one line.
    """
    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(min_width=16, no_wrap=True)
    grid.add_column(overflow="fold", max_width=96)
    for name, value in facts.items():
        lines = [value] if isinstance(value, str) and value else value or []
        for position, line in enumerate(lines):
            shown = name if position == 0 else ""
            grid.add_row(f"[bold]{shown}[/bold]", escape(line))
            if not out.is_terminal:
                out.file.write(f"{shown:<16} {line}\n")
    if out.is_terminal:
        out.print(grid, highlight=False)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Collection[int] = (),
    *,
    first: str = "",
    titles: bool = False,
) -> None:
    """A table on a terminal; tab-separated lines in a pipe.

    Args:
        columns: Their titles.
        rows: Texts.
        right: Columns of numbers.
        first: Style of the first column.
        titles: Whether a pipe gets the titles, too.
    """
    if not out.is_terminal:
        for row in [columns, *rows] if titles else rows:
            out.file.write("\t".join(row) + "\n")
        return
    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    for position, column in enumerate(columns):
        style = first if position == 0 else ""
        table.add_column(column, justify="right" if position in right else "left", overflow="fold", style=style)
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table, highlight=False)


class _Rate(ProgressColumn):
    """Images, or something else, per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        rate = task.completed / max(task.elapsed or 0, 0.001)
        return Text(f"{rate:,.0f} {self.unit}/s" if rate >= 10 else f"{rate:.2g} {self.unit}/s")


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


def follow(progress: Progress, name: str) -> dict[str, Callable[[int], None]]:
    """Add a bar that long work moves.

    Returns:
        `expect`, to be called with how much is to come, once or in parts, and `advance`, with what was done.
    """
    bar, total = progress.add_task(name, total=None), 0

    def expect(count: int) -> None:
        nonlocal total
        total += count
        progress.update(bar, total=total)

    return {"expect": expect, "advance": lambda count: progress.advance(bar, count)}
