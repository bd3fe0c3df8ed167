"""The figure of a few-shot evaluation: AUROC over shots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..evaluation.measures.intervals import Measured
from ..figures.style import look, mark_auroc, save, styled


@styled
def plot_shots(points: Sequence[tuple[str, str, Measured]], title: str, path: Path) -> None:
    """Plot mean AUROC over shots with its 95 % interval, a line per method and setting.

    Args:
        points: Name of the line, shots ("5", "1-10"), and AUROC.
        title: Title of the figure.
        path: PNG file to write.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    ticks = sorted({shots for _, shots, _ in points}, key=lambda shots: [int(part) for part in shots.split("-")])
    lines = list(dict.fromkeys(line for line, _, _ in points))
    figure = Figure(figsize=(7.2, 4))
    axes = figure.subplots()
    for number, line in enumerate(lines):
        mine = [(ticks.index(shots), auroc) for name, shots, auroc in points if name == line]
        known = [
            (
                place,
                auroc.value,
                auroc.value if auroc.low is None else auroc.low,
                auroc.value if auroc.high is None else auroc.high,
            )
            for place, auroc in sorted(mine, key=lambda one: one[0])
            if auroc.value is not None
        ]
        colour, marker = look(number)
        aside = 0.1 * ((number + 0.5) / len(lines) - 0.5)  # so that intervals do not cover each other
        bars = [[mean - low for _, mean, low, _ in known], [high - mean for _, mean, _, high in known]]
        axes.errorbar(
            [place + aside for place, *_ in known],
            [mean for _, mean, *_ in known],
            bars,
            color=colour,
            marker=marker,
            label=line,
        )
    mark_auroc(axes, "y")
    axes.set(xlabel="Support images per class (shots)", ylabel="Mean AUROC over episodes, with 95 % interval")
    axes.set_title(title)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, path)
