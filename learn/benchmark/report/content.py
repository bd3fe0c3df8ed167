"""The content of a report: a table per protocol, averages of methods over tasks, and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ....cards.catalogue import DATASETS
from ....errors import MedIMetaError
from ...evaluation.comparing.comparison import Sourced, compare
from ...evaluation.comparing.result_table import ResultTable
from ...evaluation.comparing.statistics import Standing, standing
from ...evaluation.measures.intervals import Measured
from ...evaluation.measures.metrics import SMALLER_IS_BETTER
from ..cost import Cost, costs
from ..plan import RETRIEVAL_METRIC

AVERAGES: dict[str, Callable[[np.ndarray], float]] = {  # over datasets, as in the follow-up study
    "mean": lambda values: float(values.mean()),
    "geometric mean": lambda values: float(np.exp(np.log(values).mean())) if values.min() > 0 else 0.0,
    "harmonic mean": lambda values: float(1 / (1 / values).mean()) if values.min() > 0 else 0.0,
}
ORDER = ("linear probe", "nearest neighbours", "nearest prototype", "zero-shot", "retrieval", "full supervision")
SOLVERS = ("prototype", "logistic regression", "published probe")  # end the names of few-shot methods


@dataclass(frozen=True)
class Row:
    """The averages of a method over the tasks of a table.

    Attributes:
        method: Name of the method.
        measured: Number of tasks with a value.
        averages: Averages over datasets, by name as in `AVERAGES`; a dataset counts with the mean over its tasks. None
            unless the method has a value on every task of the table, since it would not be comparable.
        domains: Mean over the datasets of each domain, None where a task is missing.
        rank: Mean rank over datasets, with its interval; None where methods cannot be ranked.
    """

    method: str
    measured: int
    averages: dict[str, float | None]
    domains: dict[str, float | None]
    rank: Measured | None


@dataclass(frozen=True)
class Part:
    """One protocol.

    Attributes:
        table: The table of results.
        rows: A row per method, the best mean first.
        domains: Domains of the tasks.
        standing: Comparison of methods over tasks; None if there are too few.
    """

    table: ResultTable
    rows: list[Row]
    domains: list[str]
    standing: Standing | None

    @property
    def name(self) -> str:
        """The protocol; of episodes from one split, also the split."""
        few, split = self.table.protocol.startswith("few-shot"), self.table.split
        return f"{self.table.protocol}, from {split}" if few and "+" not in split else self.table.protocol


@dataclass(frozen=True)
class Content:
    """The content of a report.

    Attributes:
        title: Title of the report.
        parts: A part per protocol.
        results: The results with their files.
        costs: Costs of encoders, by name.
        failures: Messages of evaluations that failed.
    """

    title: str
    parts: list[Part]
    results: Sequence[Sourced]
    costs: dict[str, Cost]
    failures: tuple[str, ...] = ()

    @property
    def models(self) -> list[str]:
        """The encoders, in the order of their results."""
        return list(dict.fromkeys(result.model for _, result in self.results))

    def frame(self) -> pd.DataFrame:
        """Return a row per protocol, method and task."""
        return pd.concat([part.table.frame() for part in self.parts], ignore_index=True)

    def summary(self) -> pd.DataFrame:
        """Return a row per protocol and method: means, mean rank and means of domains."""
        rows = [
            {"protocol": part.table.protocol, "metric": part.table.metric, "method": row.method, "tasks": row.measured}
            | {"of_tasks": len(part.table.tasks), **row.averages}
            | {"mean rank": None if row.rank is None else row.rank.value, **row.domains}
            for part in self.parts
            for row in part.rows
        ]
        return pd.DataFrame(rows)


def content(results: Sequence[Sourced], metric: str, title: str, failures: Sequence[object] = ()) -> Content:
    """Return the content of a report on results.

    Args:
        results: Results with their files.
        metric: Metric to compare by; retrieval is compared by mean average precision.
        title: Title of the report.
        failures: Evaluations that failed.

    Raises:
        UnknownName: If no result has the metric.
        MedIMetaError: If there are no results, or two have the same method, task, seed and settings.
    """
    if not results:
        raise MedIMetaError("There is no result to report. " + "; ".join(map(str, failures)))
    parts = sorted((_part(table) for table in tables_of(_by_solver(results), metric)), key=_place)
    return Content(title, parts, results, costs([path for path, _ in results]), tuple(map(str, failures)))


def _by_solver(results: Sequence[Sourced]) -> list[Sourced]:
    """Turn the solvers of few-shot episodes into protocols, so that a table has one row per encoder."""
    split = []
    for path, result in results:
        solver = next((one for one in SOLVERS if result.method == f"{result.model}, {one}"), None)
        if solver is not None:
            result = replace(result, protocol=f"{result.protocol}: {solver}", method=result.model)
        split.append((path, result))
    return split


def _place(part: Part) -> int:
    """Return the position of a protocol in the report: whole training splits, then few-shot, then parts of a split."""
    protocol = part.table.protocol
    if protocol in ORDER:
        return ORDER.index(protocol)
    return len(ORDER) + (1 if protocol.startswith("few-shot") else 2 if "of train" in protocol else 0)


def tables_of(results: Sequence[Sourced], metric: str) -> list[ResultTable]:
    """Return a table per protocol by a metric, and those of retrieval by mean average precision.

    Raises:
        UnknownName: If no result has the metric.
    """
    rest = [one for one in results if RETRIEVAL_METRIC in one[1].metrics and metric not in one[1].metrics]
    if len(rest) == len(results):
        return compare(rest, RETRIEVAL_METRIC)
    return compare(results, metric) + (compare(rest, RETRIEVAL_METRIC) if rest else [])


def _part(table: ResultTable) -> Part:
    try:
        compared = standing(table)
    except MedIMetaError:  # one method, or tasks of one dataset only
        compared = None
    domain = {task: domain_of(task) for task in table.tasks}
    domains = list(dict.fromkeys(domain[task] for task in table.tasks))
    rows = []
    for method in table.methods:
        values = {
            task: cell.measured.value
            for (of, task), cell in table.cells.items()
            if of == method and cell.measured.value is not None
        }
        means = _of_datasets(values, table.tasks)
        rows.append(
            Row(
                method,
                len(values),
                {name: None if means is None else average(means) for name, average in AVERAGES.items()},
                {
                    name: None if mean is None else float(mean.mean())
                    for name in domains
                    for mean in [_of_datasets(values, [task for task in table.tasks if domain[task] == name])]
                },
                None if compared is None else compared.ranks[method],
            )
        )
    sign = 1 if table.metric in SMALLER_IS_BETTER else -1
    rows.sort(key=lambda row: (row.averages["mean"] is None, sign * (row.averages["mean"] or 0)))
    return Part(table, rows, domains, compared)


def _of_datasets(values: dict[str, float], tasks: Sequence[str]) -> np.ndarray | None:
    """Return the mean of each dataset over its tasks; None if a task has no value."""
    if any(task not in values for task in tasks):
        return None
    by_dataset: dict[str, list[float]] = {}
    for task in tasks:
        by_dataset.setdefault(task.partition(" / ")[0], []).append(values[task])
    return np.array([np.mean(several) for several in by_dataset.values()])


def domain_of(task: str) -> str:
    """Return the domain of a task, given by its name in tables: "other" for a dataset that is not in the catalogue."""
    card = DATASETS.get(task.partition(" / ")[0])
    return card.domain if card is not None else "other"
