"""The metrics of many weightings of the same rows at once, as a bootstrap needs them.

A row drawn three times counts three times. What `metrics.evaluate_scores` gives for one table of rows is computed here
for hundreds of such tables together: rows are ranked once, and what follows are sums over weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cards.facts import Task
from ..data.labels import check_labels
from .metrics import BINS, bins_of, check_scores, questions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Weighted:
    """Predictions whose metrics are wanted under different weights of the rows.

    Attributes:
        task: The task.
        scores: Probabilities, as for `evaluate_scores`.
        labels: As for `evaluate_scores`.
    """

    task: Task
    scores: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        truth = check_labels(self.labels, self.task)
        object.__setattr__(self, "labels", truth)
        object.__setattr__(self, "scores", check_scores(self.scores, self.task, len(truth)))

    def metrics(self, weights: Floats) -> dict[str, Floats]:
        """The metrics of `evaluate_scores`, without `absent`.

        Args:
            weights: How often each row counts, at least 0, shape (N, B): B weightings.

        Returns:
            Shape (B,) each; NaN where nothing is defined.
        """
        ranked = [ranking.areas(weights) for ranking in self._rankings]
        found = {
            "auroc": _mean_known(np.stack([auroc for auroc, _ in ranked])),
            "average_precision": _mean_known(np.stack([precision for _, precision in ranked])),
        }
        return found | (self._of_labels(weights) if self.task.kind == "multilabel" else self._of_classes(weights))

    def _of_labels(self, weights: Floats) -> dict[str, Floats]:
        count = len(self.task.labels)
        # Of each label: how often 0 or 1 is true (first) and said (second).
        cells = (self._cells @ weights).reshape(count, 2, 2, -1)
        negatives, positives = cells[:, 0].sum(axis=1), cells[:, 1].sum(axis=1)
        right = cells[:, 0, 0] + cells[:, 1, 1]
        false = cells[:, 0, 1] + cells[:, 1, 0]
        apart = np.abs((self._bins @ weights).reshape(count, BINS, -1)).sum(axis=1)
        return {
            "accuracy": _ratio(right.sum(axis=0), cells.sum(axis=(0, 1, 2))),
            "balanced_accuracy": _mean_known(
                (_ratio(cells[:, 0, 0], negatives) + _ratio(cells[:, 1, 1], positives)) / 2
            ),
            "f1": _mean_known(np.where(positives > 0, _ratio(2 * cells[:, 1, 1], 2 * cells[:, 1, 1] + false), np.nan)),
            "calibration_error": _mean_known(_ratio(apart, negatives + positives)),
        }

    def _of_classes(self, weights: Floats) -> dict[str, Floats]:
        count = len(self.task.labels)
        cells = (self._cells @ weights).reshape(count, count, -1)  # truth, prediction
        total, true, said = cells.sum(axis=(0, 1)), cells.sum(axis=1), cells.sum(axis=0)
        hits = np.einsum("iib->ib", cells)
        f1 = np.where(true > 0, _ratio(2 * hits, true + said), np.nan)
        found = {
            "accuracy": _ratio(hits.sum(axis=0), total),
            "balanced_accuracy": _mean_known(_ratio(hits, true)),
            "f1": _mean_known(f1[1:] if self.task.kind == "binary" else f1),
            "calibration_error": _ratio(np.abs(self._bins @ weights).sum(axis=0), total),
        }
        if self.task.kind == "ordinal":
            keys = np.array(self.task.keys, np.float64)
            apart = keys[:, None] - keys
            by_chance = np.einsum("ib,ij,jb->b", true, apart**2, said)
            found["kappa"] = 1 - _ratio(np.einsum("ijb,ij->b", cells, apart**2) * total, by_chance)
            found["mae"] = _ratio(np.einsum("ijb,ij->b", cells, np.abs(apart)), total)
        return found

    @cached_property
    def _rankings(self) -> list[_Ranking]:
        rows = (~np.isnan(self.labels)).T if self.task.kind == "multilabel" else [np.ones(len(self.labels), bool)]
        asked = questions(self.task, self.scores, self.labels)
        rows = [np.flatnonzero(known) for known in rows] * (len(asked) // len(rows))
        return [_Ranking.of(yes, score, which) for (yes, score), which in zip(asked, rows, strict=True)]

    @cached_property
    def _cells(self) -> Any:
        """Which cell of the table of truths and predictions a row counts in: a sparse matrix, (cells, N)."""
        count = len(self.task.labels)
        if self.task.kind == "multilabel":
            rows, label = np.nonzero(~np.isnan(self.labels))
            true, said = self.labels[rows, label] == 1, self.scores[rows, label] > 0.5
            return _sparse(label * 4 + true * 2 + said, rows, np.ones(len(rows)), (4 * count, len(self.labels)))
        rows = np.arange(len(self.labels))
        cells = self.labels * count + self.scores.argmax(axis=1)
        return _sparse(cells, rows, np.ones(len(rows)), (count**2, len(rows)))

    @cached_property
    def _bins(self) -> Any:
        """Confidence minus truth of a row, in the bin of its confidence: a sparse matrix, (bins, N)."""
        if self.task.kind == "multilabel":
            rows, label = np.nonzero(~np.isnan(self.labels))
            confidence = self.scores[rows, label]
            apart, bins = confidence - self.labels[rows, label], label * BINS + bins_of(confidence)
            return _sparse(bins, rows, apart, (BINS * len(self.task.labels), len(self.labels)))
        confidence = self.scores.max(axis=1)
        apart = confidence - (self.scores.argmax(axis=1) == self.labels)
        return _sparse(bins_of(confidence), np.arange(len(self.labels)), apart, (BINS, len(self.labels)))


@dataclass(frozen=True)
class _Ranking:
    """One question, ranked: what comes before each positive row does not depend on weights.

    Attributes:
        positives: Rows with the label, by ascending score, shape (P,).
        negatives: Rows without it, by ascending score.
        below: Number of negatives with a lower score than each positive, shape (P,).
        not_above: Number of negatives with a lower or the same score.
        first: Number of positives with a lower score.
    """

    positives: NDArray[np.intp]
    negatives: NDArray[np.intp]
    below: NDArray[np.intp]
    not_above: NDArray[np.intp]
    first: NDArray[np.intp]

    @classmethod
    def of(cls, yes: np.ndarray, score: np.ndarray, rows: np.ndarray) -> _Ranking:
        order = np.argsort(score, kind="stable")
        yes, score, rows = yes[order], score[order], rows[order]
        high, low = score[yes], score[~yes]
        return cls(
            rows[yes],
            rows[~yes],
            np.searchsorted(low, high, side="left"),
            np.searchsorted(low, high, side="right"),
            np.searchsorted(high, high, side="left"),
        )

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """AUROC and average precision, shape (B,) each, of weights of shape (N, B)."""
        mine, others = weights[self.positives], _sums(weights[self.negatives])
        positives, negatives = mine.sum(axis=0), others[-1]
        below = others[self.below]
        # A positive wins over the negatives below it, and half over those beside it.
        wins = np.einsum("pb,pb->b", mine, below + others[self.not_above])
        auroc = _ratio(wins, 2 * positives * negatives)
        found = positives - _sums(mine)[self.first]  # with a threshold at the score of each positive
        precision = _ratio(found, found + (negatives - below))
        area = _ratio(np.einsum("pb,pb->b", mine, np.nan_to_num(precision)), positives)
        return auroc, np.where(negatives > 0, area, np.nan)


def _sums(weights: Floats) -> Floats:
    """Sums of the first 0, 1, 2, ... rows."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


def _ratio(above: Floats, below: Floats) -> Floats:
    """Quotients; NaN where there is nothing to divide by."""
    quotients = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=quotients, where=below > 0)
    return quotients


def _mean_known(values: Floats) -> Floats:
    """Means over the first axis of what is not NaN."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0))


def _sparse(cells: np.ndarray, rows: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array

    return csr_array((values, (cells, rows)), shape=shape)
