"""A table of results, with methods as rows and tasks as columns, as Markdown and CSV."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ....files.atomic import whole_file
from ..measures.intervals import Measured
from ..measures.metrics import SMALLER_IS_BETTER


class Cell(NamedTuple):
    """The result of one method on one task.

    Attributes:
        measured: Value and interval; for several runs, their mean with the interval over runs.
        runs: Number of runs.
        test: Interval over the test set or the episodes; for several runs, the mean of the ends of their intervals.
        classes: Number of classes or labels that were evaluated; None if unknown.
        copies: Number of images with a copy in another split; None if unknown.
        without: Value without these images; for several runs, their mean.
        joint: For several runs, their mean with an interval for other seeds and other test images at once.
    """

    measured: Measured
    runs: int = 1
    test: Measured = Measured(None)
    classes: int | None = None
    copies: int | None = None
    without: Measured = Measured(None)
    joint: Measured = Measured(None)


@dataclass(frozen=True)
class ResultTable:
    """The results of one protocol and split, by one metric.

    Attributes:
        protocol: The protocol.
        split: The split.
        metric: Name of the metric.
        cells: By method and task.
        notes: Notes for the reader, one or two sentences each.
    """

    protocol: str
    split: str
    metric: str
    cells: dict[tuple[str, str], Cell]
    notes: tuple[str, ...] = ()

    @property
    def methods(self) -> list[str]:
        """The methods, in the order in which they were given."""
        return list(dict.fromkeys(method for method, _ in self.cells))

    @property
    def tasks(self) -> list[str]:
        """The tasks, sorted."""
        return sorted({task for _, task in self.cells})

    def best(self, task: str) -> float | None:
        """Return the best value of a task, rounded to 3 digits; None if there is none."""
        values = [
            round(cell.measured.value, 3)
            for (_, of), cell in self.cells.items()
            if of == task and cell.measured.value is not None
        ]
        return (min if self.metric in SMALLER_IS_BETTER else max)(values, default=None)

    def mean(self, method: str) -> float | None:
        """Return the mean over tasks; None unless the method was measured on all of them."""
        values = [self.cells[method, task].measured.value for task in self.tasks if (method, task) in self.cells]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if len(known) == len(self.tasks) else None

    def heading(self, task: str) -> str:
        """Return the heading of a column: the task and its number of classes, where known."""
        counts = sorted({cell.classes for (_, of), cell in self.cells.items() if of == task and cell.classes})
        noun = "class" if counts == [1] else "classes"
        return f"{task}, {' or '.join(map(str, counts))} {noun}" if counts else task

    def grid(self, *, transposed: bool = False) -> list[list[str]]:
        """Return headings and cells, the best value of each task in `**`.

        Args:
            transposed: Whether tasks are rows and methods are columns.
        """
        several = len(self.tasks) > 1
        lines = [["method", *map(self.heading, self.tasks), *(["mean"] if several else [])]]
        for method in self.methods:
            row = [self.shown(method, task) for task in self.tasks]
            if several:
                row.append("" if (mean := self.mean(method)) is None else f"{mean:.3f}")
            lines.append([method, *row])
        if transposed:
            lines = [list(cells) for cells in zip(*lines, strict=True)]
            lines[0][0] = "task"
        return lines

    def markdown(self, *, transposed: bool = False) -> str:
        """Return a heading, the table with the best value of each task in bold, and the notes.

        Args:
            transposed: Whether tasks are rows and methods are columns.
        """
        heads, *rows = self.grid(transposed=transposed)
        lines = [f"### {one_line(self.protocol)}, {self.split}: {self.metric}", "", *markdown_head(heads)]
        lines += map(markdown_row, rows)
        return (
            "\n".join([*lines, *([""] if self.notes else []), *(f"* {one_line(note)}" for note in self.notes)]) + "\n"
        )

    def shown(self, method: str, task: str) -> str:
        """Return the text of a cell; empty if the method was not measured on the task."""
        if (method, task) not in self.cells:
            return ""
        measured, runs, _, _, copies, without, joint = self.cells[method, task]
        text = str(measured)
        if runs > 1:
            both = "" if joint.low is None else f"; joint [{joint.low:.3f}, {joint.high:.3f}]"
            text += f" ({runs} runs{both})"
        if copies:
            text += f"; without copies {'-' if without.value is None else f'{without.value:.3f}'}"
        if measured.value is not None and round(measured.value, 3) == self.best(task) and len(self.methods) > 1:
            return text.replace(f"{measured.value:.3f}", f"**{measured.value:.3f}**", 1)
        return text

    def frame(self) -> pd.DataFrame:
        """Return a row per method and task, for further work."""
        columns = ["protocol", "split", "method", "task", "metric", "value", "low", "high", "runs", "test_low"]
        columns += [
            "test_high",
            "joint_low",
            "joint_high",
            "classes",
            "copies",
            "without_copies",
            "without_copies_low",
            "without_copies_high",
        ]
        rows = []
        for (method, task), (measured, runs, test, classes, copies, without, joint) in self.cells.items():
            numbers = [measured.value, measured.low, measured.high, runs, test.low, test.high, joint.low, joint.high]
            numbers += [classes, copies, without.value, without.low, without.high]
            rows.append([self.protocol, self.split, method, task, self.metric, *numbers])
        return pd.DataFrame(rows, columns=columns)


def overview(tables: Iterable[ResultTable]) -> str:
    """Return all protocols in one Markdown table, a column per task; the methods of each follow a line with its name.

    The mean is left out where a protocol lacks some of the tasks, since it would not compare with the others.
    """
    tables = list(tables)
    tasks = sorted({task for table in tables for task in table.tasks})
    heads = ["method", *tasks, *(["mean"] if len(tasks) > 1 else [])]
    lines = [f"### {tables[0].metric}", "", *markdown_head(heads)]
    notes: dict[str, None] = {}
    for table in tables:
        where = f"{table.protocol}, {table.split}"
        lines.append(markdown_row([f"*{where}*", *[""] * (len(heads) - 1)]))
        for method in table.methods:
            row = [method, *(table.shown(method, task) for task in tasks)]
            if len(tasks) > 1:
                mean = table.mean(method) if table.tasks == tasks else None
                row.append("" if mean is None else f"{mean:.3f}")
            lines.append(markdown_row(row))
        notes |= {f"{where}: {note}": None for note in table.notes}
    return "\n".join([*lines, "", *(f"* {one_line(note)}" for note in notes)]) + "\n"


def write_csv(tables: Iterable[ResultTable], path: Path) -> None:
    """Write the rows of all tables into one file, atomically."""
    write_frames([table.frame() for table in tables], path)


def write_frames(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Write frames into one CSV file, atomically.

    Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    frame = pd.concat(frames)
    for column, cells in frame.items():
        frame[column] = [
            f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
            for cell in cells
        ]
    with whole_file(path) as partial:
        frame.to_csv(partial, index=False)


def markdown_head(cells: Iterable[str]) -> list[str]:
    """Return the first two lines of a Markdown table: text on the left, numbers on the right."""
    cells = list(cells)
    return [markdown_row(cells), f"|---|{'--:|' * (len(cells) - 1)}"]


def markdown_row(cells: Iterable[str]) -> str:
    """Return a line of a Markdown table; bars and line breaks in cells are escaped."""
    return f"| {' | '.join(one_line(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def one_line(text: str) -> str:
    """Return text without line breaks."""
    return " ".join(text.split())
