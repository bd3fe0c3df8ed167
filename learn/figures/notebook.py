"""A figure that notebooks display although it was made without pyplot; importing this module needs matplotlib."""

from __future__ import annotations

from matplotlib.figure import Figure

from .style import png


class Shown(Figure):
    """A figure that notebooks display when it is the last value of a cell."""

    def _repr_png_(self) -> bytes:
        return png(self)
