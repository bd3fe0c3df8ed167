"""The bootstrap over subjects: metrics of many resamples of the same rows.

Images of one subject are not independent, so subjects are drawn, each with all of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ....errors import MedIMetaError
from ...data.exclusion.copies import COPIES
from .intervals import Measured, ends, share_interval
from .metrics import UNBOUNDED, WITHOUT_INTERVAL, Metrics, Scored
from .ranking import Floats

RESAMPLES = 1000
FEW = 50  # subjects, below which intervals were not checked and may be too narrow
TOO_FEW = "; so few"  # starts what `describe` says then


def bootstrap(
    scored: Scored, subjects: Sequence[str | None] | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Metrics:
    """Return the metrics of resamples, drawn with replacement from the subjects.

    `interval` turns the values of a metric into its 95 % interval.

    Args:
        scored: The rows.
        subjects: Subject of each row, None where it is unknown: such a row is drawn on its own. By default rows are
            drawn.
        resamples: Number of resamples.
        seed: Seed of the draws; the same seed, rows and subjects give the same resamples for any predictions.

    Returns:
        Metrics of every resample, shape (..., resamples); NaN where a metric is not defined.

    Raises:
        MedIMetaError: If there is not one subject per row, or no resample is asked for.
    """
    group = groups(subjects, len(scored.labels))
    parts = [scored.measure(weights) for weights in draws(group, resamples=resamples, seed=seed)]
    return Metrics(_joined([part.overall for part in parts]), _joined([part.per_label for part in parts]), None)


def interval(metric: str, value: float, samples: np.ndarray | None, units: int) -> Measured:
    """Return a metric with its 95 % interval.

    A number from 0 to 1 has the interval of `share_interval`; kappa and mean error have a percentile interval, see
    `ends`. In simulations with 50 to 200 rows (benchmarks/interval_coverage.py) intervals contained the true value in
    93 to 97 % of cases, except for recall and precision of a class with about 20 rows (up to 98 %) and average
    precision of a few hundred rows (92-95 %). The calibration error has no interval, since resamples repeat rows, which
    increases it. An interval has zero width where all resamples give the same value, as with perfect predictions; this
    does not mean certainty.

    Args:
        metric: Its name.
        value: What was measured.
        samples: Its values in the resamples of `bootstrap`; None if there are none.
        units: Number of subjects and of rows without a known subject, see `number_of`.
    """
    if samples is None or metric in WITHOUT_INTERVAL:
        return Measured(value)
    return Measured(value, *ends(samples, units)) if metric in UNBOUNDED else share_interval(value, samples, units)


def draws(group: np.ndarray, *, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield the weight of each row in each resample, shape (rows, B), a few resamples at a time.

    Each resample draws as many groups as there are, with replacement.

    Args:
        group: Number of the group of each row, shape (rows,); see `groups`.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Raises:
        MedIMetaError: If no resample is asked for.
    """
    if resamples < 1:
        raise MedIMetaError(f"A bootstrap needs at least one resample, better 1000; got {resamples}.")
    rng, count = np.random.default_rng(seed), int(group.max()) + 1
    together = max(1, min(resamples, 16, (1 << 22) // len(group)))  # bounds the memory
    for start in range(0, resamples, together):
        drawn = [
            np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(min(together, resamples - start))
        ]
        yield np.stack(drawn, axis=1).astype(np.float64)[group]


def groups(subjects: Sequence[str | None] | None, rows: int) -> np.ndarray:
    """Return the number of each row's subject, from 0, in order of first rows; rows without a subject get their own.

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


def number_of(subjects: Sequence[str | None]) -> int:
    """Return the number of units that the bootstrap draws: subjects, and rows without a known subject."""
    known = {subject for subject in subjects if subject is not None}
    return len(known) + sum(subject is None for subject in subjects)


def describe(subjects: Sequence[str | None], resamples: int) -> str:
    """Return a description of the intervals of `bootstrap`: method, numbers of subjects and images, resamples."""
    if not resamples:
        return "none"
    units = number_of(subjects)
    alone = sum(subject is None for subject in subjects)
    copies = len({subject for subject in subjects if subject is not None and subject.startswith(COPIES)})
    parts = [(units - alone - copies, "subjects"), (copies, "groups of copies")]
    parts.append((alone, "images" if alone == len(subjects) or not parts[0][0] else "images without a known subject"))
    what = " and ".join(f"{number:,} {name}" for number, name in parts if number)
    narrow = f"{TOO_FEW} that intervals may be too narrow" if units < FEW else ""
    return f"95 %, bootstrap over {what}, {resamples:,} resamples{narrow}"


def _joined(parts: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}
