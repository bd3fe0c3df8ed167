"""The report of `medimeta table`: tables, classes, ranks and differences, as text and as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ....errors import MedIMetaError
from . import paired
from .class_tables import class_tables
from .comparison import Sourced, by_protocol, compare, without_corruptions
from .result_table import ResultTable
from .statistics import Standing, standing


@dataclass(frozen=True)
class Report:
    """Results, ready to be shown.

    Attributes:
        text: Markdown.
        frames: The numbers, for CSV.
        tables: A table per protocol and split.
        standings: Comparisons of methods over tasks, for the tables that allow it.
        refused: Reasons why other tables have no such comparison.
    """

    text: str
    frames: list[pd.DataFrame]
    tables: list[ResultTable]
    standings: list[Standing]
    refused: list[str]

    def only_standing(self) -> Standing:
        """Return the standing, if there is one.

        Raises:
            MedIMetaError: If there is none or there are several.
        """
        if len(self.standings) != 1:
            why = " ".join(self.refused) or "Name the results of one protocol and split."
            raise MedIMetaError(f"A diagram shows one comparison; these results give {len(self.standings)}. {why}")
        return self.standings[0]


def make(
    sourced: Sequence[Sourced],
    metric: str,
    *,
    per_class: bool,
    compared: bool,
    ranked: bool = False,
    transposed: bool = False,
) -> Report:
    """Return the report on results.

    Args:
        sourced: Results with their files.
        metric: Metric to compare by.
        per_class: Show classes instead of means over them.
        compared: Add ranks and tests over tasks, and paired differences on each task.
        ranked: Compute ranks without adding them to the text.
        transposed: Show tasks as rows and methods as columns.

    Raises:
        UnknownName: If no result has the metric.
        MedIMetaError: If two results have the same method, task, seed and settings, or no result has values per class.
    """
    tables, groups = compare(sourced, metric), by_protocol(sourced, metric)
    parts, frames = [table.markdown(transposed=transposed) for table in tables], [table.frame() for table in tables]
    if per_class:
        classes = class_tables(sourced, metric)
        if not classes:
            raise MedIMetaError("These results say nothing of classes: they are of an earlier version. Run them again.")
        parts, frames = [one.markdown() for one in classes], [one.frame() for one in classes]
    standings, refused = [], []
    for table in tables if compared or ranked else ():
        lines = [f"### {table.protocol}, {table.split}: methods compared\n"]
        try:
            standings.append(standing(table))
            lines.append(standings[-1].markdown())
        except MedIMetaError as error:
            refused.append(str(error))
            lines.append(f"{error}\n")
        if compared:
            pairs = paired.differences(groups[table.protocol, table.split], metric)
            parts += [*lines, *([paired.markdown(pairs, metric)] if pairs else [])]
    if left_out := len(sourced) - len(without_corruptions(sourced)):
        parts.append(f"* {left_out:,} results of corrupted images are not shown; `--baseline METHOD` compares them.\n")
    return Report("\n".join(parts), frames, tables, standings, refused)
