"""What episodes need of the rows of a split: labels, subjects, a fingerprint and, in the end, pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from ..data.draws import Positions
from ..data.labels import multi_hot
from ..data.pixels import pixels


def fingerprint(rows: Dataset, task: Task) -> dict[str, str]:
    """SHA-256 of what episodes are drawn from, per column, written as JSON; no image is looked at.

    Args:
        rows: The rows of a split.
        task: Its task, whose label names count too.

    Raises:
        MedIMetaError: If a column is missing.
    """
    columns: dict[str, Any] = {name: column.to_pylist() for name, column in columns_of(rows, task).items()}
    columns["labels"] = [list(task.labels), columns["labels"]]
    return {name: hashlib.sha256(canonical(values)).hexdigest() for name, values in columns.items()}


def labels_and_subjects(rows: Dataset, task: Task) -> tuple[np.ndarray, list[str | None]]:
    """What a sampler needs of the rows.

    Returns:
        Ids, int64, shape (N,), -1 for unknown; multilabel: float32 of 0, 1 or NaN (unknown), shape (N, k). And the
        subject ids, None where there is none.
    """
    columns = columns_of(rows, task)
    subjects: list[str | None] = columns["subject_id"].to_pylist()
    if task.kind == "multilabel":
        return multi_hot(columns["labels"], len(task.labels)), subjects
    return columns["labels"].fill_null(-1).to_numpy(), subjects


def columns_of(rows: Dataset, task: Task) -> dict[str, pa.ChunkedArray]:
    """The columns that say which image each row is: labels, subject_id, index and original_filepath.

    Raises:
        MedIMetaError: If one is missing.
    """
    names = {"labels": task.column, "subject_id": "subject_id", "index": "index"}
    names |= {"original_filepath": "original_filepath"}
    if missing := [name for name in names.values() if name not in rows.column_names]:
        raise MedIMetaError(
            f"Episodes of {task.dataset} / {task.name} need the columns {', '.join(names.values())}; these rows lack "
            f"{', '.join(missing)}. Give all columns, as medimeta.load_dataset does."
        )
    table = rows.select_columns(list(names.values())).with_format("arrow")[:]
    return {name: table[column] for name, column in names.items()}


def gatherer(images: Any, count: int) -> Callable[[Positions], Any]:
    """A function from row positions to pixels; see `EpisodeSet.batches` for what it can be made of.

    Args:
        images: Where pixels come from.
        count: Number of rows of the split.

    Raises:
        MedIMetaError: If none can come from there, or if it has another number of rows.
    """
    source: Any = pixels(images, store=False) if isinstance(images, Dataset) else images
    size = source.shape[0] if hasattr(source, "shape") else len(source) if hasattr(source, "__len__") else count
    if size != count:
        raise MedIMetaError(
            f"The episodes were drawn from {count:,} rows, but there are images of {size:,}. Give those of the split."
        )
    if hasattr(source, "batch"):  # a PixelDataset: its labels are not those of the episode
        return lambda rows: source.batch(rows)["pixel_values"]
    if hasattr(source, "__array__"):  # an array or a tensor, whose `take` means something else
        return lambda rows: source[rows]
    methods = [getattr(source, name) for name in ("take", "gather", "__getitems__") if hasattr(source, name)]
    if not methods and not callable(source):
        raise MedIMetaError(
            "There are no images to take pixels from. Give the rows of the split (medimeta.load_dataset), their pixel "
            f"store, or a function of row positions; got {type(images).__name__}."
        )
    gather: Callable[[Positions], Any] = methods[0] if methods else source
    return gather
