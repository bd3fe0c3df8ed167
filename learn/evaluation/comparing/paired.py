"""Compare two methods on one task: the difference of a metric, paired by subject or by episode.

Two methods that are tested on the same images make many of the same mistakes, so their difference is less uncertain
than their separate intervals suggest. It is measured on the same resamples of subjects, or over the same episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....cards.catalogue import DATASETS
from ....errors import MedIMetaError, unknown
from .. import stored
from ..measures.bootstrap import RESAMPLES, draws, groups
from ..measures.intervals import Measured, ends, episodes_interval
from ..measures.metrics import SMALLER_IS_BETTER, WITHOUT_INTERVAL, Scored
from ..results import Result
from .comparison import Sourced, runs_of
from .result_table import markdown_head, markdown_row


@dataclass(frozen=True)
class Difference:
    """The difference of two methods on a task.

    Attributes:
        task: Name of the task in tables.
        first: Name of the first method.
        second: Name of the second method.
        better: Value of the first minus that of the second, with its 95 % interval; for metrics where smaller is
            better, the second minus the first.
        how: How the interval was computed, or why there is none.
    """

    task: str
    first: str
    second: str
    better: Measured
    how: str


def difference(
    first: Scored,
    second: Scored,
    subjects: Sequence[str | None],
    metric: str = "auroc",
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Measured:
    """Return by how much the first method is better, with an interval by a paired percentile bootstrap over subjects.

    Args:
        first: Predictions of the first method.
        second: Predictions of the second, of the same rows in the same order.
        subjects: Subject of each row, None where it is unknown.
        metric: A metric of `evaluate_scores`.
        resamples: Number of resamples of the bootstrap.
        seed: Seed of the bootstrap.

    Returns:
        The difference, positive if the first method is better, with its 95 % interval.

    Raises:
        UnknownName: If the task has no such metric.
        MedIMetaError: If the rows have different labels.
    """
    if not np.array_equal(first.labels, second.labels, equal_nan=first.task.kind == "multilabel"):
        raise MedIMetaError("The two methods were measured on different labels. Compare predictions of the same rows.")
    both = (first, second)
    values = [one.measure().overall for one in both]
    if metric not in values[0]:
        raise unknown("metric", metric, values[0])
    sign = -1 if metric in SMALLER_IS_BETTER else 1
    better = sign * float(values[0][metric][0] - values[1][metric][0])
    if metric in WITHOUT_INTERVAL:
        return Measured(better)
    drawn = groups(subjects, len(first.labels))
    samples = [
        sign * (first.measure(weights).overall[metric] - second.measure(weights).overall[metric])
        for weights in draws(drawn, resamples=resamples, seed=seed)
    ]
    return Measured(better, *ends(np.concatenate(samples), int(drawn.max()) + 1))


def differences(sourced: Sequence[Sourced], metric: str = "auroc", *, resamples: int = RESAMPLES) -> list[Difference]:
    """Return the differences between the best method on each task and every other one.

    If a method has several seeds, the first is compared.

    Args:
        sourced: Results of one protocol and split with their files; the stored predictions are next to the files.
        metric: Metric to compare by.
        resamples: Number of resamples of the bootstrap over subjects.
    """
    runs = runs_of(sourced)
    of_task: dict[str, dict[str, Sourced]] = {}
    for (method, task), several in runs.items():
        of_task.setdefault(task, {})[method] = several[0]
    compared = []
    for task, methods in sorted(of_task.items()):
        values = {method: result.metrics[metric].value for method, (_, result) in methods.items()}
        known = {method: value for method, value in values.items() if value is not None}
        if len(methods) < 2 or not known:
            continue
        best = (min if metric in SMALLER_IS_BETTER else max)(known, key=lambda method: known[method])
        for other in methods:
            if other != best:
                better = _better(methods[best], methods[other], metric, resamples)
                compared.append(Difference(task, best, other, *better))
    return compared


def markdown(compared: Sequence[Difference], metric: str) -> str:
    """Return differences as Markdown; those whose interval excludes 0 are bold."""
    lines = [f"#### Differences on each task, by {metric}", "", *markdown_head(["task", "pair", "difference", "how"])]
    for one in compared:
        better = one.better
        sure = better.low is not None and better.high is not None and (better.low > 0 or better.high < 0)
        shown = f"**{better}**" if sure else str(better)
        lines.append(markdown_row([one.task, f"{one.first} - {one.second}", shown, one.how]))
    return (
        "\n".join([*lines, "", "* Bold: the 95 % interval excludes 0. It is not corrected for multiple comparisons."])
        + "\n"
    )


def _better(first: Sourced, second: Sourced, metric: str, resamples: int) -> tuple[Measured, str]:
    one, other = first[1], second[1]
    if (one.fingerprint, one.episodes) != (other.fingerprint, other.episodes):
        return Measured(None), "not compared: different rows or episodes"
    if one.episodes is not None:
        return _by_episode(one, other, metric)
    paths = [stored.path_next_to(path) for path, _ in (first, second)]
    if lacking := [path for path in paths if not path.exists()]:
        return Measured(None), f"not compared: no {lacking[0].name} next to the result"
    (of_one, of_other), subjects = _same_rows(one, paths)
    better = difference(of_one, of_other, subjects, metric, resamples=resamples)
    return better, f"paired bootstrap over subjects, {resamples:,} resamples"


def _by_episode(one: Result, other: Result, metric: str) -> tuple[Measured, str]:
    if not {metric} <= set(one.per_episode) & set(other.per_episode):
        return Measured(None), "not compared: no values per episode"
    sign = -1 if metric in SMALLER_IS_BETTER else 1
    values = [np.array(result.per_episode[metric], np.float64) for result in (one, other)]
    return episodes_interval(sign * (values[0] - values[1])), f"paired over {len(values[0]):,} episodes"


def _same_rows(result: Result, paths: Sequence[Path]) -> tuple[tuple[Scored, Scored], list[str | None]]:
    task = DATASETS[result.dataset].task(result.task)
    (first, table), (second, other) = (stored.read(task, path) for path in paths)
    if table["index"].to_pylist() != other["index"].to_pylist():
        raise MedIMetaError(f"{paths[0]} and {paths[1]} hold predictions of different images.")
    return (first, second), stored.units(table)
