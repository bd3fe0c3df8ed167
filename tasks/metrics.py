"""The metrics of the protocols: from probabilities and labels to named numbers."""

from __future__ import annotations

import numpy as np

from ..cards.catalogue import Task
from ..cards.errors import MedIMetaError
from .views import check_labels


def evaluate_scores(task: Task, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compare predicted probabilities with labels, by the metrics that fit the task.

    Args:
        task: The task; its kind of target decides the metrics.
        scores: Probabilities. Binary: of the second label, shape (N,), or of both, shape (N, 2). Multiclass and
            ordinal: shape (N, k). Multilabel: of each label on its own, shape (N, k).
        labels: Ids, shape (N,); multilabel: 0, 1 or NaN (unknown, left out), shape (N, k).

    Returns:
        * `auroc`: binary as usual; multiclass and ordinal the mean over classes, each against the rest; multilabel
          the mean over labels. NaN when there is nothing to compare.
        * `absent`: how many classes are left out of that mean because none or all of the rows have them.
        * `accuracy`: share of rows whose most probable class is right; multilabel: of single labels, cut at 0.5.
        * `average_precision` (multilabel): the mean over the same labels as `auroc`.
        * `kappa` (ordinal): quadratic weighted kappa, -1 to 1, on the published scores, so that their gaps count.
          NaN when labels and predictions are all the same class.
        * `mae` (ordinal): mean absolute error on the published scores.

    Raises:
        MedIMetaError: If shapes or values do not fit, or there are no rows.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth = check_labels(labels, task)
    scores = _check_scores(scores, task, len(truth))
    # One yes-or-no question per class: is it this one? A binary task asks only about its second label.
    if task.target == "multilabel":
        known = ~np.isnan(truth)
        questions = [(truth[k, j] == 1, scores[k, j]) for j, k in enumerate(known.T)]
    else:
        first = 1 if task.target == "binary" else 0
        questions = [(truth == j, scores[:, j]) for j in range(first, scores.shape[1])]
    open_ones = [(yes, score) for yes, score in questions if yes.any() and not yes.all()]
    result = {
        "auroc": _mean([roc_auc_score(yes, score) for yes, score in open_ones]),
        "absent": float(len(questions) - len(open_ones)),
    }
    if task.target == "multilabel":
        result["accuracy"] = _mean(np.concatenate([yes == (score > 0.5) for yes, score in questions]))
        result["average_precision"] = _mean([average_precision_score(yes, score) for yes, score in open_ones])
        return result
    predicted = scores.argmax(axis=1)
    result["accuracy"] = _mean(predicted == truth)
    if task.target == "ordinal":
        keys = np.array(task.keys, np.float64)
        result["kappa"] = quadratic_kappa(keys[truth], keys[predicted])
        result["mae"] = _mean(np.abs(keys[truth] - keys[predicted]))
    return result


def quadratic_kappa(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Agreement of two series of numbers: 1 minus their squared difference over that of a random pairing.

    Cohen's kappa with quadratic weights; unlike scikit-learn's, unequal distances between the numbers count.

    Args:
        truth: Numbers, shape (N,).
        predicted: Numbers, shape (N,).

    Returns:
        1 for full agreement, about 0 for chance, down to -1; NaN when all numbers are equal.
    """
    by_chance = truth.var() + predicted.var() + (truth.mean() - predicted.mean()) ** 2
    return float(1 - ((truth - predicted) ** 2).mean() / by_chance) if by_chance > 0 else float("nan")


def _mean(values: np.ndarray | list[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _check_scores(scores: np.ndarray, task: Task, rows: int) -> np.ndarray:
    """The probabilities with one column per label, after checking that they fit."""
    found = np.asarray(scores, np.float64)
    shape = (rows, len(task.labels))
    fits = [shape, (rows,)] if task.target == "binary" else [shape]
    if rows == 0 or found.shape not in fits:
        raise MedIMetaError(
            f"Scores of {task.name!r} ({task.dataset}, {task.target}) for {rows} labelled rows must have shape "
            f"{' or '.join(map(str, fits))} and at least one row; got {found.shape}."
        )
    # A little slack for half precision; NaN fails the comparison too.
    if not bool(((found >= -1e-3) & (found <= 1 + 1e-3)).all()):
        raise MedIMetaError(
            f"Scores of {task.name!r} ({task.dataset}) must be probabilities, 0 to 1; got {found.min():.4g} to "
            f"{found.max():.4g}. Apply {'a sigmoid' if task.target == 'multilabel' else 'softmax'} to logits first."
        )
    return np.stack([1 - found, found], axis=1) if found.ndim == 1 else found
