"""The metrics of the protocols: from probabilities and labels to named numbers."""

from __future__ import annotations

import numpy as np

from ...cards.facts import Task
from ...errors import MedIMetaError
from ..data.labels import check_labels

BINS = 15  # of the calibration error, equally wide
Question = tuple[np.ndarray, np.ndarray]  # does a row have the label? bool, and its probability, both shape (rows,)

# What is compared, best first; every other metric is better when larger.
SMALLER_IS_BETTER = ("mae", "calibration_error")


def evaluate_scores(task: Task, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Compare predicted probabilities with labels, by the metrics that fit the task.

    Binary tasks ask one question, "is it the second label?"; multiclass and ordinal ones a question per class, "is it
    this one rather than any other?"; multilabel ones a question per label. Labels that no row has, or all rows have,
    leave nothing to rank: they are left out of means over labels, and `absent_labels` names them.

    Args:
        task: The task; its kind of target decides the metrics.
        scores: Probabilities. Binary: of the second label, shape (N,), or of both, shape (N, 2). Multiclass and
            ordinal: shape (N, k). Multilabel: of each label on its own, shape (N, k).
        labels: Ids, shape (N,); multilabel: 0, 1 or NaN (unknown, left out), shape (N, k).

    Returns:
        * `auroc`: area under the ROC curve, the mean over questions. NaN when there is nothing to compare.
        * `average_precision`: the mean over the same questions.
        * `absent`: how many questions are left out of those two.
        * `accuracy`: share of rows whose most probable class is right; multilabel: of single labels, cut at 0.5.
        * `balanced_accuracy`: the mean over the classes that rows have of the share that is found; multilabel: of
          sensitivity and specificity, then over labels.
        * `f1`: the mean over the questions to which some row answers yes.
        * `calibration_error`: how far confidence is from accuracy, the mean over rows of the difference in their bin,
          15 bins of equal width. Confidence is the probability of the most probable class (Guo et al., ICML 2017);
          multilabel: of each label, against its frequency, then the mean over labels.
        * `kappa` (ordinal): quadratic weighted kappa, -1 to 1, on the published scores, so that their gaps count.
          NaN when labels and predictions are all the same class.
        * `mae` (ordinal): mean absolute error on the published scores.

    Raises:
        MedIMetaError: If shapes or values do not fit, or there are no rows.
    """
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

    truth = check_labels(labels, task)
    scores = check_scores(scores, task, len(truth))
    asked = questions(task, scores, truth)
    open_ones = [(yes, score) for yes, score in asked if yes.any() and not yes.all()]
    result = {
        "auroc": _mean([roc_auc_score(yes, score) for yes, score in open_ones]),
        "average_precision": _mean([average_precision_score(yes, score) for yes, score in open_ones]),
        "absent": float(len(asked) - len(open_ones)),
    }
    if task.kind == "multilabel":
        return result | {
            "accuracy": _mean(np.concatenate([yes == (score > 0.5) for yes, score in asked])),
            "balanced_accuracy": _mean([balanced_accuracy_score(yes, score > 0.5) for yes, score in open_ones]),
            "f1": _mean([f1_score(yes, score > 0.5, zero_division=0) for yes, score in asked if yes.any()]),
            "calibration_error": _mean([calibration_error(score, yes) for yes, score in asked if len(yes)]),
        }
    predicted = scores.argmax(axis=1)
    present = np.unique(truth)
    positive = present[present > 0] if task.kind == "binary" else present
    result |= {
        "accuracy": _mean(predicted == truth),
        "balanced_accuracy": _mean([(predicted[truth == label] == label).mean() for label in present]),
        "f1": _mean([f1_score(truth == label, predicted == label, zero_division=0) for label in positive]),
        "calibration_error": calibration_error(scores.max(axis=1), predicted == truth),
    }
    if task.kind == "ordinal":
        keys = np.array(task.keys, np.float64)
        result["kappa"] = quadratic_kappa(keys[truth], keys[predicted])
        result["mae"] = _mean(np.abs(keys[truth] - keys[predicted]))
    return result


def absent_labels(task: Task, labels: np.ndarray) -> list[str]:
    """The names of the labels that `evaluate_scores` leaves out of means: no row has them, or all have.

    Args:
        task: The task.
        labels: As for `evaluate_scores`.
    """
    truth = check_labels(labels, task)
    asked = questions(task, np.zeros((len(truth), len(task.labels))), truth)
    names = task.labels[-len(asked) :]  # a binary task asks about its second label
    return [name for name, (yes, _) in zip(names, asked, strict=True) if not yes.any() or yes.all()]


def questions(task: Task, scores: np.ndarray, labels: np.ndarray) -> list[Question]:
    """The yes-or-no questions of a task, over the rows whose answer is known.

    Args:
        task: The task.
        scores: Checked probabilities, shape (N, k).
        labels: Checked labels.
    """
    if task.kind == "multilabel":
        known = ~np.isnan(labels)
        return [(labels[rows, j] == 1, scores[rows, j]) for j, rows in enumerate(known.T)]
    first = 1 if task.kind == "binary" else 0
    return [(labels == j, scores[:, j]) for j in range(first, scores.shape[1])]


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """The expected calibration error: the mean over rows of the difference of confidence and accuracy in their bin.

    Args:
        confidence: Probabilities, shape (N,).
        right: Whether what they were given to was so, bool, shape (N,).
    """
    differences = np.bincount(bins_of(confidence), weights=confidence - right, minlength=BINS)
    return float(np.abs(differences).sum() / len(confidence))


def bins_of(confidence: np.ndarray) -> np.ndarray:
    """The bin of each probability, 0 to 14; each bin holds its lower edge, and the last one its upper one too."""
    return np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)


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


def probabilities(task: Task, logits: np.ndarray) -> np.ndarray:
    """What a model's logits mean: a sigmoid of each for multilabel tasks or a single logit, else softmax.

    Args:
        task: The task.
        logits: Shape (N, k); binary also (N,) or (N, 1).

    Returns:
        float64, as `evaluate_scores` takes them.

    Raises:
        MedIMetaError: If a logit is NaN or infinite.
    """
    values = np.asarray(logits, np.float64)
    if not np.isfinite(values).all():
        raise MedIMetaError(
            f"{(~np.isfinite(values)).sum():,} of {values.size:,} logits are NaN or infinite: training diverged. "
            "Use a lower learning rate, or full precision."
        )
    if task.kind == "binary" and values.shape[1:] == (1,):
        values = values[:, 0]
    if task.kind == "multilabel" or values.ndim == 1:
        return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))  # overflows nowhere
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def check_scores(scores: np.ndarray, task: Task, rows: int) -> np.ndarray:
    """The probabilities of a task with one column per label, after checking that they fit.

    Returns:
        float64, shape (rows, k).

    Raises:
        MedIMetaError: If the shape or a value does not fit.
    """
    found = np.asarray(scores, np.float64)
    shape = (rows, len(task.labels))
    fits = [shape, (rows,)] if task.kind == "binary" else [shape]
    if rows == 0 or found.shape not in fits:
        raise MedIMetaError(
            f"Scores of {task.name!r} ({task.dataset}, {task.kind}) for {rows} labelled rows must have shape "
            f"{' or '.join(map(str, fits))} and at least one row; got {found.shape}. Give a row per image "
            "and a column per label."
        )
    if (lost := int((~np.isfinite(found)).reshape(rows, -1).any(axis=1).sum())) > 0:
        raise MedIMetaError(
            f"Scores of {task.name!r} ({task.dataset}) are NaN or infinite in {lost} of {rows} rows, as from a model "
            "whose training diverged. Train it again with a lower learning rate."
        )
    # A little slack for half precision.
    if not bool(((found >= -1e-3) & (found <= 1 + 1e-3)).all()):
        raise MedIMetaError(
            f"Scores of {task.name!r} ({task.dataset}) must be probabilities, 0 to 1; got {found.min():.4g} to "
            f"{found.max():.4g}. Apply {'a sigmoid' if task.kind == 'multilabel' else 'softmax'} to logits first."
        )
    return np.stack([1 - found, found], axis=1) if found.ndim == 1 else found


def _mean(values: np.ndarray | list[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
