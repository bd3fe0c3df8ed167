"""Curves over shots and over parts of the training split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...figures.style import look, mark_auroc, metric_name, styled
from .content import Content

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {  # label of the axis, and the pattern of the names of protocols
    "Support images per class": re.compile(r"few-shot, (\d+) shots(?:: (.+))?"),
    "Training images, %": re.compile(r"linear probe, ([\d.]+) % of train()"),
}
PANELS = 8  # of more, only the means over datasets are drawn
MEAN = "mean over datasets"
DASHES = ("-", "--", ":", "-.")


class Point(NamedTuple):
    """A point of a curve: place on the axis, value and interval."""

    x: float
    value: float
    low: float | None
    high: float | None


Curves = dict[str, dict[str, list[Point]]]  # by panel and encoder


def curves(content: Content, kind: str) -> Curves:
    """Return the curves of a kind: a panel per task and solver, with the means over datasets first."""
    drawn: Curves = {}

    def add(task: str, match: re.Match[str], encoder: str, value: float, low: float | None, high: float | None) -> None:
        panel = f"{task}: {match[2]}" if match[2] else task
        drawn.setdefault(panel, {}).setdefault(encoder, []).append(Point(float(match[1]), value, low, high))

    matching = [(part, match) for part in content.parts if (match := KINDS[kind].fullmatch(part.table.protocol))]
    for part, match in matching:
        for row in part.rows if len(part.table.tasks) > 1 else ():
            if (mean := row.averages["mean"]) is not None:
                add(MEAN, match, row.method, mean, None, None)
    for part, match in matching:
        for (method, task), cell in part.table.cells.items():
            if cell.measured.value is not None:
                add(task, match, method, cell.measured.value, cell.measured.low, cell.measured.high)
    drawn = {panel: lines for panel, lines in drawn.items() if any(len(points) > 1 for points in lines.values())}
    return drawn if len(drawn) <= PANELS else {panel: drawn[panel] for panel in drawn if panel.startswith(MEAN)}


@styled
def draw(drawn: Curves, kind: str, metric: str, encoders: Sequence[str]) -> Figure:
    """Return a figure of curves: a panel per task and solver; colour, marker and dashes identify the encoder.

    Args:
        drawn: Curves from `curves`.
        kind: Label of the axis, a key of `KINDS`.
        metric: Name of the metric.
        encoders: All encoders of the report, whose order decides colours, markers and dashes.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    columns = min(len(drawn), 2)
    rows = -(-len(drawn) // columns)
    shown = [encoder for encoder in encoders if any(encoder in lines for lines in drawn.values())]
    figure = Figure(figsize=(4.6 * columns + 0.4, 3.0 * rows + 0.22 * -(-len(shown) // 2) + 0.2))
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    ticks = sorted({point.x for lines in drawn.values() for points in lines.values() for point in points})
    handles = {}
    for panel, (title, lines) in zip(axes, drawn.items(), strict=False):
        for place, encoder in enumerate(shown):
            points = sorted(lines.get(encoder, []))
            if not points:
                continue
            number = encoders.index(encoder)
            colour, marker = look(number)
            aside = 1 + 0.06 * ((place + 0.5) / len(shown) - 0.5)  # so that bars do not cover each other
            below = [0 if point.low is None else point.value - point.low for point in points]
            above = [0 if point.high is None else point.high - point.value for point in points]
            handles[encoder] = panel.errorbar(
                [point.x * aside for point in points],
                [point.value for point in points],
                (below, above),
                color=colour,
                marker=marker,
                linestyle=DASHES[number // 7 % len(DASHES)],
                elinewidth=0.8,
            )
        panel.set_title(title)
        panel.set_xscale("log")
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
        panel.set_xlabel(kind)
    for panel in axes[len(drawn) :]:
        panel.set_visible(False)
    if metric == "auroc":
        for panel in axes[: len(drawn)]:
            mark_auroc(panel, "y")
    for panel in axes[::columns]:
        panel.set_ylabel(f"{metric_name(metric)}, 95 % interval")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=2)
    return figure
