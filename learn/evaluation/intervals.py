"""How sure a number is: bootstrap intervals over subjects, and the interval of a mean over episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...cards.facts import Task
from ...errors import MedIMetaError
from .resampling import Weighted

RESAMPLES = 1000
LEVEL = 0.95
Z = 1.96  # standard errors to either side of a mean


@dataclass(frozen=True)
class Measured:
    """A number and its interval. What is not defined, NaN or unknown, is None, as in JSON.

    Attributes:
        value: The number.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    value: float | None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            given = getattr(self, name)
            known = given is not None and bool(np.isfinite(given))
            object.__setattr__(self, name, float(given) if known else None)

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        return f"{self.value:.3f}" + (f" [{self.low:.3f}, {self.high:.3f}]" if self.low is not None else "")


def mean_interval(values: Sequence[float] | np.ndarray) -> Measured:
    """The mean over episodes, or other repetitions, +- 1.96 standard errors.

    Args:
        values: One number per episode; NaN, where a metric is not defined, is left out.

    Returns:
        Without an interval where fewer than two numbers are left.
    """
    given = np.asarray(values, np.float64)
    known = given[~np.isnan(given)]
    if len(known) < 2:
        return Measured(float(known[0]) if len(known) else None)
    mean, error = known.mean(), known.std(ddof=1) / np.sqrt(len(known))
    return Measured(mean, mean - Z * error, mean + Z * error)


def bootstrap(
    task: Task,
    scores: np.ndarray,
    labels: np.ndarray,
    subjects: Sequence[str | None] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """The 95 % percentile bootstrap intervals of the metrics of `evaluate_scores`.

    As many subjects as there are are drawn with replacement, each with all its rows; a row without a known subject is
    drawn on its own. Resamples in which a metric is not defined count for nothing.

    Args:
        task: The task.
        scores: As for `evaluate_scores`.
        labels: As for `evaluate_scores`.
        subjects: Subject of each row, None where it is unknown; without them rows are drawn.
        resamples: How many.
        seed: Of the draws: the same seed, the same intervals.

    Returns:
        Lower and upper end per metric; NaN where it is never defined.

    Raises:
        MedIMetaError: If shapes or values do not fit, or there is nothing to resample.
    """
    if resamples < 1:
        raise MedIMetaError(f"A bootstrap needs at least one resample, better 1000; got {resamples}.")
    rows = Weighted(task, scores, labels)
    group = groups(subjects, len(rows.labels))
    rng, count = np.random.default_rng(seed), int(group.max()) + 1
    together = max(1, min(resamples, 16, (1 << 22) // len(group)))  # bounds the memory
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, resamples, together):
        drawn = [
            np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(min(together, resamples - start))
        ]
        weights = np.stack(drawn, axis=1).astype(np.float64)[group]
        for name, values in rows.metrics(weights).items():
            found.setdefault(name, []).append(values)
    return {name: _ends(np.concatenate(values)) for name, values in found.items()}


def bootstrap_in_words(subjects: Sequence[str | None], resamples: int) -> str:
    """What `bootstrap` did, for readers of its intervals: over how many subjects or images, how often."""
    if not resamples:
        return "none"
    units = int(groups(subjects, len(subjects)).max()) + 1
    alone = sum(subject is None for subject in subjects)
    what = f"{units:,} images" if alone == len(subjects) else f"{units - alone:,} subjects"
    if 0 < alone < len(subjects):
        what += f" and {alone:,} images without a known subject"
    return f"95 %, percentile bootstrap over {what}, {resamples:,} resamples"


def groups(subjects: Sequence[str | None] | None, rows: int) -> np.ndarray:
    """Numbers from 0 that are equal for rows of one subject; a row without a known subject has its own.

    Raises:
        MedIMetaError: If there is not one subject, or None, per row.
    """
    if subjects is None:
        return np.arange(rows)
    if len(subjects) != rows:
        raise MedIMetaError(f"{len(subjects):,} subjects for {rows:,} rows. Give one per row, None where unknown.")
    numbers: dict[object, int] = {}
    keys = (row if subject is None else str(subject) for row, subject in enumerate(subjects))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys])


def _ends(values: np.ndarray) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
