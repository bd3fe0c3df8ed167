"""Tables of results per class or label, which show classes that a mean over classes hides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..measures.intervals import Measured, mean_interval
from .comparison import Sourced, by_protocol, runs_of
from .result_table import markdown_head, markdown_row

METRICS = ("auroc", "average_precision", "recall", "precision")


@dataclass(frozen=True)
class ClassTable:
    """The classes of one task, as measured by one protocol on one split.

    Attributes:
        protocol: The protocol.
        split: The split.
        task: The task.
        rows: Class, method, number of runs, and the values of `METRICS` and "support" (number of images of the class);
            for several runs, means with their intervals.
    """

    protocol: str
    split: str
    task: str
    rows: tuple[tuple[str, str, int, dict[str, Measured]], ...]

    def markdown(self) -> str:
        """Return a heading and the table, a row per class and method."""
        lines = [f"### {self.protocol}, {self.split}: classes of {self.task}", ""]
        lines += markdown_head(["class", "rows", "method", *(metric.replace("_", " ") for metric in METRICS)])
        for label, method, runs, numbers in self.rows:
            support = numbers["support"].value
            name = f"{method} ({runs} runs)" if runs > 1 else method
            cells = [str(numbers.get(metric, Measured(None))) for metric in METRICS]
            lines.append(markdown_row([label, "" if support is None else f"{support:,.0f}", name, *cells]))
        return "\n".join(lines) + "\n"

    def frame(self) -> pd.DataFrame:
        """Return a row per class, method and metric."""
        columns = ["protocol", "split", "task", "class", "method", "runs", "metric", "value", "low", "high"]
        rows = [
            [self.protocol, self.split, self.task, label, method, runs, metric, one.value, one.low, one.high]
            for label, method, runs, numbers in self.rows
            for metric, one in numbers.items()
        ]
        return pd.DataFrame(rows, columns=columns)


def class_tables(sourced: Iterable[Sourced], metric: str = "auroc") -> list[ClassTable]:
    """Return tables of the classes in results, one per protocol, split and task.

    Args:
        sourced: Results with the files they come from; those without numbers per class are left out.
        metric: Results without this metric are left out, as in `compare`.

    Raises:
        UnknownName: If no result has the metric.
    """
    tables = []
    for (protocol, split), group in by_protocol(sourced, metric).items():
        of_task: dict[str, dict[str, list[Sourced]]] = {}
        for (method, task), runs in runs_of(group).items():
            of_task.setdefault(task, {})[method] = runs
        for task, methods in sorted(of_task.items()):
            labels = list(dict.fromkeys(label for runs in methods.values() for _, one in runs for label in one.classes))
            rows = [
                (label, method, len(several), _mean(several))
                for label in labels
                for method, runs in methods.items()
                if (several := [one.classes[label] for _, one in runs if label in one.classes])
            ]
            if rows:
                tables.append(ClassTable(protocol, split, task, tuple(rows)))
    return tables


def _mean(several: Sequence[dict[str, Measured]]) -> dict[str, Measured]:
    if len(several) == 1:
        return dict(several[0])
    return {
        metric: mean_interval(np.array([one[metric].value for one in several], np.float64)) for metric in several[0]
    }
