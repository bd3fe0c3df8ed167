"""Temperature scaling: calibrate probabilities by one number, which is chosen on the validation split.

C. Guo et al., "On calibration of modern neural networks", ICML 2017. The most probable label of an image does not
change.
"""

from __future__ import annotations

import numpy as np

from ....cards.facts import Task
from ....errors import MedIMetaError
from ...data.labels import check_labels
from .scores import check_scores, probabilities

BOUNDS = (1 / 50, 50.0)  # smallest and largest temperature
LEAST = 1e-12  # smaller probabilities are raised to this before the logarithm


def temperature(task: Task, scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature that minimises the negative log-likelihood of a validation split.

    Args:
        task: The task.
        scores: Probabilities, as for `evaluate_scores`.
        labels: As for `evaluate_scores`; rows with unknown labels are ignored.

    Returns:
        The temperature, 1/50 to 50: above 1 for an overconfident model, below 1 for an underconfident one.

    Raises:
        MedIMetaError: If shapes or values do not fit, or no label is known.
    """
    from scipy.optimize import minimize_scalar

    labels = np.asarray(labels)
    known = ~np.isnan(labels).all(axis=1) if task.kind == "multilabel" else labels >= 0
    if not known.any():
        raise MedIMetaError(f"No validation row has a known label of {task.name!r}, so that nothing can be calibrated.")
    truth = check_labels(labels[known], task)
    given = check_scores(np.asarray(scores)[known], task, len(truth))
    low, high = np.log(BOUNDS)
    optimum = minimize_scalar(
        lambda log: _loss(task, scaled(task, given, float(np.exp(log))), truth), bounds=(low, high), method="bounded"
    )
    return float(np.exp(optimum.x))


def scaled(task: Task, scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities whose logits are divided by a temperature.

    Args:
        task: The task.
        scores: Probabilities, shape (N, k); binary also (N,).
        temperature: What `temperature` returns.

    Returns:
        float64, of the same shape.
    """
    values = np.asarray(scores, np.float64)
    logs = np.log(values.clip(LEAST, 1))
    if task.kind == "multilabel" or values.ndim == 1:
        logs = logs - np.log((1 - values).clip(LEAST, 1))
    return probabilities(task, logs / temperature)


def _loss(task: Task, scores: np.ndarray, labels: np.ndarray) -> float:
    if task.kind == "multilabel":
        right = np.where(labels == 1, scores, 1 - scores)[~np.isnan(labels)]
    else:
        right = scores[np.arange(len(labels)), labels]
    return float(-np.log(right.clip(LEAST, 1)).mean())
