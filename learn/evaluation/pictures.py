"""Pictures of results."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...files.atomic import whole_file
from .result_table import ResultTable

# Okabe and Ito's colours, which colour-blind readers can distinguish; with the markers also readable in grey.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
MARKERS = "os^DvPX*<>"


def look(number: int) -> tuple[str, str]:
    """Return colour and marker of the method with a number; 70 different pairs."""
    return COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]


def write_plot(tables: Sequence[ResultTable], path: Path) -> None:
    """Draw values and intervals as PNG: a panel per protocol and split, a line per task, a colour per method."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    methods = list(dict.fromkeys(method for table in tables for method in table.methods))
    looks = {method: look(number) for number, method in enumerate(methods)}
    heights = [len(table.tasks) * max(0.5, 0.22 * len(table.methods)) + 0.6 for table in tables]
    figure = Figure(figsize=(8, 0.6 + sum(heights)), dpi=150, layout="constrained")
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
            axes.errorbar(value, y, xerr=errors, fmt=marker, markersize=4, capsize=2, color=colour, label=method)
        axes.set_yticks(list(places.values()), [table.heading(task) for task in places])
        axes.set_ylim(0.5 - len(places), 0.5)
        axes.set_title(f"{table.protocol}, {table.split}", fontsize="medium")
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel(f"{tables[0].metric}, 95 % interval")
    handles = [axes.get_legend_handles_labels() for axes in panels]
    named = {label: handle for lines, labels in handles for handle, label in zip(lines, labels, strict=True)}
    columns = max(1, min(4, len(named), 95 // (max(map(len, named)) + 8)))  # some 95 letters are as wide as the figure
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns, frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    with whole_file(path) as partial:
        partial.write_bytes(picture.getvalue())
