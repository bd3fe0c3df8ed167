"""AUROC and average precision of one label, under many weightings of the same rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Rows sorted by the score of one label. Sorting does not depend on weights, so it is done once.

    Attributes:
        positives: Rows with the label, by ascending score, shape (P,).
        negatives: Rows without it, by ascending score, shape (N,).
        below: Number of negatives with a lower score than each positive, shape (P,).
        not_above: Number of negatives with a lower or equal score, shape (P,).
        first: Number of positives with a lower score, shape (P,).
    """

    positives: NDArray[np.intp]
    negatives: NDArray[np.intp]
    below: NDArray[np.intp]
    not_above: NDArray[np.intp]
    first: NDArray[np.intp]

    @classmethod
    def of(cls, has_label: np.ndarray, scores: np.ndarray) -> Ranking:
        """Return the ranking of rows by score.

        Args:
            has_label: 1 or True for rows with the label, 0 or False for rows without it, NaN where this is unknown,
                shape (rows,).
            scores: Score of the label, shape (rows,).
        """
        order = np.argsort(scores, kind="stable")
        positives, negatives = order[has_label[order] == 1], order[has_label[order] == 0]
        high, low = scores[positives], scores[negatives]
        return cls(
            positives,
            negatives,
            np.searchsorted(low, high, side="left"),
            np.searchsorted(low, high, side="right"),
            np.searchsorted(high, high, side="left"),
        )

    def areas(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return AUROC and average precision, shape (B,) each.

        AUROC is the share of pairs of a positive and a negative row in which the positive row has the higher score;
        ties count half. Average precision is the mean, over positive rows, of the precision with the threshold at
        their score. Both are NaN where one of the two sides has no weight.

        Args:
            weights: How often each row counts, shape (rows, B).
        """
        mine, others = weights[self.positives], running_sums(weights[self.negatives])
        positives, negatives = mine.sum(axis=0), others[-1]
        below = others[self.below]
        wins = np.einsum("pb,pb->b", mine, below + others[self.not_above])
        auroc = ratio(wins, 2 * positives * negatives)
        true = positives - running_sums(mine)[self.first]  # positives at or above the threshold
        said = true + (negatives - below)  # all rows at or above it; 0 only where the positive has no weight
        precision = np.divide(mine * true, said, out=np.zeros_like(mine), where=said > 0)
        area = ratio(precision.sum(axis=0), positives)
        return auroc, np.where(negatives > 0, area, np.nan)


def running_sums(weights: Floats) -> Floats:
    """Return the sums of the first 0, 1, 2, ... rows, shape (rows + 1, B)."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


def ratio(above: Floats, below: Floats) -> Floats:
    """Return quotients; NaN where the divisor is 0."""
    quotients = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=quotients, where=below > 0)
    return quotients


def mean_known(values: Floats) -> Floats:
    """Return means over the first axis, without NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0))
