"""Convert manifest rows to Arrow tables: features, schema and encoding for all sources and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pandas as pd
import pyarrow as pa
from datasets import ClassLabel, Features, Image, Sequence, Value

from ..cards.facts import SPLITS, DatasetCard, Task
from .images import SIDE, suffix
from .source import Options, Source

BATCH = 100  # most rows per table: the row group size that the Hub's viewer expects, and the unit of parallel work

_BOXES = [
    {
        "label": Value("string"),
        "x": Value("float64"),
        "y": Value("float64"),
        "width": Value("float64"),
        "height": Value("float64"),
    }
]
_FEATURES: dict[str, Any] = {
    "string": Value("string"),
    "int32": Value("int32"),
    "int64": Value("int64"),
    "float64": Value("float64"),
    "list<int32>": Sequence(Value("int32")),
    "list<float64>": Sequence(Value("float64")),
    "boxes": _BOXES,
}


def task_feature(task: Task) -> ClassLabel | Sequence:
    """Return `ClassLabel`, or a list of them (the labels present) for a multilabel task."""
    label = ClassLabel(names=list(task.labels))
    return cast(Sequence, Sequence(label)) if task.kind == "multilabel" else label


def features(card: DatasetCard, options: Options | None = None) -> Features:
    """Return the columns of a dataset, in order.

    Args:
        card: The dataset's card.
        options: How the dataset is read; `with_masks` adds columns.
    """
    with_masks = options is not None and options.with_masks
    columns: dict[str, Any] = {"image": Image()}
    columns |= {task.column: task_feature(task) for task in card.tasks}
    columns |= {"subject_id": Value("string"), "original_split": Value("string")}
    columns |= {"original_filepath": Value("string"), "index": Value("int32")}
    columns |= {a.column: _FEATURES[a.type] for a in card.annotations if with_masks or a.only_with is None}
    columns |= {mask: Image() for mask in card.masks if with_masks}
    return Features(columns)


def rows_per_group(side: int) -> int:
    """Return the number of rows per table: `BATCH` up to 224 pixels a side, above that as many as have those pixels."""
    return max(1, BATCH * SIDE**2 // max(side, SIDE) ** 2)


def batches(manifest: pd.DataFrame, split: str, size: int | None = None) -> list[pd.DataFrame]:
    """Return the rows of one split in the order of the manifest, in batches of `size` rows, by default `BATCH`."""
    return batched(manifest[manifest["split"] == split], size)


def batched(rows: pd.DataFrame, size: int | None = None) -> list[pd.DataFrame]:
    """Divide rows into batches of `size` rows, by default `BATCH`."""
    size = size or BATCH
    return [rows.iloc[start : start + size] for start in range(0, len(rows), size)]


def splits_of(manifest: pd.DataFrame) -> list[str]:
    """Return the splits that have rows, in order."""
    present = set(manifest["split"])
    return [split for split in SPLITS if split in present]


def to_table(source: Source, rows: pd.DataFrame) -> pa.Table:
    """Render some rows of a manifest into a table with the schema of `features`.

    Args:
        source: The source of the pixels.
        rows: Rows of its manifest.
    """
    return assemble(source.card, source.options, rows, source.encode(rows))


def assemble(card: DatasetCard, options: Options, rows: pd.DataFrame, encoded: list[dict[str, Any]]) -> pa.Table:
    """Join rows of a manifest with what `Source.encode` gave for them; the schema is that of `features`.

    Args:
        card: The dataset's card.
        options: How the dataset is read.
        rows: Rows of the manifest.
        encoded: Encoded images and columns made from pixels, per row.
    """
    columns = features(card, options)
    schema = columns.arrow_schema
    arrays = []
    for field in schema:
        feature = columns[field.name]
        if isinstance(feature, Image):
            ending = suffix(card.mode) if field.name == "image" else ".png"
            values = list(_pictures(rows, [item.get(field.name) for item in encoded], ending))
        elif field.name in encoded[0] and rows[field.name].isna().all():
            values = [item[field.name] for item in encoded]
        else:
            values = rows[field.name].to_list()
        arrays.append(pa.array(values, type=field.type, from_pandas=True))
    return pa.Table.from_arrays(arrays, schema=schema)


def _pictures(rows: pd.DataFrame, data: list[bytes | None], ending: str) -> Iterator[dict[str, Any] | None]:
    for index, picture in zip(rows["index"], data, strict=True):
        yield None if picture is None else {"bytes": picture, "path": f"{index:06d}{ending}"}
