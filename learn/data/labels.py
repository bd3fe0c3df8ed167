"""Labels as arrays: multi-hot vectors, and a check that labels fit their task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...cards.facts import Task
from ...errors import MedIMetaError, some


def multi_hot(lists: pa.Array | pa.ChunkedArray, labels: int) -> np.ndarray:
    """Turn lists of label ids into rows of zeros and ones; a null list gives a row of NaN.

    Args:
        lists: Arrow lists of ids from 0 to `labels - 1`, one list per row.
        labels: Number of labels.

    Returns:
        float32, shape (rows, labels).

    Raises:
        MedIMetaError: If an id is out of range or null.
    """
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    ids = pc.list_flatten(lists)
    if ids.null_count or (len(ids) and not 0 <= pc.min(ids).as_py() <= pc.max(ids).as_py() < labels):
        raise MedIMetaError(f"Lists of labels hold ids that are not from 0 to {labels - 1}. Build the dataset again.")
    vectors = np.zeros((len(lists), labels), np.float32)
    vectors[pc.list_parent_indices(lists).to_numpy(), ids.to_numpy()] = 1
    vectors[pc.is_null(lists).to_numpy(zero_copy_only=False)] = np.nan
    return vectors


def check_labels(labels: Sequence[Any] | np.ndarray, task: Task) -> np.ndarray:
    """Return the labels of a task as an array, after checking that they fit the task.

    Args:
        labels: Labels of the rows, in the form that is returned.
        task: The task.

    Returns:
        int64 ids from 0 to k - 1, shape (N,). Multilabel: float32 of 0, 1 or NaN (unknown), shape (N, k).

    Raises:
        MedIMetaError: If the shape or a value does not fit the task.
    """
    count = len(task.labels)
    try:
        array = np.atleast_1d(np.asarray(labels))
    except ValueError:  # lists of different lengths
        array = np.asarray(labels, dtype=object)
    shape: tuple[int, ...]
    if task.kind == "multilabel":
        shape, expected = (len(array), count), f"vectors of 0, 1 or NaN, shape (N, {count})"
    else:
        shape, expected = (len(array),), f"ids from 0 to {count - 1}, shape (N,)"
    if len(array) == 0:
        array = np.zeros(shape)
    fits = array.shape == shape and array.dtype.kind in "biuf"
    if fits and task.kind == "multilabel":
        fits = bool(np.isin(np.nan_to_num(array), (0, 1)).all())
    elif fits:
        fits = bool(np.isin(array, np.arange(count)).all())
    if not fits:
        values = list(dict.fromkeys(map(str, array.ravel().tolist())))
        raise MedIMetaError(
            f"Labels of {task.name!r} ({task.dataset}, {task.kind}) must be {expected}; got shape {array.shape}, "
            f"values {some(values)}. medimeta.load_task returns them in this form."
        )
    return array.astype(np.float32 if task.kind == "multilabel" else np.int64)
