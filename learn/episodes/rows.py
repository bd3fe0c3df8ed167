"""Labels, subjects, fingerprint and pixels of the rows that episodes are drawn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from ..data.draws import Positions
from ..data.exclusion.copies import shipped, units
from ..data.labels import multi_hot
from ..data.pixels import pixels
from .pools import memberships


def fingerprint(rows: Dataset, task: Task) -> dict[str, str]:
    """Return the SHA-256 of each column that episodes are drawn from, written as JSON; images are not read.

    Args:
        rows: The rows of a split.
        task: Its task, whose label names count as well.

    Raises:
        MedIMetaError: If a column is missing.
    """
    columns: dict[str, Any] = {name: column.to_pylist() for name, column in columns_of(rows, task).items()}
    columns["labels"] = [list(task.labels), columns["labels"]]
    return {name: hashlib.sha256(canonical(values)).hexdigest() for name, values in columns.items()}


def labels_and_subjects(rows: Dataset, task: Task) -> tuple[np.ndarray, list[str | None]]:
    """Return the labels and subjects of rows, as a sampler takes them.

    Returns:
        Labels: ids, int64, shape (N,), -1 for unknown; multilabel: float32 of 0, 1 or NaN (unknown), shape (N, k).
        Subjects: one text per row, None where unknown; known copies of an image share it (see `copies.units`).
    """
    columns = columns_of(rows, task)
    return _labels(columns["labels"], task), units_of(columns, task)


def units_of(columns: Mapping[str, pa.ChunkedArray], task: Task) -> list[str | None]:
    """Return the subject of each row, equal for known copies, from the columns of `columns_of`; see `copies.units`."""
    subjects: list[str | None] = columns["subject_id"].to_pylist()
    if shipped(task.dataset) is None:
        return subjects
    return units(task.dataset, subjects, columns["original_filepath"].to_pylist())


def pool_sizes(rows: Dataset, task: Task) -> np.ndarray:
    """Return the number of images of each pool (see `pools.memberships`) in some rows: int64, shape (pools,)."""
    labels = rows.select_columns([task.column]).with_format("arrow")[:][task.column]
    sizes: np.ndarray = memberships(task, _labels(labels, task)).sum(axis=0)
    return sizes


def columns_of(rows: Dataset, task: Task) -> dict[str, pa.ChunkedArray]:
    """Return the columns that identify each row: labels, subject_id, index and original_filepath.

    Raises:
        MedIMetaError: If one is missing.
    """
    names = {"labels": task.column, "subject_id": "subject_id", "index": "index"}
    names |= {"original_filepath": "original_filepath"}
    if missing := [name for name in names.values() if name not in rows.column_names]:
        raise MedIMetaError(
            f"Episodes of {task.dataset} / {task.name} need the columns {', '.join(names.values())}; these rows lack "
            f"{', '.join(missing)}. Use the `rows` of the episode set, or all columns of medimeta.load_dataset."
        )
    table = rows.select_columns(list(names.values())).with_format("arrow")[:]
    return {name: table[column] for name, column in names.items()}


def gatherer(images: Any, count: int, split: str) -> Callable[[Positions], Any]:
    """Return a function that takes row positions and returns pixels.

    Args:
        images: Source of the pixels; see `EpisodeSet.batches`.
        count: Number of rows of the split.
        split: The split.

    Raises:
        MedIMetaError: If the source cannot provide pixels, or provides those of another split.
    """
    provider: Any = pixels(images, store=False) if isinstance(images, Dataset) else images
    size = provider.shape[0] if hasattr(provider, "shape") else len(provider) if hasattr(provider, "__len__") else count
    if size != count:
        raise MedIMetaError(
            f"The episodes were drawn from {count:,} rows, but there are {size:,} images. Give those of the split."
        )
    other = getattr(provider, "split", None)
    if split and isinstance(other, str) and other != split:
        raise MedIMetaError(f"The episodes were drawn from split {split}, but the images are of {other}.")
    if hasattr(provider, "batch"):  # a PixelDataset: its labels are not those of the episode
        return lambda rows: provider.batch(rows)["pixel_values"]
    if hasattr(provider, "__array__"):  # an array or a tensor, whose `take` means something else
        return lambda rows: provider[rows]
    methods = [getattr(provider, name) for name in ("take", "gather", "__getitems__") if hasattr(provider, name)]
    if not methods and not callable(provider):
        raise MedIMetaError(
            "There are no images to take pixels from. Give the rows of the split (medimeta.load_dataset), their pixel "
            f"store, or a function of row positions, not {type(images).__name__}."
        )
    gather: Callable[[Positions], Any] = methods[0] if methods else provider
    return gather


def _labels(labels: pa.ChunkedArray, task: Task) -> np.ndarray:
    if task.kind == "multilabel":
        return multi_hot(labels, len(task.labels))
    ids: np.ndarray = labels.fill_null(-1).to_numpy()
    return ids
