"""Label statistics of a view: counts per class, and weights that balance a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from .labels import check_labels


def labels_of(view: Dataset | Sequence[Any] | np.ndarray, task: Task) -> np.ndarray:
    """The labels of a view, from its label column alone, or labels as they are; checked as in `check_labels`."""
    if isinstance(view, Dataset):
        view = view.select_columns(["label"]).with_format("numpy")[:]["label"]
    return check_labels(view, task)


def label_counts(view: Dataset | Sequence[Any] | np.ndarray, task: Task) -> np.ndarray:
    """How many rows have each label; only the label column is read.

    Args:
        view: A view of the task, or its labels alone: ids of shape (N,), or multi-hot vectors of shape (N, k).
        task: The task.

    Returns:
        int64, shape (k,). Multilabel: the rows where the label is present; unknown ones (NaN) count for nothing.

    Raises:
        MedIMetaError: If the labels do not fit the task.
    """
    labels = labels_of(view, task)
    if task.kind == "multilabel":
        return np.asarray(np.nansum(labels, axis=0), np.int64)
    return np.bincount(labels, minlength=len(task.labels))


def class_weights(view: Dataset | Sequence[Any] | np.ndarray, task: Task) -> np.ndarray:
    """Return weights that make every class count the same: rows / (classes with rows * rows of the class).

    They average 1 over the rows.

    Args:
        view: As for `label_counts`.
        task: A binary, multiclass or ordinal task.

    Returns:
        float32, shape (k,). A class without rows has weight 0: there is nothing to weigh.

    Raises:
        MedIMetaError: If the task is multilabel, or the labels do not fit it.
    """
    if task.kind == "multilabel":
        raise MedIMetaError(f"{task.name!r} of {task.dataset} is multilabel. Use positive_weights.")
    counts = label_counts(view, task)
    weights = counts.sum() / (max(np.count_nonzero(counts), 1) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 0).astype(np.float32)


def positive_weights(view: Dataset | Sequence[Any] | np.ndarray, task: Task) -> np.ndarray:
    """How much a positive should count in binary cross-entropy to balance each label: negatives / positives.

    Args:
        view: As for `label_counts`.
        task: A multilabel task, or a binary one with a single logit.

    Returns:
        float32, never negative, shape (k,) for multilabel, (1,) for binary. A label without positives has weight 1:
        there is no positive to weigh.

    Raises:
        MedIMetaError: If the task is of another kind, or the labels do not fit it.
    """
    if task.kind not in ("multilabel", "binary"):
        raise MedIMetaError(f"{task.name!r} of {task.dataset} is {task.kind}. Use class_weights.")
    labels = labels_of(view, task)
    vectors = labels if task.kind == "multilabel" else labels[:, None]
    positives = np.nansum(vectors, axis=0)
    negatives = (~np.isnan(vectors)).sum(axis=0) - positives
    return np.where(positives > 0, negatives / np.maximum(positives, 1), 1).astype(np.float32)
