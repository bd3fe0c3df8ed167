"""Progress bars on standard error."""

from __future__ import annotations

from collections.abc import Callable

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from . import console


class Rate(ProgressColumn):
    """Items per second.

    Args:
        unit: What is counted, e.g. "images".
    """

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Return the rate of a task, with decimals below ten."""
        rate = task.completed / max(task.elapsed or 0, 0.001)
        return Text(f"{rate:,.0f} {self.unit}/s" if rate >= 10 else f"{rate:.2g} {self.unit}/s")


def progress_bar(unit: str = "images") -> Progress:
    """Return progress bars with the items per second and the remaining time.

    Args:
        unit: What is counted.
    """
    description = TextColumn("{task.description:<16}", markup=False)
    columns = (description, BarColumn(), MofNCompleteColumn(), Rate(unit), TimeRemainingColumn())
    return Progress(*columns, console=console.err())


def byte_bars() -> Progress:
    """Return progress bars for bytes and rows, shown on a terminal only."""
    columns = (TextColumn("{task.description} {task.completed:>15,.0f}"), BarColumn(), TaskProgressColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console.err(), disable=not console.err().is_terminal)


def follow(progress: Progress, name: str) -> dict[str, Callable[[int], None]]:
    """Add a bar for long work.

    Args:
        progress: Where to add it.
        name: What it shows.

    Returns:
        Two callbacks: `expect` takes the number of items to come, at once or in parts; `advance` the number done.
    """
    bar, total = progress.add_task(name, total=None), 0

    def expect(count: int) -> None:
        nonlocal total
        total += count
        progress.update(bar, total=total)

    return {"expect": expect, "advance": lambda count: progress.advance(bar, count)}
