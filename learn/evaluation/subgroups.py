"""Metrics per group of patients or images, such as sex, age or view, and the gap between groups.

Groups come from columns of the dataset; see `grouping`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError, unknown
from . import stored
from .grouping import Grouping, by_columns
from .measures.bootstrap import RESAMPLES, draws, groups, interval
from .measures.intervals import Measured, ends
from .measures.metrics import SMALLER_IS_BETTER, WITHOUT_INTERVAL, Scored
from .results import Result

FEW = 20  # subjects, or images without a known subject: a smaller group is pointed out


@dataclass(frozen=True)
class Subgroup:
    """One group.

    Attributes:
        name: Its name.
        images: Rows with a known label.
        subjects: Subjects of these rows; a row without a known subject counts as one.
        measured: The metric with its 95 % interval; None as value where it is not defined.
        note: What a reader has to know: that the group is small, or why the metric is not defined.
    """

    name: str
    images: int
    subjects: int
    measured: Measured
    note: str = ""


@dataclass(frozen=True)
class Subgroups:
    """The groups of one column or of several crossed ones.

    Attributes:
        by: Name of the column, or "a x b" for crossed ones.
        metric: Name of the metric.
        groups: The groups, in the order to show them.
        best: Name of the group with the best value; None where fewer than two groups have one.
        worst: Name of the group with the worst value.
        gap: How much better the best is than the worst, with the 95 % interval of that difference by a bootstrap over
            the subjects of all groups. With two groups its coverage is as stated; with more groups, best and worst are
            chosen by the same data, so that the gap is too large on average.
    """

    by: str
    metric: str
    groups: tuple[Subgroup, ...]
    best: str | None
    worst: str | None
    gap: Measured


def subgroups(
    scored: Scored,
    subjects: Sequence[str | None],
    names: Sequence[str],
    *,
    by: str,
    metric: str = "auroc",
    order: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Subgroups:
    """Return a metric of each group, and the gap between the best and the worst.

    Args:
        scored: The rows.
        subjects: Subject of each row, None where it is unknown.
        names: Group of each row.
        by: Name of the grouping, for tables.
        metric: A metric of `evaluate_scores`.
        order: Distinct names in the order to show them; sorted by default.
        resamples: Number of resamples of the bootstrap; 0 leaves the intervals out.
        seed: Seed of the bootstrap.

    Raises:
        UnknownName: If the task has no such metric.
    """
    whole = scored.measure().overall
    if metric not in whole:
        raise unknown("metric", metric, whole)
    numbers, name_of = groups(subjects, len(names)), np.array(names, object)
    shown = list(dict.fromkeys(order or sorted(set(names))))
    rows = {name: np.flatnonzero(name_of == name) for name in shown}
    parts = {name: Scored(scored.task, scored.scores[here], scored.labels[here]) for name, here in rows.items()}
    values = {name: float(part.measure().overall[metric][0]) for name, part in parts.items()}
    drawing = resamples > 0 and metric not in WITHOUT_INTERVAL
    samples: dict[str, list[np.ndarray]] = {name: [] for name in shown}
    for weights in draws(numbers, resamples=resamples, seed=seed) if drawing else ():
        for name, part in parts.items():
            samples[name].append(part.measure(weights[rows[name]]).overall[metric])
    drawn = {name: np.concatenate(several) for name, several in samples.items() if several}
    counts = {name: len(np.unique(numbers[here])) for name, here in rows.items()}
    measured = {name: interval(metric, values[name], drawn.get(name), counts[name]) for name in shown}
    known = sorted((name for name in shown if not np.isnan(values[name])), key=lambda name: values[name])
    if metric in SMALLER_IS_BETTER:
        known.reverse()
    worst, best = (known[0], known[-1]) if len(known) > 1 else (None, None)
    gap = Measured(None)
    if worst is not None and best is not None:
        better = abs(values[best] - values[worst])
        gap = (
            Measured(better, *ends(_gain(metric, drawn, best, worst), min(counts[best], counts[worst])))
            if drawn
            else Measured(better)
        )
    listed = []
    for name in shown:
        count = counts[name]
        note = "not defined: all rows have the same labels" if np.isnan(values[name]) else ""
        note = note or (f"fewer than {FEW} subjects: the interval is rough" if count < FEW else "")
        listed.append(Subgroup(name, len(rows[name]), count, measured[name], note))
    return Subgroups(by, metric, tuple(listed), best, worst, gap)


def of_result(
    result: Result, task: Task, rows: Dataset, wanted: Sequence[Grouping], *, cross: bool, metric: str, resamples: int
) -> list[Subgroups]:
    """Return the metrics of the groups in a result of a split, one `Subgroups` per grouping.

    Args:
        result: A new result, which still has its predictions.
        task: Task of the result.
        rows: The split, with all columns.
        wanted: The groupings.
        cross: Also divide by all of them at once.
        metric: Metric to compare by.
        resamples: Number of resamples of the bootstrap.

    Raises:
        MedIMetaError: If the result is of episodes, or a column does not exist or cannot be grouped.
    """
    if result.predictions is None or result.episodes is not None:
        raise MedIMetaError("Groups are compared on a whole split, not on episodes. Leave out --by, or --episodes.")
    divided = by_columns(rows, wanted, cross=cross)
    labels = result.predictions["labels" if task.kind == "multilabel" else "label"]
    known = pc.is_valid(labels).to_numpy()
    table = result.predictions.filter(pa.array(known))
    return [
        subgroups(
            stored.scored(task, table),
            stored.units(table),
            [name for name, here in zip(names, known, strict=True) if here],
            by=by,
            metric=metric,
            order=order,
            resamples=resamples,
        )
        for by, (names, order) in divided.items()
    ]


def _gain(metric: str, drawn: dict[str, Any], best: str, worst: str) -> np.ndarray:
    sign = -1 if metric in SMALLER_IS_BETTER else 1
    return np.asarray(sign * (drawn[best] - drawn[worst]))
