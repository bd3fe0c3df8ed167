"""Plots of results: values with intervals, critical-difference diagrams and confusion matrices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ....errors import MedIMetaError
from ...figures.style import look, mark_auroc, metric_name, save, styled
from ..results import Result
from .result_table import ResultTable
from .statistics import Standing, cliques


@styled
def write_plot(tables: Sequence[ResultTable], path: Path) -> None:
    """Draw values and intervals as PNG: a panel per protocol and split, a line per task, a colour per method."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    methods = list(dict.fromkeys(method for table in tables for method in table.methods))
    looks = {method: look(number) for number, method in enumerate(methods)}
    heights = [len(table.tasks) * max(0.5, 0.22 * len(table.methods)) + 0.6 for table in tables]
    figure = Figure(figsize=(8, 0.6 + sum(heights)))
    panels = figure.subplots(len(tables), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for table, axes in zip(tables, panels, strict=True):
        places = {task: -position for position, task in enumerate(table.tasks)}
        step = 0.7 / len(table.methods)
        for number, method in enumerate(table.methods):
            shown = [
                (task, cell.measured)
                for (of, task), cell in table.cells.items()
                if of == method and cell.measured.value is not None
            ]
            value, low, high = (
                np.array([getattr(measured, name) for _, measured in shown], np.float64)
                for name in ("value", "low", "high")
            )
            y = [places[task] + step * ((len(table.methods) - 1) / 2 - number) for task, _ in shown]
            errors = np.nan_to_num(np.stack([value - low, high - value]).clip(0))
            colour, marker = looks[method]
            axes.errorbar(value, y, xerr=errors, fmt=marker, color=colour, label=method)
        axes.set_yticks(list(places.values()), [table.heading(task) for task in places])
        axes.set_ylim(0.5 - len(places), 0.5)
        axes.set_title(f"{table.protocol}, {table.split}")
        axes.grid(visible=False, axis="y")
    metric = tables[0].metric
    if metric == "auroc":
        for axes in panels:
            mark_auroc(axes, "x")
    elif metric != "mae":  # which alone may exceed 1
        left, right = panels[-1].get_xlim()
        panels[-1].set_xlim(left, min(right, 1 + 0.02 * (1 - min(left, 0.99))))  # with room for a marker at 1
    panels[-1].set_xlabel(f"{metric_name(metric)}, with 95 % interval")
    handles = [axes.get_legend_handles_labels() for axes in panels]
    named = {label: handle for lines, labels in handles for handle, label in zip(lines, labels, strict=True)}
    columns = max(1, min(4, len(named), 95 // (max(map(len, named)) + 8)))  # some 95 letters are as wide as the figure
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns)
    save(figure, path)


@styled
def write_ranks(standing: Standing, path: Path) -> None:
    """Draw a critical-difference diagram as PNG: mean ranks on a line, bars over methods of which no two differ.

    The better half of the methods is labelled on the left, the other on the right. Bars come from pairwise tests, not
    from one critical difference, so they may have different lengths.
    """
    from matplotlib.figure import Figure

    methods = list(standing.ranks)
    ranks = np.array([float(standing.ranks[method].value or 0) for method in methods])
    bars = cliques(standing.ranks, standing.pairs)
    left = (len(methods) + 1) // 2
    height = 0.3 * (left + len(bars)) + 1.1
    figure = Figure(figsize=(8, height))
    axes = figure.subplots()
    last = len(methods)
    width = (last - 1) * 0.6
    axes.plot([1, last], [0, 0], color="black", linewidth=1, marker="")
    for rank in range(1, last + 1):
        axes.plot([rank, rank], [0, 0.25], color="black", linewidth=1, marker="")
        axes.text(rank, 0.35, str(rank), ha="center", va="bottom", fontsize="small")
    for number, bar in enumerate(bars):
        y = -0.45 * (number + 1)
        ends = ranks[methods.index(bar[0])] - 0.03, ranks[methods.index(bar[-1])] + 0.03
        axes.plot(ends, [y, y], color="black", linewidth=3, solid_capstyle="butt", marker="")
    below = -0.45 * (len(bars) + 1)
    for number, (method, rank) in enumerate(zip(methods, ranks, strict=True)):
        on_left = number < left
        y = below - 0.7 * (number if on_left else last - 1 - number)
        end = 1 - width * 0.1 if on_left else last + width * 0.1
        axes.plot([rank, rank, end], [0, y, y], color=look(number)[0], linewidth=1, marker="")
        text = f"{method}  {rank:.2f}" if on_left else f"{rank:.2f}  {method}"
        axes.text(end, y, f" {text} ", ha="right" if on_left else "left", va="center", fontsize="small")
    axes.set_title(f"Mean rank by {metric_name(standing.metric)} over {len(standing.units)} datasets")
    axes.set_xlim(1 - width, last + width)
    axes.set_ylim(below - 0.7 * left, 1.2)
    axes.axis("off")
    save(figure, path)


@styled
def write_confusion(result: Result, path: Path) -> None:
    """Draw the confusion matrix of a single-label task as PNG: rows are true classes, cells are numbers of images.

    Raises:
        MedIMetaError: If the result has none: it is of a multilabel task, of episodes, or of an earlier version.
    """
    from matplotlib.figure import Figure

    if result.confusion is None:
        raise MedIMetaError(
            f"The result of {result.method} on {result.dataset} / {result.task} has no confusion matrix: it is of a "
            "multilabel task, of episodes, or of an earlier version. Evaluate the predictions again."
        )
    counts, labels = np.array(result.confusion), list(result.classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.2 + 0.42 * len(labels)
    figure = Figure(figsize=(side + 1.6, side))
    axes = figure.subplots()
    axes.grid(visible=False)
    image = axes.imshow(shares, vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=ink, fontsize="small")
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", rotation_mode="anchor", fontsize="small")
    axes.set_yticks(range(len(labels)), labels, fontsize="small")
    axes.set(xlabel="Predicted class", ylabel="True class")
    axes.set_title(f"{result.method}: {result.dataset} / {result.task}, {result.split}")
    figure.colorbar(image, ax=axes, label="Share of the images of the true class", shrink=0.8)
    save(figure, path)


def write_confusions(sourced: Iterable[tuple[Path, Result]], folder: Path) -> None:
    """Draw the confusion matrices of all results that have one, into files named after dataset, task and method.

    Raises:
        MedIMetaError: If no result has one.
    """
    having = [result for _, result in sourced if result.confusion is not None]
    if not having:
        raise MedIMetaError("None of these results has a confusion matrix: it needs a single-label task and a split.")
    for result in having:
        write_confusion(result, folder / file_name(result))


def file_name(result: Result) -> str:
    """Return the file name for the plot of a result."""
    seed = [] if result.seed is None else [f"seed {result.seed}"]
    name = "-".join([result.dataset, result.task, result.protocol, result.method, result.model, *seed])
    return f"{re.sub('[^A-Za-z0-9.=]+', '-', name)}.png"
