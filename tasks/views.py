"""One task of one dataset as a plain `Dataset` of image, label and subject, and its label statistics.

Only the label column is ever read here; images stay encoded until a row is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Value
from datasets import Sequence as ListOf

import medimeta

from ..cards.catalogue import DATASETS, Task
from ..cards.errors import MedIMetaError
from .ledger import Ledger, leaked_indices


def load_task(
    dataset: str,
    task: str | None = None,
    *,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    exclude_leaks: Ledger | str | os.PathLike[str] | None = None,
    **options: Any,
) -> Dataset:
    """Load one task: the columns `image`, `label` and `subject_id`.

    `label` is a `ClassLabel` for binary, multiclass and ordinal tasks. For a multilabel task it is a float32 vector
    with a 1 for every label present, in the order of `Task.labels`; a row whose labels are unknown is all NaN.
    No image is decoded and no pixels are copied.

    Args:
        dataset: Id of the dataset.
        task: Name or column of the task, in any case; the main task by default.
        split: "train", "validation" (or "val"), "test", or an expression such as "train[:10%]+test".
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        exclude_leaks: A ledger of `medimeta audit`, or its file: rows of the split that share an image or a subject
            with a split that is evaluated later are left out (train: validation and test; validation: test).
        **options: Further arguments of `medimeta.load_dataset`, e.g. `partial=True`.

    Raises:
        UnknownName: If there is no such dataset, task, split or option, or the ledger does not cover the dataset.
        SourceNotFound: If there are no data.
        MedIMetaError: If the data are to be streamed.
    """
    if options.get("streaming"):
        raise MedIMetaError(
            "load_task does not stream. Take the task's column of medimeta.load_dataset(streaming=True)."
        )
    card = DATASETS[dataset]
    wanted = card.tasks[0] if task is None else card.task(task)
    rows = medimeta.load_dataset(dataset, split=split, data_dir=data_dir, **options)
    if exclude_leaks is not None:
        leaked = leaked_indices(exclude_leaks, card.id, split)
        numbers = rows.select_columns(["index"]).with_format("numpy")[:]["index"]
        rows = rows.select(np.flatnonzero(~np.isin(numbers, sorted(leaked))))
    return task_view(rows, wanted)


def task_view(rows: Dataset, task: Task) -> Dataset:
    """Project rows with a column per task onto one task; see `load_task` for the columns.

    Args:
        rows: Rows of `task.dataset`, or of a subset of them.
        task: One of its tasks.
    """
    if task.target != "multilabel":
        view = rows.select_columns(["image", task.column, "subject_id"])
        return view.rename_column(task.column, "label")
    lists = rows.select_columns([task.column]).with_format("arrow")[:][task.column]
    vectors = multi_hot(lists, len(task.labels))
    # The new column lies beside the memory-mapped others; `map` would write every image again.
    view = rows.select_columns(["image", "subject_id"])
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), len(task.labels))
    view = view.add_column("label", column, feature=ListOf(Value("float32"), length=len(task.labels)))
    return view.select_columns(["image", "label", "subject_id"])


def multi_hot(lists: pa.Array | pa.ChunkedArray, labels: int) -> np.ndarray:
    """Lists of label ids as rows of zeros and ones; a null list gives a row of NaN.

    Args:
        lists: Arrow lists of ids from 0 to `labels - 1`, one list per row.
        labels: Number of labels.

    Returns:
        float32, shape (rows, labels).
    """
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    vectors = np.zeros((len(lists), labels), np.float32)
    vectors[pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists).to_numpy()] = 1
    vectors[pc.is_null(lists).to_numpy(zero_copy_only=False)] = np.nan
    return vectors


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
    if task.target == "multilabel":
        return np.asarray(np.nansum(labels, axis=0), np.int64)
    return np.bincount(labels, minlength=len(task.labels))


def class_weights(view: Dataset | Sequence[Any] | np.ndarray, task: Task) -> np.ndarray:
    """Weights that make every class count the same: n / (k * count), which average 1 over the rows.

    Args:
        view: As for `label_counts`.
        task: A binary, multiclass or ordinal task.

    Returns:
        float32, shape (k,). A class without rows has weight 0: there is nothing to weigh.

    Raises:
        MedIMetaError: If the task is multilabel, or the labels do not fit it.
    """
    if task.target == "multilabel":
        raise MedIMetaError(f"{task.name!r} of {task.dataset} is multilabel. Use positive_weights.")
    counts = label_counts(view, task)
    weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
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
    if task.target not in ("multilabel", "binary"):
        raise MedIMetaError(f"{task.name!r} of {task.dataset} is {task.target}. Use class_weights.")
    labels = labels_of(view, task)
    vectors = labels if task.target == "multilabel" else labels[:, None]
    positives = np.nansum(vectors, axis=0)
    negatives = (~np.isnan(vectors)).sum(axis=0) - positives
    return np.where(positives > 0, negatives / np.maximum(positives, 1), 1).astype(np.float32)


def check_labels(labels: Sequence[Any] | np.ndarray, task: Task) -> np.ndarray:
    """The labels of a task as an array, after checking that they fit it.

    Returns:
        int64 ids, shape (N,), 0 to k - 1; multilabel: float32 0, 1 or NaN (unknown), shape (N, k).

    Raises:
        MedIMetaError: If the shape or a value does not fit.
    """
    count = len(task.labels)
    found = np.asarray(labels)
    if task.target == "multilabel":
        shape: tuple[int, ...] = (len(found), count)
        wanted = f"vectors of 0, 1 or NaN, shape (N, {count})"
    else:
        shape = (len(found),)
        wanted = f"ids from 0 to {count - 1}, shape (N,)"
    if len(found) == 0:
        found = np.zeros(shape)
    fits = found.shape == shape and found.dtype.kind in "biuf"
    if fits and task.target == "multilabel":
        fits = bool(np.isin(np.nan_to_num(found), (0, 1)).all())
    elif fits:
        fits = bool(np.isin(found, np.arange(count)).all())
    if not fits:
        raise MedIMetaError(
            f"Labels of {task.name!r} ({task.dataset}, {task.target}) must be {wanted}; got shape {found.shape}, "
            f"values {np.unique(found)[:10].tolist()}. medimeta.load_task gives them in this form."
        )
    return found.astype(np.float32 if task.target == "multilabel" else np.int64)
