"""The metrics of all protocols, in one implementation for single evaluations, resamples and episodes.

Everything is computed under weights of the rows: a row of weight three counts like three rows. One evaluation has
weights of 1; a bootstrap has a column of weights per resample.

A label that no row has, or all rows have, cannot be ranked: its AUROC and average precision are not defined. It is left
out of means over labels, and `absent_labels` names it. Other libraries differ: torchmetrics counts the AUROC of an
absent class as 0 in the mean, which gives lower numbers on small test sets and episodes.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ....cards.facts import Task
from ...data.labels import check_labels
from .ranking import Floats, Ranking, mean_known, ratio
from .scores import check_scores

BINS = 15  # of the calibration error, of equal width
RANKING = ("auroc", "average_precision", "calibration_error")  # need probabilities: predicted labels are not enough
WITHOUT_INTERVAL = ("calibration_error",)  # resamples repeat rows, which adds to it: their interval misses the truth
UNBOUNDED = ("kappa", "mae")  # every other metric is from 0 to 1
SMALLER_IS_BETTER = ("mae", "calibration_error")  # every other metric is better when larger


class Metrics(NamedTuple):
    """Metrics under B weightings of the rows; NaN where a metric is not defined.

    Attributes:
        overall: By name, shape (B,) each; the names are those of `evaluate_scores`, without "absent".
        per_label: "auroc", "average_precision", "recall", "precision" and "support" (rows with the label), shape
            (k, B) each.
        confusion: Weight of the rows of each label (first axis) that were predicted as each label (second axis),
            shape (k, k, B); None for multilabel tasks.
    """

    overall: dict[str, Floats]
    per_label: dict[str, Floats]
    confusion: Floats | None


class Scored:
    """Predictions with their labels, checked, ready to be measured under any weights.

    Args:
        task: The task.
        scores: As for `evaluate_scores`.
        labels: As for `evaluate_scores`.

    Raises:
        MedIMetaError: If shapes or values do not fit, or there are no rows.
    """

    def __init__(self, task: Task, scores: np.ndarray, labels: np.ndarray) -> None:
        self.task = task
        self.labels = check_labels(labels, task)
        self.scores = check_scores(scores, task, len(self.labels))

    def measure(self, weights: Floats | None = None) -> Metrics:
        """Return all metrics.

        Args:
            weights: Weight of each row, 0 or more, shape (N, B); 1 by default.
        """
        if weights is None:
            weights = np.ones((len(self.labels), 1))
        count, multilabel = len(self.task.labels), self.task.kind == "multilabel"
        cells = self._cells @ weights
        confusion = None if multilabel else cells.reshape(count, count, -1)
        if confusion is None:
            tn, fp, fn, tp = np.moveaxis(cells.reshape(count, 4, -1), 1, 0)
        else:
            tp = np.einsum("iib->ib", confusion)
            fp, fn = confusion.sum(axis=0) - tp, confusion.sum(axis=1) - tp
            tn = confusion.sum(axis=(0, 1)) - tp - fp - fn
        support, total = tp + fn, tp + fp + fn + tn
        recall, specificity = ratio(tp, support), ratio(tn, tn + fp)
        f1 = np.where(support > 0, ratio(2 * tp, 2 * tp + fp + fn), np.nan)
        areas = [ranking.areas(weights) for ranking in self._rankings]
        auroc, precision_area = (np.stack(area) for area in zip(*areas, strict=True))
        apart = np.abs((self._gaps @ weights).reshape(-1, BINS, weights.shape[1])).sum(axis=1)
        means = slice(1, None) if self.task.kind == "binary" else slice(None)  # a binary task is about its second label
        overall = {
            "auroc": mean_known(auroc[means]),
            "average_precision": mean_known(precision_area[means]),
            "accuracy": ratio((tp + tn).sum(axis=0), total.sum(axis=0))
            if multilabel
            else ratio(tp.sum(axis=0), total[0]),
            "balanced_accuracy": mean_known((recall + specificity) / 2 if multilabel else recall),
            "f1": mean_known(f1[means]),
            "calibration_error": mean_known(ratio(apart, total[: len(apart)])),
        }
        if self.task.kind == "ordinal" and confusion is not None:
            keys = np.array(self.task.keys, np.float64)
            distance = np.abs(keys[:, None] - keys)
            by_chance = np.einsum("ib,ij,jb->b", support, distance**2, tp + fp)
            squared = np.einsum("ijb,ij->b", confusion, distance**2)
            overall["kappa"] = 1 - ratio(squared * total[0], by_chance)
            overall["mae"] = ratio(np.einsum("ijb,ij->b", confusion, distance), total[0])
        per_label = {"auroc": auroc, "average_precision": precision_area, "recall": recall}
        per_label |= {"precision": ratio(tp, tp + fp), "support": support}
        return Metrics(overall, per_label, confusion)

    @cached_property
    def _rankings(self) -> list[Ranking]:
        return [Ranking.of(column, score) for column, score in zip(self._truth.T, self.scores.T, strict=True)]

    @cached_property
    def _truth(self) -> np.ndarray:
        """Whether a row has a label: 1, 0 or NaN (unknown), shape (N, k)."""
        if self.task.kind == "multilabel":
            return self.labels
        return np.asarray(self.labels[:, None] == np.arange(len(self.task.labels)))

    @cached_property
    def _cells(self) -> Any:
        """Which count a row adds to: truth and prediction, of the row or of each label; see `_adder`."""
        count = len(self.task.labels)
        if self.task.kind == "multilabel":
            known = ~np.isnan(self.labels)
            cells = np.arange(count) * 4 + np.nan_to_num(self.labels).astype(np.int64) * 2 + (self.scores > 0.5)
            return _adder(cells, known, 4 * count)
        cells = self.labels * count + self.scores.argmax(axis=1)
        return _adder(cells[:, None], np.ones((len(cells), 1)), count**2)

    @cached_property
    def _gaps(self) -> Any:
        """Confidence minus truth, in the bin of the confidence, of the row or of each label; see `_adder`."""
        if self.task.kind == "multilabel":
            confidence, truth, first = self.scores, self.labels, np.arange(len(self.task.labels)) * BINS
        else:
            confidence = self.scores.max(axis=1, keepdims=True)
            truth, first = (self.scores.argmax(axis=1) == self.labels)[:, None], np.zeros(1, np.int64)
        bins = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)  # each holds its lower edge
        return _adder(first + bins, np.nan_to_num(confidence - truth), len(first) * BINS)


def evaluate_scores(task: Task, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the metrics of predicted probabilities, by name, that fit the kind of task.

    Means over labels are over the classes of a multiclass or ordinal task (each against the rest), over the labels of
    a multilabel task, and over the second label alone of a binary task.

    Args:
        task: The task; its kind decides the metrics.
        scores: Probabilities. Binary: of the second label, shape (N,), or of both, shape (N, 2). Multiclass and
            ordinal: shape (N, k), rows that sum to 1. Multilabel: of each label on its own, shape (N, k).
        labels: Ids, shape (N,); multilabel: 0, 1 or NaN (unknown, left out), shape (N, k).

    Returns:
        * `auroc`: area under the ROC curve, the mean over labels. NaN when no label can be ranked.
        * `average_precision`: the mean over the same labels.
        * `absent`: number of labels that are left out of those two; see the head of this module.
        * `accuracy`: share of rows whose most probable class is right; multilabel: of single labels, cut at 0.5.
        * `balanced_accuracy`: mean recall of the classes that rows have; multilabel: mean of sensitivity and
          specificity, then over labels.
        * `f1`: the mean over the labels that some row has.
        * `calibration_error`: expected calibration error: the mean over rows of the difference between confidence and
          accuracy in their bin, 15 bins of equal width. Confidence is the probability of the most probable class (Guo
          et al., ICML 2017); multilabel: of each label, against its frequency, then the mean over labels.
        * `kappa` (ordinal): Cohen's kappa with quadratic weights on the published scores, whose gaps count; -1 to 1.
          NaN when labels and predictions are all the same class.
        * `mae` (ordinal): mean absolute error on the published scores.

    Raises:
        MedIMetaError: If shapes or values do not fit, or there are no rows.
    """
    return flat(task, Scored(task, scores, labels).measure())


