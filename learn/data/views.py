"""One task of one dataset, or several, as a plain `Dataset` of image, label and subject, and label statistics.

Only the label column is ever read here; images stay encoded until a row is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, IterableDataset, Value
from datasets import Sequence as ListOf

from ...builders.dataset import load_dataset
from ...cards.catalogue import DATASETS
from ...cards.facts import DatasetCard, Task
from ...errors import MedIMetaError
from .labels import check_labels, multi_hot
from .ledger import Ledger, leaked_indices

_Path = str | os.PathLike[str]


@overload
def load_task(
    dataset: str,
    task: str | Sequence[str] | None = ...,
    *,
    split: str = ...,
    data_dir: _Path | None = ...,
    exclude_leaks: Ledger | _Path | None = ...,
    streaming: Literal[False] = ...,
    **options: Any,
) -> Dataset: ...


@overload
def load_task(
    dataset: str,
    task: str | Sequence[str] | None = ...,
    *,
    split: str = ...,
    data_dir: _Path | None = ...,
    exclude_leaks: Ledger | _Path | None = ...,
    streaming: Literal[True],
    **options: Any,
) -> IterableDataset: ...


@overload
def load_task(
    dataset: str,
    task: str | Sequence[str] | None = ...,
    *,
    split: str = ...,
    data_dir: _Path | None = ...,
    exclude_leaks: Ledger | _Path | None = ...,
    streaming: bool,
    **options: Any,
) -> Dataset | IterableDataset: ...


def load_task(
    dataset: str,
    task: str | Sequence[str] | None = None,
    *,
    split: str = "train",
    data_dir: _Path | None = None,
    exclude_leaks: Ledger | _Path | None = None,
    streaming: bool = False,
    **options: Any,
) -> Dataset | IterableDataset:
    """Load one task: the columns `image`, `label` and `subject_id`; or several tasks of the same images.

    `label` is a `ClassLabel` for binary, multiclass and ordinal tasks, null where it is unknown. For a multilabel task
    it is a float32 vector with a 1 for every label present, in the order of `Task.labels`; a row whose labels are
    unknown is all NaN. Several tasks have a column each in the place of `label`, called like `Task.column`.
    No image is decoded and no pixels are copied.

    Args:
        dataset: Id of the dataset.
        task: Name or column of the task, in any case; the main task by default. A list of them gives a column for each.
        split: "train", "validation" (or "val"), "test", or an expression such as "train[:10%]+test".
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        exclude_leaks: A ledger of `medimeta audit`, or its file: rows of the split that share an image or a subject
            with a split that is evaluated later are left out (train: validation and test; validation: test).
        streaming: Read rows as they are asked for; gives an `IterableDataset` of one whole split.
        **options: Further arguments of `medimeta.load_dataset`, e.g. `partial=True`.

    Raises:
        UnknownName: If there is no such dataset, task, split or option, or the ledger does not cover the dataset.
        SourceNotFound: If there are no data.
        MedIMetaError: If a task is named twice, or none is.
    """
    card = DATASETS[dataset]
    columns = _columns(card, task)
    leaked = leaked_indices(exclude_leaks, card.id, split) if exclude_leaks is not None else set()
    rows = load_dataset(dataset, split=split, data_dir=data_dir, streaming=streaming, **options)
    if streaming:
        return _stream(rows, columns, sorted(leaked))
    if leaked:
        numbers = rows.select_columns(["index"]).with_format("numpy")[:]["index"]
        rows = rows.select(np.flatnonzero(~np.isin(numbers, sorted(leaked))))
    return _view(rows, columns)


def task_view(rows: Dataset, task: Task) -> Dataset:
    """Project rows with a column per task onto one task; see `load_task` for the columns.

    Args:
        rows: Rows of `task.dataset`, or of a subset of them.
        task: One of its tasks.
    """
    return _view(rows, {"label": task})


def _columns(card: DatasetCard, task: str | Sequence[str] | None) -> dict[str, Task]:
    """The label columns of a view and the task of each."""
    if task is None or isinstance(task, str):
        return {"label": card.tasks[0] if task is None else card.task(task)}
    wanted = [card.task(name) for name in task]
    columns = {found.column: found for found in wanted}
    if not wanted or len(columns) < len(wanted):
        raise MedIMetaError(
            f"{list(task)} names {'a task twice' if wanted else 'no task'}. See: medimeta info {card.id}"
        )
    return columns


def _view(rows: Dataset, columns: Mapping[str, Task]) -> Dataset:
    plain = {task.column: name for name, task in columns.items() if task.kind != "multilabel"}
    view = rows.select_columns(["image", *plain, "subject_id"]).rename_columns(plain)
    # New columns lie beside the memory-mapped others; `map` would write every image again.
    for name, task in columns.items():
        if task.kind == "multilabel":
            lists = rows.select_columns([task.column]).with_format("arrow")[:][task.column]
            view = view.add_column(name, _vectors(lists, task), feature=_vector_feature(task))
    return view.select_columns(["image", *columns, "subject_id"])


def _stream(rows: IterableDataset, columns: Mapping[str, Task], leaked: Sequence[int]) -> IterableDataset:
    features = {
        name: _vector_feature(task) if task.kind == "multilabel" else rows.features[task.column]
        for name, task in columns.items()
    }
    features = {"image": rows.features["image"], **features, "subject_id": rows.features["subject_id"]}
    project = partial(_project, columns=dict(columns), leaked=list(leaked))
    # As Arrow tables, so that no image is decoded on the way. With its features `map` would tell `datasets` 3.6 that
    # the images of its rows are decoded.
    stream = rows.with_format("arrow").map(project, batched=True, batch_size=100)
    return stream.cast(Features(features)).with_format(None)


def _project(table: pa.Table, columns: dict[str, Task], leaked: list[int]) -> pa.Table:
    if leaked:
        table = table.filter(pc.invert(pc.is_in(table["index"], pa.array(leaked, table["index"].type))))
    labels = {
        name: _vectors(table[task.column], task) if task.kind == "multilabel" else table[task.column]
        for name, task in columns.items()
    }
    return pa.table({"image": table["image"], **labels, "subject_id": table["subject_id"]})


def _vectors(lists: pa.ChunkedArray, task: Task) -> pa.FixedSizeListArray:
    count = len(task.labels)
    return pa.FixedSizeListArray.from_arrays(pa.array(multi_hot(lists, count).ravel()), count)


def _vector_feature(task: Task) -> Any:
    return ListOf(Value("float32"), length=len(task.labels))


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
    """Weights that make every class count the same: n / (k * count), which average 1 over the rows.

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
    if task.kind not in ("multilabel", "binary"):
        raise MedIMetaError(f"{task.name!r} of {task.dataset} is {task.kind}. Use class_weights.")
    labels = labels_of(view, task)
    vectors = labels if task.kind == "multilabel" else labels[:, None]
    positives = np.nansum(vectors, axis=0)
    negatives = (~np.isnan(vectors)).sum(axis=0) - positives
    return np.where(positives > 0, negatives / np.maximum(positives, 1), 1).astype(np.float32)
