"""Views: one task of a dataset, or several, as a plain `Dataset` of images and labels.

Only label and subject columns are read here. Images stay encoded until a row is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
import pyarrow as pa
from datasets import Dataset, Features, IterableDataset, Value
from datasets import Sequence as ListOf

from ...builders.loading import load_dataset
from ...cards.catalogue import DATASETS, TaskLike
from ...cards.facts import SPLITS, Task
from ...errors import MedIMetaError, unknown
from .corruptions.images import image_feature
from .exclusion import quality
from .exclusion.left_out import LeftOut
from .labels import multi_hot

if TYPE_CHECKING:
    from .exclusion.ledger import Ledger

_Path = str | os.PathLike[str]
_Tasks = str | Task | Sequence[str | Task] | None
_Mode = Literal["RGB"] | None


@overload
def load_task(
    dataset: TaskLike,
    task: _Tasks = ...,
    *,
    split: str = ...,
    data_dir: _Path | None = ...,
    mode: _Mode = ...,
    subjects: bool | None = ...,
    exclude_leaks: Ledger | _Path | bool | None = ...,
    exclude_flags: Sequence[str] = ...,
    flags: bool = ...,
    corruption: str | None = ...,
    severity: int | None = ...,
    streaming: Literal[False] = ...,
    **options: Any,
) -> Dataset: ...


@overload
def load_task(
    dataset: TaskLike,
    task: _Tasks = ...,
    *,
    split: str = ...,
    data_dir: _Path | None = ...,
    mode: _Mode = ...,
    subjects: bool | None = ...,
    exclude_leaks: Ledger | _Path | bool | None = ...,
    exclude_flags: Sequence[str] = ...,
    flags: bool = ...,
    corruption: str | None = ...,
    severity: int | None = ...,
    streaming: Literal[True],
    **options: Any,
) -> IterableDataset: ...


@overload
def load_task(
    dataset: TaskLike,
    task: _Tasks = ...,
    *,
    split: str = ...,
    data_dir: _Path | None = ...,
    mode: _Mode = ...,
    subjects: bool | None = ...,
    exclude_leaks: Ledger | _Path | bool | None = ...,
    exclude_flags: Sequence[str] = ...,
    flags: bool = ...,
    corruption: str | None = ...,
    severity: int | None = ...,
    streaming: bool,
    **options: Any,
) -> Dataset | IterableDataset: ...


def load_task(
    dataset: TaskLike,
    task: _Tasks = None,
    *,
    split: str = "train",
    data_dir: _Path | None = None,
    mode: _Mode = None,
    subjects: bool | None = None,
    exclude_leaks: Ledger | _Path | bool | None = None,
    exclude_flags: Sequence[str] = (),
    flags: bool = False,
    corruption: str | None = None,
    severity: int | None = None,
    streaming: bool = False,
    **options: Any,
) -> Dataset | IterableDataset:
    """Load one task as columns `image`, `label` and, where known, `subject_id`; or several tasks of the same images.

    `label` is a `ClassLabel` for binary, multiclass and ordinal tasks, and null where the label is unknown. For a
    multilabel task it is a float32 vector with a 1 for every label present, in the order of `Task.labels`; rows with
    unknown labels are all NaN. Several tasks have one column each instead of `label`, named like `Task.column`.
    No image is decoded and no pixels are copied.

    Args:
        dataset: Id of the dataset, e.g. "bus", or its task as well: a `Task`, "bus/malignancy" or
            ("bus", "malignancy").
        task: Name or column of the task, in any case, or a `Task`; the main task by default. A list of them gives one
            column for each.
        split: "train", "validation" (or "val"), "test", or an expression such as "train[:10%]+test".
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        mode: "RGB" turns greyscale images into RGB when they are decoded, as the image processors of most pre-trained
            models expect. By default images are as published: greyscale in 9 of the 19 datasets, RGB in the others.
        subjects: Whether there is a column `subject_id`, null where the subject is unknown. By default there is one if
            the subject of every row is known, so that a `DataLoader` can batch all columns; in a stream, which cannot
            look ahead, if the dataset has subjects.
        exclude_leaks: Leave out rows of the split that share an image or a subject with a split that is evaluated later
            (train: validation and test; validation: test). True takes the ledger that ships with this package (bus,
            pbc, skinl_derm, skinl_photo); or give a ledger of `medimeta audit`, or its file.
        exclude_flags: Leave out images with one of these quality flags: "duplicate", "contradiction", "wrong_modality";
            see `learn/data/exclusion/quality.py`. They ship for bus, pbc and skinl_photo.
        flags: Add a column `flags`, the list of the image's quality flags.
        corruption: Corrupt images when they are decoded, e.g. by "speckle_noise", to measure the robustness of a model;
            one of `medimeta.corruptions(dataset)`.
        severity: Severity of the corruption, 1 to 5, 3 by default; 0 leaves the images as they are.
        streaming: Return an `IterableDataset`, which reads rows as they are asked for; `split` is then one whole split.
        **options: Further arguments of `medimeta.load_dataset`, e.g. `partial=True`.

    Returns:
        A `Dataset` with the columns described above, or an `IterableDataset` if `streaming`.

    Raises:
        UnknownName: If the dataset, task, split, mode, flag, corruption, severity or option does not exist, or the
            ledger does not cover the dataset.
        SourceNotFound: If there are no data.
        MedIMetaError: If the list of tasks is empty or names a task twice, if a severity is given without a corruption,
            or if no ledger or flags ship for the dataset.
    """
    if not isinstance(split, str):
        raise unknown(
            "split", split, SPLITS, hint='load_task loads one split; "train+validation" gives the rows of both.'
        )
    columns = _columns(dataset, task)
    card = DATASETS[next(iter(columns.values())).dataset]
    if mode not in (None, "RGB"):
        raise unknown("mode", mode, ["RGB"], hint="Leave out mode= for images as published.")
    feature = image_feature(card.id, mode, corruption, severity)
    left_out = LeftOut.of(card.id, split, exclude_leaks, exclude_flags, data_dir, options)
    rows = load_dataset(card.id, split=split, data_dir=data_dir, streaming=streaming, **options)
    if streaming:
        with_subjects = card.subject is not None if subjects is None else subjects
        view = _stream(rows, columns, left_out, subjects=with_subjects, flags_of=card.id if flags else None)
    else:
        if left_out:
            table = rows.select_columns(["index", "original_filepath"]).with_format("arrow")[:]
            rows = rows.select(np.flatnonzero(left_out.kept(table)))
        view = _view(rows, columns, subjects=subjects)
        if flags:
            paths = rows.select_columns(["original_filepath"]).with_format("arrow")[:]["original_filepath"]
            strings: Any = ListOf(Value("string"))
            view = view.add_column("flags", _flags(paths, card.id), feature=strings)
    return view if feature is None else view.cast_column("image", feature)


def task_view(rows: Dataset, task: Task) -> Dataset:
    """Return the view of one task from rows that have one column per task.

    Args:
        rows: Rows of `task.dataset`, or a subset of them.
        task: One of its tasks.

    Returns:
        The columns `image`, `label` (see `load_task`) and `subject_id` (null where unknown).
    """
    return _view(rows, {"label": task}, subjects=True)


def _columns(dataset: TaskLike, task: _Tasks) -> dict[str, Task]:
    """Map the label columns of a view to their tasks."""
    if task is None or isinstance(task, str | Task):
        return {"label": DATASETS.find_task(dataset, task)}
    if not isinstance(task, Iterable):
        raise MedIMetaError(f"task is {task!r}; it must be the name of a task, a Task, or a list of them.")
    tasks = [DATASETS.find_task(dataset, name) for name in task]
    columns = {one.column: one for one in tasks}
    if not tasks or len(columns) < len(tasks):
        raise MedIMetaError(
            f"{list(task)} names {'a task twice' if tasks else 'no task'}. See: medimeta info {dataset}"
        )
    return columns


def _view(rows: Dataset, columns: Mapping[str, Task], *, subjects: bool | None) -> Dataset:
    if subjects is None:
        subjects = not rows.select_columns(["subject_id"]).with_format("arrow")[:]["subject_id"].null_count
    names = ["image", *columns, *(["subject_id"] if subjects else [])]
    plain = {task.column: name for name, task in columns.items() if task.kind != "multilabel"}
    view = rows.select_columns(["image", *plain, *names[1 + len(columns) :]]).rename_columns(plain)
    # A new column is kept next to the memory-mapped others; `map` would write every image again.
    for name, task in columns.items():
        if task.kind == "multilabel":
            lists = rows.select_columns([task.column]).with_format("arrow")[:][task.column]
            view = view.add_column(name, _vectors(lists, task), feature=_vector_feature(task))
    return view.select_columns(names)


def _stream(
    rows: IterableDataset, columns: Mapping[str, Task], left_out: LeftOut, *, subjects: bool, flags_of: str | None
) -> IterableDataset:
    known = cast(Features, rows.features)  # the builder declares them
    features = {
        "image": known["image"],
        **{
            name: _vector_feature(task) if task.kind == "multilabel" else known[task.column]
            for name, task in columns.items()
        },
    }
    if subjects:
        features["subject_id"] = known["subject_id"]
    if flags_of is not None:
        features["flags"] = ListOf(Value("string"))
    project = partial(_project, columns=dict(columns), left_out=left_out, subjects=subjects, flags_of=flags_of)
    # As Arrow tables, so that no image is decoded on the way. Given the features, `map` would make `datasets` 3.6
    # believe that the images of its rows are decoded.
    stream = rows.with_format("arrow").map(project, batched=True, batch_size=100)
    stream = stream.select_columns(list(features))
    return stream.cast(Features(features)).with_format(None)


def _project(
    table: pa.Table, columns: dict[str, Task], left_out: LeftOut, subjects: bool, flags_of: str | None
) -> pa.Table:
    if left_out:
        table = table.filter(pa.array(left_out.kept(table)))
    labels = {
        name: _vectors(table[task.column], task) if task.kind == "multilabel" else table[task.column]
        for name, task in columns.items()
    }
    further = {"subject_id": table["subject_id"]} if subjects else {}
    if flags_of is not None:
        further["flags"] = _flags(table["original_filepath"], flags_of)
    return pa.table({"image": table["image"], **labels, **further})


def _flags(paths: pa.ChunkedArray, dataset: str) -> pa.Array:
    known = quality.flags(dataset)
    return pa.array([list(known.get(path, ())) for path in paths.to_pylist()], pa.list_(pa.string()))


def _vectors(lists: pa.ChunkedArray, task: Task) -> pa.FixedSizeListArray:
    count = len(task.labels)
    return pa.FixedSizeListArray.from_arrays(pa.array(multi_hot(lists, count).ravel()), count)


def _vector_feature(task: Task) -> Any:
    return ListOf(Value("float32"), length=len(task.labels))
