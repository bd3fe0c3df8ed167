"""`Benchmark`: what `medimeta.bench` returns."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import MedIMetaError

if TYPE_CHECKING:
    import pandas as pd

    from ..evaluation.results import Result


@dataclass(frozen=True)
class Failure:
    """What could not be evaluated.

    Attributes:
        model: Name of the encoder.
        what: The task and protocol, or "every task".
        reason: Why.
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
        failures: What could not be evaluated; it is in no table.
    """

    results: tuple[tuple[Path, Result], ...]
    failures: tuple[Failure, ...] = ()

    def table(self, metric: str = "auroc") -> str:
        """Return a Markdown table per protocol, methods down and tasks across, and what failed.

        Args:
            metric: What to compare by.

        Raises:
            UnknownName: If no result has the metric.
        """
        from ..evaluation.comparing import report

        parts = []
        if self.results:
            parts.append(report.make(self.results, metric, per_class=False, compared=False).text)
        if self.failures:
            lines = [f"* {' '.join(str(failure).split())}" for failure in self.failures]
            parts.append("\n".join(["### Failed, and in no table", "", *lines]) + "\n")
        return "\n".join(parts)

    def to_frame(self, metric: str = "auroc") -> pd.DataFrame:
        """Return a row per protocol, method and task, with value, interval, runs and classes.

        Args:
            metric: What to compare by.

        Raises:
            UnknownName: If no result has the metric.
            MedIMetaError: If there is no result.
        """
        import pandas as pd

        from ..evaluation.comparing import report

        if not self.results:
            raise MedIMetaError(f"There is no result. {'; '.join(map(str, self.failures))}")
        frames = report.make(self.results, metric, per_class=False, compared=False).frames
        return pd.concat(frames, ignore_index=True)

    def _repr_html_(self) -> str:
        frame = self.to_frame().to_html(index=False, float_format="{:.3f}".format) if self.results else ""
        return f"<p>{escape(repr(self))}</p>{frame}"

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        models = {result.model for _, result in self.results}
        tasks = {(result.dataset, result.task) for _, result in self.results}
        return f"<Benchmark: {len(self.results)} results, {len(models)} encoder(s), {len(tasks)} task(s){failed}>"
