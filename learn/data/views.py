"""One task of one dataset, or several, as a plain `Dataset` of image, label and subject.

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
from .labels import multi_hot
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