def flat(task: Task, measured: Metrics) -> dict[str, float]:
    """Return the overall metrics of the first weighting, in the form of `evaluate_scores`."""
    values = {name: float(value[0]) for name, value in measured.overall.items()}
    auroc = measured.per_label["auroc"][1 if task.kind == "binary" else 0 :, 0]
    values["absent"] = float(np.isnan(auroc).sum())
    return values


def absent_labels(task: Task, labels: np.ndarray) -> list[str]:
    """Return the names of labels that no row or every row has, which means over labels leave out.

    Args:
        task: The task; of a binary task only the second label counts.
        labels: As for `evaluate_scores`.
    """
    truth = check_labels(labels, task)
    if task.kind != "multilabel":
        truth = truth[:, None] == np.arange(len(task.labels))
    mixed = (truth == 1).any(axis=0) & (truth == 0).any(axis=0)
    first = 1 if task.kind == "binary" else 0
    return [name for name, both in list(zip(task.labels, mixed, strict=True))[first:] if not both]


def _adder(cells: np.ndarray, values: np.ndarray, size: int) -> Any:
    """Return a sparse matrix, shape (size, N), whose product with weights adds values up by cell.

    Args:
        cells: Cells of each row, shape (N, m).
        values: What a row of weight 1 adds to each of them, shape (N, m).
        size: Number of cells.
    """
    from scipy.sparse import csc_array

    starts = np.arange(0, cells.size + 1, cells.shape[1])
    return csc_array((values.astype(np.float64).ravel(), cells.ravel(), starts), shape=(size, len(cells)))
