"""Divide rows into groups by columns of the dataset.

`patient_sex` gives a group per value; `patient_age:40,60,80` divides numbers at these edges; several columns can be
crossed, which gives a group per combination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from datasets import ClassLabel, Dataset

from ...errors import MedIMetaError, some, unknown

MOST = 30  # groups of one column
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Grouping:
    """One way to divide rows into groups.

    Attributes:
        column: A column of the dataset.
        edges: Numbers at which values are divided: 40 and 60 give "below 40", "40 to 60" (without 60) and "60 and
            above".
    """

    column: str
    edges: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Grouping:
        """Return the grouping that a text such as "patient_sex" or "patient_age:40,60,80" describes.

        Raises:
            MedIMetaError: If the edges are not ascending numbers.
        """
        column, _, given = text.partition(":")
        try:
            edges = tuple(float(edge) for edge in given.split(",")) if given else ()
        except ValueError:
            edges = (0.0, 0.0)
        if list(edges) != sorted(set(edges)):
            raise MedIMetaError(f'--by {text}: edges are ascending numbers. For example: "{column}:40,60,80".')
        return cls(column, edges)

    def groups(self, rows: Dataset) -> list[str]:
        """Return the name of the group of each row; "unknown" where the cell is empty.

        Raises:
            UnknownName: If the column does not exist.
            MedIMetaError: If its cells cannot be grouped, or there are too many groups.
        """
        columns = [name for name, form in rows.features.items() if name != "image" and hasattr(form, "dtype")]
        if self.column not in columns:
            raise unknown("column", self.column, columns)
        cells, form = rows[self.column][:], rows.features[self.column]
        if self.edges:
            if not all(cell is None or isinstance(cell, int | float) for cell in cells) or isinstance(form, ClassLabel):
                raise MedIMetaError(f"--by {self.column}: edges divide numbers, and this column holds none.")
            names = [UNKNOWN if cell is None else self._bin(cell) for cell in cells]
        elif isinstance(form, ClassLabel):
            names = [UNKNOWN if cell is None or cell < 0 else form.names[cell] for cell in cells]
        else:
            names = [UNKNOWN if cell in (None, "") else str(cell) for cell in cells]
        if len(different := sorted(set(names))) > MOST:
            raise MedIMetaError(
                f"--by {self.column}: {len(different):,} groups ({some(different)}); at most {MOST} are compared. "
                f'Give edges for numbers, for example: "{self.column}:40,60,80".'
            )
        return names

    def order(self, names: Sequence[str]) -> list[str]:
        """Return the distinct names of groups in the order to show them, "unknown" last."""
        bins = [self._bin(edge) for edge in (self.edges[0] - 1, *self.edges)] if self.edges else []
        known = sorted(set(names) - {UNKNOWN}, key=lambda name: (bins.index(name) if name in bins else 0, name))
        return known + [UNKNOWN] * (UNKNOWN in names)

    def _bin(self, cell: float) -> str:
        place = int(np.searchsorted(self.edges, cell, side="right"))
        low, high = ([""] + [f"{edge:g}" for edge in self.edges] + [""])[place : place + 2]
        return f"below {high}" if not low else f"{low} and above" if not high else f"{low} to {high}"


def by_columns(rows: Dataset, wanted: Sequence[Grouping], *, cross: bool) -> dict[str, tuple[list[str], list[str]]]:
    """Divide rows into groups by columns.

    Args:
        rows: The dataset, with all columns.
        wanted: The groupings.
        cross: Also divide by all of them at once.

    Returns:
        For each grouping, by name of the column (or "a x b" if crossed): the group of each row, and the distinct groups
        in the order to show them.

    Raises:
        MedIMetaError: If a column does not exist or cannot be grouped.
    """
    of_column = [grouping.groups(rows) for grouping in wanted]
    orders = [grouping.order(names) for grouping, names in zip(wanted, of_column, strict=True)]
    divided: dict[str, tuple[list[str], list[str]]] = {
        grouping.column: (names, order) for grouping, names, order in zip(wanted, of_column, orders, strict=True)
    }
    if cross and len(wanted) > 1:
        crossed: list[tuple[str, ...]] = list(zip(*of_column, strict=True))
        places = [{name: place for place, name in enumerate(order)} for order in orders]
        ordered = sorted(set(crossed), key=lambda cell: [place[name] for place, name in zip(places, cell, strict=True)])
        by = " x ".join(grouping.column for grouping in wanted)
        divided[by] = [", ".join(cell) for cell in crossed], [", ".join(cell) for cell in ordered]
    return divided
