"""Labels as arrays: findings as vectors, and whether labels fit their task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...cards.facts import Task
from ...errors import MedIMetaError


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


def check_labels(labels: Sequence[Any] | np.ndarray, task: Task) -> np.ndarray:
    """The labels of a task as an array, after checking that they fit it.

    Returns:
        int64 ids, shape (N,), 0 to k - 1; multilabel: float32 0, 1 or NaN (unknown), shape (N, k).

    Raises:
        MedIMetaError: If the shape or a value does not fit.
    """
    count = len(task.labels)
    found = np.asarray(labels)
    if task.kind == "multilabel":
        shape: tuple[int, ...] = (len(found), count)
        wanted = f"vectors of 0, 1 or NaN, shape (N, {count})"
    else:
        shape = (len(found),)
        wanted = f"ids from 0 to {count - 1}, shape (N,)"
    if len(found) == 0:
        found = np.zeros(shape)
    fits = found.shape == shape and found.dtype.kind in "biuf"
    if fits and task.kind == "multilabel":
        fits = bool(np.isin(np.nan_to_num(found), (0, 1)).all())
    elif fits:
        fits = bool(np.isin(found, np.arange(count)).all())
    if not fits:
        raise MedIMetaError(
            f"Labels of {task.name!r} ({task.dataset}, {task.kind}) must be {wanted}; got shape {found.shape}, "
            f"values {np.unique(found)[:10].tolist()}. medimeta.load_task gives them in this form."
        )
    return found.astype(np.float32 if task.kind == "multilabel" else np.int64)
