"""Many results as one table: methods down, tasks across, as Markdown, CSV and a plot.

Only results of one protocol on one split are set side by side. Results of several seeds are averaged, with the interval
of their mean in the place of each one's own. Where results of one task were not measured on the same data, a note says
so, since nothing follows from such a comparison.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import MedIMetaError, unknown
from ...files.atomic import whole_file
from .intervals import Measured, mean_interval
from .metrics import SMALLER_IS_BETTER
from .results import Result


@dataclass(frozen=True)
class Comparison:
    """The results of one protocol and split, by one metric.

    Attributes:
        protocol: The protocol.
        split: The split.
        metric: Name of the metric.
        cells: Per method and task, each as it is shown: what was measured and the number of results behind it.
        notes: What a reader has to know.
    """

    protocol: str
    split: str
    metric: str
    cells: dict[tuple[str, str], tuple[Measured, int]]
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
        """The best value of a task, as it is shown."""
        values = [round(found.value, 3) for (_, of), (found, _) in self.cells.items() if of == task and found.value]
        return (min if self.metric in SMALLER_IS_BETTER else max)(values, default=None)

    def mean(self, method: str) -> float | None:
        """The mean over tasks; None unless the method was measured on all of them."""
        values = [self.cells[method, task][0].value for task in self.tasks if (method, task) in self.cells]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if len(known) == len(self.tasks) else None

    def markdown(self) -> str:
        """A heading, the table with the best value of each task in bold, and the notes."""
        lines = [f"### {self.protocol}, {self.split}: {self.metric}", ""]
        several = len(self.tasks) > 1
        heads = ["method", *self.tasks, *(["mean"] if several else [])]
        lines += [f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 1)}"]
        for method in self.methods:
            row = [self.shown(method, task) for task in self.tasks]
            if several:
                row.append("" if (mean := self.mean(method)) is None else f"{mean:.3f}")
            lines.append(f"| {' | '.join([method, *row])} |")
        return "\n".join([*lines, *([""] if self.notes else []), *(f"* {note}" for note in self.notes)]) + "\n"

    def frame(self) -> pd.DataFrame:
        """A row per method and task, for further work."""
        return pd.DataFrame(
            [
                [self.protocol, self.split, method, task, self.metric, found.value, found.low, found.high, runs]
                for (method, task), (found, runs) in self.cells.items()
            ],
            columns=["protocol", "split", "method", "task", "metric", "value", "low", "high", "runs"],
        )

    def shown(self, method: str, task: str) -> str:
        """What the table says of a method on a task; nothing if it was not measured."""
        if (method, task) not in self.cells:
            return ""
        found, _ = self.cells[method, task]
        text = str(found)
        if found.value is not None and round(found.value, 3) == self.best(task) and len(self.methods) > 1:
            return text.replace(f"{found.value:.3f}", f"**{found.value:.3f}**", 1)
        return text


def compare(found: Iterable[tuple[Path, Result]], metric: str = "auroc") -> list[Comparison]:
    """Set results side by side.

    Args:
        found: Results with the files they come from, as `results` gives them.
        metric: What to compare by.

    Returns:
        One comparison per protocol and split, sorted, numbers in a protocol by their size.

    Raises:
        UnknownName: If no result has the metric.
        MedIMetaError: If two results of one method, task and seed cannot both be shown.
    """
    found = list(found)
    if not any(metric in result.metrics for _, result in found):
        raise unknown("metric", metric, sorted({name for _, result in found for name in result.metrics}))
    groups: dict[tuple[str, str], list[tuple[Path, Result]]] = {}
    for path, result in found:
        if metric in result.metrics:
            groups.setdefault((result.protocol, result.split), []).append((path, result))
    return [_comparison(*key, metric, groups[key]) for key in sorted(groups, key=_by_size)]


def _by_size(key: tuple[str, str]) -> list[list[str | int]]:
    return [[int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)] for text in key]


def _comparison(protocol: str, split: str, metric: str, found: list[tuple[Path, Result]]) -> Comparison:
    several_models = {method for method in {r.method for _, r in found} if _count(found, method) > 1}
    runs: dict[tuple[str, str], dict[int | None, tuple[Path, Result]]] = {}
    for path, result in found:
        method = f"{result.method} ({result.model})" if result.method in several_models else result.method
        of_cell = runs.setdefault((method, f"{result.dataset} / {result.task}"), {})
        if result.seed in of_cell:
            raise MedIMetaError(
                f"{of_cell[result.seed][0]} and {path} are both of {method} on {result.dataset} / {result.task}, seed "
                f"{result.seed}. Leave one out, or give them methods with different names."
            )
        of_cell[result.seed] = path, result
    cells: dict[tuple[str, str], tuple[Measured, int]] = {}
    notes: list[str] = []
    data: dict[str, set[tuple[tuple[tuple[str, str], ...], str | None]]] = {}
    for (method, task), of_cell in runs.items():
        measured = [result.metrics[metric] for _, result in of_cell.values()]
        values = [np.nan if one.value is None else one.value for one in measured]
        cells[method, task] = (measured[0] if len(measured) == 1 else mean_interval(values)), len(measured)
        data.setdefault(task, set()).update(
            (tuple(sorted(result.fingerprint.items())), result.episodes) for _, result in of_cell.values()
        )
    for task, different in sorted(data.items()):
        if len(different) > 1:
            notes.append(f"{task}: measured on {len(different)} different sets of rows or episodes; do not compare.")
    if any(number > 1 for _, number in cells.values()):
        notes.append("Several seeds: mean +- 1.96 standard errors over them.")
    intervals = sorted({r.interval.partition(" over ")[0] for _, r in found if r.interval != "none"})
    notes.append(f"Intervals: {'; '.join(intervals) or 'none'}.")
    return Comparison(protocol, split, metric, cells, tuple(notes))


def _count(found: list[tuple[Path, Result]], method: str) -> int:
    return len({result.model for _, result in found if result.method == method})


def overview(comparisons: Iterable[Comparison]) -> str:
    """All protocols in one Markdown table, a column per task; the line above its methods says which protocol it is.

    The mean is left out where a protocol has not all of the tasks, since it would not compare with the others.
    """
    comparisons = list(comparisons)
    tasks = sorted({task for comparison in comparisons for task in comparison.tasks})
    heads = ["method", *tasks, *(["mean"] if len(tasks) > 1 else [])]
    lines = [f"### {comparisons[0].metric}", "", f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 1)}"]
    notes: dict[str, None] = {}
    for comparison in comparisons:
        where = f"{comparison.protocol}, {comparison.split}"
        lines.append(f"| *{where}* |{' |' * (len(heads) - 1)}")
        for method in comparison.methods:
            row = [method, *(comparison.shown(method, task) for task in tasks)]
            if len(tasks) > 1:
                mean = comparison.mean(method) if comparison.tasks == tasks else None
                row.append("" if mean is None else f"{mean:.3f}")
            lines.append(f"| {' | '.join(row)} |")
        notes |= {f"{where}: {note}": None for note in comparison.notes}
    return "\n".join([*lines, "", *(f"* {note}" for note in notes)]) + "\n"


def write_csv(comparisons: Iterable[Comparison], path: Path) -> None:
    """Write the rows of all comparisons into one file, whole or not at all."""
    with whole_file(path) as partial:
        pd.concat([comparison.frame() for comparison in comparisons]).to_csv(partial, index=False)


def write_plot(comparisons: list[Comparison], path: Path) -> None:
    """Draw values and intervals: a panel per protocol and split, a line per task, a colour per method."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    methods = list(dict.fromkeys(method for comparison in comparisons for method in comparison.methods))
    looks = {method: (f"C{number % 10}", "os^vD"[number // 10 % 5]) for number, method in enumerate(methods)}
    heights = [len(found.tasks) * max(0.5, 0.22 * len(found.methods)) + 0.6 for found in comparisons]
    figure = Figure(figsize=(8, 0.6 + sum(heights)), dpi=150, layout="constrained")
    panels = figure.subplots(len(comparisons), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for comparison, axes in zip(comparisons, panels, strict=True):
        places = {task: -position for position, task in enumerate(comparison.tasks)}
        step = 0.7 / len(comparison.methods)
        for number, method in enumerate(comparison.methods):
            shown = [(t, m) for (of, t), (m, _) in comparison.cells.items() if of == method and m.value is not None]
            value = np.array([found.value for _, found in shown], np.float64)
            low, high = (np.array([getattr(found, end) for _, found in shown], np.float64) for end in ("low", "high"))
            y = [places[task] + step * ((len(comparison.methods) - 1) / 2 - number) for task, _ in shown]
            errors = np.nan_to_num(np.stack([value - low, high - value]).clip(0))
            colour, marker = looks[method]
            axes.errorbar(value, y, xerr=errors, fmt=marker, markersize=4, capsize=2, color=colour, label=method)
        axes.set_yticks(list(places.values()), list(places))
        axes.set_ylim(0.5 - len(places), 0.5)
        axes.set_title(f"{comparison.protocol}, {comparison.split}", fontsize="medium")
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel(comparisons[0].metric)
    handles = [axes.get_legend_handles_labels() for axes in panels]
    named = {label: handle for lines, labels in handles for handle, label in zip(lines, labels, strict=True)}
    columns = max(1, min(4, len(named), 95 // (max(map(len, named)) + 8)))  # some 95 letters are as wide as the figure
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns, frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    with whole_file(path) as partial:
        partial.write_bytes(picture.getvalue())
