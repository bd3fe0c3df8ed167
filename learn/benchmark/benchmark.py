"""`Benchmark`: the results of `medimeta.bench`, with tables and a report."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from ..evaluation.results import Result
    from .report.content import Content

WIDE = 4  # columns of results that fit a terminal


@dataclass(frozen=True)
class Failure:
    """An evaluation that failed.

    Attributes:
        model: Name of the encoder.
        what: The task and protocol, or "every task".
        reason: Message of the error.
    """

    model: str
    what: str
    reason: str

    def __str__(self) -> str:
        return f"{self.model}, {self.what} failed: {self.reason}"


@dataclass(frozen=True, repr=False)
class Benchmark:
    """The results of a benchmark.

    Attributes:
        results: Each result with its file.
        failures: Evaluations that failed, which are not in the tables.
    """

    results: tuple[tuple[Path, Result], ...]
    failures: tuple[Failure, ...] = ()

    def table(self, metric: str = "auroc", baseline: str | None = None) -> str:
        """Return Markdown: a table per protocol, robustness to corruptions, and failures.

        Methods are rows and tasks are columns; if there are many tasks, the other way round.

        Args:
            metric: Metric to compare by; retrieval is compared by mean average precision.
            baseline: The method that errors on corrupted images are relative to; the first one by default.

        Raises:
            UnknownName: If no result has the metric.
        """
        from .report.content import tables_of

        tables = tables_of(self.results, metric) if self.results else []
        parts = [one.markdown(transposed=len(one.tasks) > max(WIDE, len(one.methods))) for one in tables]
        parts += self._robustness(baseline)
        if self.failures:
            lines = [f"* {' '.join(str(failure).split())}" for failure in self.failures]
            parts.append("\n".join(["### Failed, and in no table", "", *lines]) + "\n")
        return "\n".join(parts)

    def _robustness(self, baseline: str | None) -> list[str]:
        """Return Markdown for each protocol that was measured on corrupted images."""
        if not any(result.settings.get("corruption") for _, result in self.results):
            return []
        from ..evaluation.comparing.comparison import SHORTCUT
        from ..evaluation.robustness import by_protocol, report

        measured = [one for _, one in self.results if not one.method.startswith(SHORTCUT)]  # which see no corruption
        parts = []
        for protocol, name, compared in by_protocol(measured, baseline):
            parts.append(f"## Corrupted images, {protocol}\n\n{report(compared, name)}")
        return parts

    def to_frame(self, metric: str = "auroc") -> pd.DataFrame:
        """Return a row per protocol, method and task, with value, interval, runs and classes.

        Args:
            metric: Metric to compare by.

        Raises:
            UnknownName: If no result has the metric.
            MedIMetaError: If there is no result.
        """
        return self._content(metric).frame()

    def summary(self, metric: str = "auroc") -> pd.DataFrame:
        """Return a row per protocol and method: means over datasets, mean rank, and means of domains.

        The means are arithmetic, geometric and harmonic; a method that lacks a task has none.

        Args:
            metric: Metric to compare by.

        Raises:
            UnknownName: If no result has the metric.
            MedIMetaError: If there is no result.
        """
        return self._content(metric).summary()

    def to_markdown(self, metric: str = "auroc") -> str:
        """Return all tables as Markdown, with means over datasets.

        Args:
            metric: Metric to compare by.

        Raises:
            UnknownName: If no result has the metric.
            MedIMetaError: If there is no result.
        """
        from .report.write import markdown

        return markdown(self._content(metric))

    def to_latex(self, metric: str = "auroc") -> str:
        """Return a LaTeX `tabular` per protocol, which needs the package booktabs.

        Args:
            metric: Metric to compare by.

        Raises:
            UnknownName: If no result has the metric.
            MedIMetaError: If there is no result.
        """
        from .report.write import tex

        return tex(self._content(metric))

    def to_csv(self, path: str | os.PathLike[str], metric: str = "auroc") -> None:
        """Write the rows of `to_frame` as CSV.

        Args:
            path: The file.
            metric: Metric to compare by.

        Raises:
            UnknownName: If no result has the metric.
            MedIMetaError: If there is no result.
        """
        from ..evaluation.comparing.result_table import write_frames

        write_frames([self.to_frame(metric)], Path(path))

    def plot(self, path: str | os.PathLike[str], metric: str = "auroc") -> None:
        """Draw values and intervals as PNG: a panel per protocol, a line per task, a colour and marker per method.

        Args:
            path: The file.
            metric: Metric to compare by.

        Raises:
            UnknownName: If no result has the metric.
            MedIMetaError: If there is no result.
        """
        from ..evaluation.comparing.pictures import write_plot

        write_plot([part.table for part in self._content(metric).parts], Path(path))

    def report(self, folder: str | os.PathLike[str], *, metric: str = "auroc", title: str | None = None) -> Path:
        """Write a page with everything, and the same numbers as Markdown, CSV, LaTeX and figures.

        Args:
            folder: Folder of the report; created if needed.
            metric: Metric to compare by.
            title: Title of the page.

        Returns:
            Path of the page, `index.html`.

        Raises:
            UnknownName: If no result has the metric.
            MedIMetaError: If there is no result.
        """
        from .report.write import TITLE, report

        return report(self.results, folder, metric=metric, title=title or TITLE, failures=self.failures)

    def _content(self, metric: str) -> Content:
        from .report.content import content

        return content(self.results, metric, "Benchmark", self.failures)

    def _repr_html_(self) -> str:
        frame = self.to_frame().to_html(index=False, float_format="{:.3f}".format) if self.results else ""
        return f"<p>{escape(repr(self))}</p>{frame}"

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        models = {result.model for _, result in self.results}
        tasks = {(result.dataset, result.task) for _, result in self.results}
        return f"<Benchmark: {len(self.results)} results, {len(models)} encoder(s), {len(tasks)} task(s){failed}>"
