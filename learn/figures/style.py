"""The style of every figure: colours, markers, axes of AUROC, and PNG files.

matplotlib is imported on first use. Figures are made without pyplot: no window system and no global state.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from ...errors import missing_extra
from ...files.atomic import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")
SHEET = Path(__file__).parent / "medimeta.mplstyle"
COLOURS = ("#0072b2", "#e69f00", "#000000", "#56b4e9", "#d55e00", "#009e73", "#cc79a7")  # as in the sheet
MARKERS = "os^DvPX*<>"
NAMES = {"auroc": "AUROC", "f1": "F1", "mae": "mean absolute error", "kappa": "quadratic weighted kappa"}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function in the style of this project, whatever style the user has set.

    Raises:
        MissingExtra: When the function is called and matplotlib is not installed.
    """

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            from matplotlib import style
        except ModuleNotFoundError:
            raise missing_extra("matplotlib", "train", "Drawing a figure") from None
        with style.context(["default", SHEET]):
            return draw(*args, **kwargs)

    return in_style


def look(number: int) -> tuple[str, str]:
    """Return colour and marker of the method with a number; 70 different pairs."""
    return COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]


def metric_name(metric: str) -> str:
    """Return the name of a metric as axes show it: "AUROC", "balanced accuracy"."""
    return NAMES.get(metric, metric.replace("_", " "))


def mark_auroc(axes: Axes, axis: Literal["x", "y"]) -> None:
    """Mark chance (0.5) and perfect (1.0) on an axis of AUROC, and end the axis just above 1."""
    line: Any = axes.axvline if axis == "x" else axes.axhline
    line(0.5, color="0.4", linestyle=":", linewidth=1, marker="", zorder=1, label="_chance")
    line(1.0, color="0.4", linestyle="-", linewidth=1, marker="", zorder=1, label="_perfect")
    low, _ = axes.get_xlim() if axis == "x" else axes.get_ylim()
    limits: Any = axes.set_xlim if axis == "x" else axes.set_ylim
    limits(min(low, 0.48), 1.015)  # with room for a marker at 1
    ticks = [tick for tick in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if tick >= min(low, 0.48)]
    axes.set_xticks(ticks) if axis == "x" else axes.set_yticks(ticks)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": "medimeta"})
    return picture.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    picture = png(figure)
    with whole_file(path) as partial:
        partial.write_bytes(picture)
