"""Predicted probabilities: computed from logits, and checked against their task."""

from __future__ import annotations

import numpy as np

from ....cards.facts import Task
from ....errors import MedIMetaError

SLACK = 1e-3  # tolerance of the range 0 to 1, for half precision
SUM_SLACK = 0.01  # tolerance of the sum of the probabilities of a row


def probabilities(task: Task, logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of logits: by a sigmoid for multilabel tasks and single logits, else by a softmax.

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
        return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))  # never overflows
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def check_scores(scores: np.ndarray, task: Task, rows: int) -> np.ndarray:
    """Return the probabilities of a task with one column per label, after checking that they fit.

    Args:
        scores: Shape (rows, k); binary also (rows,), the probability of the second label.
        task: The task.
        rows: Number of rows that have labels.

    Returns:
        float64, shape (rows, k).

    Raises:
        MedIMetaError: If the shape or a value does not fit.
    """
    where = f"{task.name!r} ({task.dataset})"
    try:
        values = np.asarray(scores, np.float64)
    except (TypeError, ValueError) as error:
        raise MedIMetaError(
            f"Scores of {where} must be numbers, a row per image, all of one length: {error}"
        ) from error
    shapes = [(rows, len(task.labels))] + ([(rows,)] if task.kind == "binary" else [])
    if rows == 0 or values.shape not in shapes:
        raise MedIMetaError(
            f"Scores of {task.name!r} ({task.dataset}, {task.kind}) for {rows} labelled rows must have shape "
            f"{' or '.join(map(str, shapes))} and at least one row; got {values.shape}. Give a row per image "
            "and a column per label."
        )
    if (lost := int((~np.isfinite(values)).reshape(rows, -1).any(axis=1).sum())) > 0:
        raise MedIMetaError(
            f"Scores of {where} are NaN or infinite in {lost} of {rows} rows, as from a model whose training "
            "diverged. Train it again with a lower learning rate."
        )
    function = "a sigmoid" if task.kind == "multilabel" else "softmax"
    if not bool(((values >= -SLACK) & (values <= 1 + SLACK)).all()):
        raise MedIMetaError(
            f"Scores of {where} must be probabilities, 0 to 1; got {values.min():.4g} to {values.max():.4g}. "
            f"Apply {function} to logits first."
        )
    if values.ndim == 1:
        return np.stack([1 - values, values], axis=1)
    if (row := first_without_sum_one(task, values)) is not None:
        raise MedIMetaError(
            f"Scores of {where}: row {row} sums to {values[row].sum():.4g}, not 1. Apply {function} to logits first, "
            "or divide each row by its sum."
        )
    return values


def first_without_sum_one(task: Task, scores: np.ndarray) -> int | None:
    """Return the first row whose probabilities do not sum to 1 (within 0.01); None if there is none.

    Args:
        task: Multilabel tasks have a probability per label, which need not sum to 1.
        scores: Shape (N, k).
    """
    if task.kind == "multilabel":
        return None
    off = np.abs(scores.sum(axis=1) - 1) > SUM_SLACK
    return int(off.argmax()) if off.any() else None
