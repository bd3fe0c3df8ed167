"""Output of the commands: text, tables, JSON. All of it passes through `visible`, which escapes control characters.

rich is imported on first use, which keeps `--help` and shell completion quick.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import visible

if TYPE_CHECKING:
    from rich.console import Console

LINES = "\n\t"  # control characters that texts of several lines may contain
NARROW = 14  # characters; a column of text with less than this is left out before ids are broken


@cache
def out() -> Console:
    """Return the console on standard output."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def err() -> Console:
    """Return the console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return out().is_terminal


def make_streams_safe() -> None:
    """Let standard output and error escape what their encoding lacks, and show warnings of this package safely."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    logger = logging.getLogger("medimeta")
    if not logger.hasHandlers():
        logger.addHandler(_SafeHandler(logging.WARNING))


class _SafeHandler(logging.Handler):
    """Prints log records on standard error without control characters."""

    def emit(self, record: logging.LogRecord) -> None:
        print_error(self.format(record))


def print_text(text: str) -> None:
    """Print text, which may have several lines, as it is: no markup, no line breaks added."""
    out().file.write(visible(text, LINES) + "\n")  # rich would turn tabs into spaces


def print_error(text: str, label: str = "") -> None:
    """Print a message on standard error; continued lines are indented, so that a name in it cannot fake a line.

    Args:
        text: The message.
        label: Shown before it, e.g. "Error:".
    """
    from rich.markup import escape

    start = f"[bold red]{escape(label)}[/bold red] " if label else ""
    err().print(start + escape(visible(text, LINES).replace("\n", "\n  ")), soft_wrap=True)


def print_styled(text: str, style: str = "") -> None:
    """Print text in a style on a terminal, wrapped to its width; in a pipe, on one line."""
    out().print(visible(text, LINES), markup=False, style=style or None, soft_wrap=not is_terminal())


def print_json(content: Any) -> None:
    """Print JSON, in colour on a terminal, on one line in a pipe."""
    text = json.dumps(content)  # ASCII: control characters and undecodable bytes are escaped
    if is_terminal():
        out().print_json(text, ensure_ascii=True)
    else:
        print_text(text)


def print_hint(text: str) -> None:
    """Print the next step, on a terminal only."""
    if is_terminal():
        print_styled(f"\n{text}", "dim")


def print_facts(facts: Mapping[str, str | Sequence[str] | None]) -> None:
    """Print names and values.

    Args:
        facts: Values by name. Several values are printed below each other; None and empty ones are left out.
    """
    lines = []
    for name, value in facts.items():
        values = [value] if isinstance(value, str) and value else value or []
        lines += [(name if position == 0 else "", visible(line)) for position, line in enumerate(values)]
    if not is_terminal():
        print_text("\n".join(f"{name:<16} {line}" for name, line in lines))
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2), pad_edge=False)
    grid.add_column(min_width=16, no_wrap=True)
    grid.add_column(overflow="fold", max_width=96)
    for name, line in lines:
        grid.add_row(Text(name, "bold"), Text(line))
    out().print(grid)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Collection[int] = (),
    *,
    titles: bool = False,
) -> None:
    """Print a table on a terminal, tab-separated lines in a pipe.

    The first column and numbers are never wrapped. On a narrow terminal, other columns are wrapped at words, and the
    last ones are left out if they would get too narrow.

    Args:
        columns: Titles.
        rows: Cells as text.
        right: Positions of columns of numbers, aligned to the right.
        titles: Whether titles are printed in a pipe, too.
    """
    cells = [[visible(cell) for cell in row] for row in rows]
    if not is_terminal():
        print_text("\n".join("\t".join(row) for row in ([list(columns)] if titles else []) + cells))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    fixed = {0, *right}
    shown = _columns_that_fit(columns, cells, fixed, out().width)
    for position in shown:
        justify: Any = "right" if position in right else "left"
        style = "cyan" if position == 0 and position not in right else None
        table.add_column(columns[position], justify=justify, no_wrap=position in fixed, overflow="fold", style=style)
    for row in cells:
        table.add_row(*(Text(row[position]) for position in shown))
    out().print(table)
    if hidden := [title for position, title in enumerate(columns) if title and position not in shown]:
        print_hint(f"Only in a wider terminal: {', '.join(hidden)}")


def _columns_that_fit(
    columns: Sequence[str], rows: Sequence[Sequence[str]], fixed: Collection[int], width: int
) -> list[int]:
    """Return the positions of the columns to show: wrappable ones are dropped, last first, until the others fit."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    needed = {p: (size if p in fixed else min(size, NARROW)) + 3 for p, size in enumerate(widths)}
    shown = list(range(len(columns)))
    for position in reversed([p for p in shown if p not in fixed]):
        if sum(needed[p] for p in shown) - 3 > width:
            shown.remove(position)
    return shown
