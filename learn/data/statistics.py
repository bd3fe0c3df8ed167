"""Label statistics of a view: counts per class, and weights that balance a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from datasets import ClassLabel, Dataset

from ...cards.catalogue import DATASETS, TaskLike
from ...cards.facts import Task
from ...errors import MedIMetaError
from .labels import check_labels

View: TypeAlias = Dataset | Sequence[Any] | np.ndarray  # a view, or its labels alone


def labels_of(view: View, task: TaskLike) -> np.ndarray:
    """Return the labels of a view, or labels as given, after `check_labels`; only the label column is read."""
    labels = view.select_columns(["label"]).with_format("numpy")[:]["label"] if isinstance(view, Dataset) else view
    return check_labels(labels, DATASETS.find_task(task))


def label_counts(view: View, task: TaskLike) -> np.ndarray:
    """Return the number of rows with each label; only the label column is read.

    Args:
        view: A view of the task, or its labels alone: ids of shape (N,), or multi-hot vectors of shape (N, k).
        task: The task: a `Task`, "id" (the main task), "id/task" or (id, task).

    Returns:
        int64, shape (k,). Multilabel: the number of rows in which the label is present; unknown labels (NaN) are not
        counted.

    Raises:
        UnknownName: If the task does not exist.
        MedIMetaError: If the labels do not fit the task.
    """
    task = DATASETS.find_task(task)
    labels = labels_of(view, task)
    if task.kind == "multilabel":
        return np.asarray(np.nansum(labels, axis=0), np.int64)
    return np.bincount(labels, minlength=len(task.labels))


def class_weights(view: View, task: TaskLike | None = None) -> np.ndarray:
    """Return weights with which every class counts the same in a loss: N / (classes present * rows of the class).

    They average 1 over the rows, like scikit-learn's "balanced" weights.

        weight = torch.from_numpy(medimeta.class_weights(train))
        loss = torch.nn.functional.cross_entropy(logits, labels, weight=weight)

    Args:
        view: As for `label_counts`.
        task: A binary, multiclass or ordinal task: a `Task`, "id" (the main task), "id/task" or (id, task). Required
            for labels alone; the classes of a view are read from its features.

    Returns:
        float32, shape (k,). The weight of a class without rows is 0.

    Raises:
        UnknownName: If the task does not exist.
        MedIMetaError: If the task is multilabel, or the labels do not fit it.
    """
    counts = _counts_of_view(view) if task is None else _counts_of_task(view, DATASETS.find_task(task))
    present = counts > 0
    weights = counts.sum() / (max(1, int(present.sum())) * np.maximum(counts, 1))
    return np.where(present, weights, 0).astype(np.float32)


def _counts_of_task(view: View, task: Task) -> np.ndarray:
    if task.kind == "multilabel":
        raise MedIMetaError(f"{task.name!r} of {task.dataset} is multilabel. {_POSITIVE}")
    return label_counts(view, task)


def _counts_of_view(view: View) -> np.ndarray:
    """Return the number of rows of a view with each class of its `label` feature."""
    if not isinstance(view, Dataset) or "label" not in view.column_names:
        raise MedIMetaError("class_weights needs a view of medimeta.load_task, or labels and their task.")
    if not isinstance(classes := view.features["label"], ClassLabel):
        raise MedIMetaError(f"The labels of this view are vectors: a multilabel task. {_POSITIVE}")
    labels = view.select_columns(["label"]).with_format("arrow")[:]["label"]
    if missing := labels.null_count:
        raise MedIMetaError(f"{missing:,} of {len(view):,} rows have no label. Select the rows that have one.")
    return np.bincount(labels.to_numpy(), minlength=len(classes.names))


_POSITIVE = "Use medimeta.learn.data.statistics.positive_weights(view, task) with binary cross-entropy."


def positive_weights(view: View, task: TaskLike) -> np.ndarray:
    """Return weights of positives that balance each label in binary cross-entropy: negatives / positives.

    Args:
        view: As for `label_counts`.
        task: A multilabel task, or a binary one with a single logit; named as for `label_counts`.

    Returns:
        float32, 0 or more, shape (k,) for multilabel, (1,) for binary. The weight of a label without positives is 1.

    Raises:
        UnknownName: If the task does not exist.
        MedIMetaError: If the task is of another kind, or the labels do not fit it.
    """
    task = DATASETS.find_task(task)
    if task.kind not in ("multilabel", "binary"):
        raise MedIMetaError(f"{task.name!r} of {task.dataset} is {task.kind}. Use class_weights.")
    labels = labels_of(view, task)
    vectors = labels if task.kind == "multilabel" else labels[:, None]
    positives = np.nansum(vectors, axis=0)
    negatives = (~np.isnan(vectors)).sum(axis=0) - positives
    return np.where(positives > 0, negatives / np.maximum(positives, 1), 1).astype(np.float32)
