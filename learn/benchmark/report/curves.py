"""Curves over shots and over parts of the training split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...evaluation.comparing.pictures import look
from .content import Content

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {  # what is on the axis, and how a protocol says it
    "Support images per class": re.compile(r"few-shot, (\d+) shots"),
    "Training images, %": re.compile(r"linear probe, ([\d.]+) % of train"),
}
PANELS = 8  # tasks with a panel each; of more, only the mean is drawn


class Point(NamedTuple):
    """A point of a curve: place on the axis, value and interval."""

    x: float
    value: float
    low: float | None
    high: float | None


Curves = dict[str, dict[str, list[Point]]]  # by task and method


def curves(content: Content, kind: str) -> Curves:
    """Return the curves of a kind, with the mean over datasets first where there are several tasks."""
    drawn: Curves = {}
    for part in content.parts:
        found = KINDS[kind].fullmatch(part.table.protocol)
        if found is None:
            continue
        x = float(found[1])
        if len(part.table.tasks) > 1:
            for row in part.rows:
                if (mean := row.averages["mean"]) is not None:
                    points = drawn.setdefault("Mean over datasets", {}).setdefault(row.method, [])
                    points.append(Point(x, mean, None, None))
        for (method, task), cell in part.table.cells.items():
            if cell.measured.value is not None:
                point = Point(x, cell.measured.value, cell.measured.low, cell.measured.high)
                drawn.setdefault(task, {}).setdefault(method, []).append(point)
    drawn = {task: lines for task, lines in drawn.items() if any(len(points) > 1 for points in lines.values())}
    if len(drawn) > PANELS + 1:
        drawn = {task: lines for task, lines in drawn.items() if task == "Mean over datasets"}
    return drawn


def draw(drawn: Curves, kind: str, metric: str, methods: Sequence[str]) -> Figure:
    """Draw curves: a panel per task, a line with its own colour and marker per method, and bars for intervals.

    Args:
        drawn: What `curves` returns.
        kind: What is on the axis.
        metric: Name of the metric.
        methods: All methods of the report, which decide the looks.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    columns = min(len(drawn), 2)
    rows = -(-len(drawn) // columns)
    shown = [method for method in methods if any(method in lines for lines in drawn.values())]
    legend = -(-len(shown) // 2)
    figure = Figure(figsize=(4.6 * columns + 0.4, 3.1 * rows + 0.24 * legend + 0.2), dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    ticks = sorted({point.x for lines in drawn.values() for points in lines.values() for point in points})
    handles = {}
    for panel, (task, lines) in zip(axes, drawn.items(), strict=False):
        for method in shown:
            points = sorted(lines.get(method, []))
            if not points:
                continue
            number = methods.index(method)
            colour, marker = look(number)
            aside = 1 + 0.05 * ((shown.index(method) + 0.5) / len(shown) - 0.5)  # bars do not cover each other
            x, y = [point.x * aside for point in points], [point.value for point in points]
            below = [0 if point.low is None else point.value - point.low for point in points]
            above = [0 if point.high is None else point.high - point.value for point in points]
            drawn_as = {"color": colour, "marker": marker, "linestyle": ("-", "--", ":", "-.")[number // 7 % 4]}
            drawn_as |= {"markersize": 4, "linewidth": 1.3, "elinewidth": 0.8}
            handles[method] = panel.errorbar(x, y, (below, above), **drawn_as)
        panel.set_title(task, fontsize="medium")
        panel.set_xscale("log")
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize="small")
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlabel(kind, fontsize="small")
    for panel in axes[len(drawn) :]:
        panel.set_visible(False)
    every = [point for lines in drawn.values() for points in lines.values() for point in points]
    low = min(point.value if point.low is None else point.low for point in every)
    if metric == "auroc":
        axes[0].set_ylim(min(0.48, low - 0.01), 1.0)
        for panel in axes[: len(drawn)]:
            panel.axhline(0.5, color="#808080", linestyle=":", linewidth=1)
    for panel in axes[::columns]:
        panel.set_ylabel(f"{metric}, 95 % interval", fontsize="small")
    named = {"ncols": 2, "frameon": False, "fontsize": "small"}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", **named)
    return figure
