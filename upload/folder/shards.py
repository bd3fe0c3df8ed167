"""Write Parquet shards that the Hub's viewer and all versions of `datasets` from 3.6 read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from ...builders.images import SIDE
from ...builders.rows import BATCH, batches, rows_per_group, splits_of
from ...cards.facts import DatasetCard
from ...files.atomic import whole_file

SHARD_BYTES = 500_000_000
ROW_OVERHEAD = 8192  # bytes in addition to the pixels, an upper bound
# The sizes that `datasets` uses.
CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}


@dataclass(frozen=True)
class Shard:
    """One Parquet file to write.

    Attributes:
        name: File name.
        split: The split that it belongs to.
        batches: Its rows, in batches of one row group.
    """

    name: str
    split: str
    batches: tuple[pd.DataFrame, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(map(len, self.batches))


def plan(manifest: pd.DataFrame, card: DatasetCard, side: int = SIDE) -> list[Shard]:
    """Divide a manifest into shards.

    Shards are divided by the number of rows alone (lossless images are never larger than their pixels), so each shard
    can be written without the others. A split of 200 rows or more has at least two, so that two workers can stream it.

    Args:
        manifest: All rows, in the order in which they are stored.
        card: The dataset's facts.
        side: Height and width of its images, in pixels.
    """
    rows = rows_per_group(side)
    per_shard = max(1, SHARD_BYTES // (side * side * card.channels + ROW_OVERHEAD) // rows)  # in batches
    shards = []
    for split in splits_of(manifest):
        pieces = batches(manifest, split, rows)
        whole = sum(len(piece) == rows for piece in pieces)
        step = min(per_shard, -(-len(pieces) // 2)) if whole > 1 else per_shard
        parts = [tuple(pieces[start : start + step]) for start in range(0, len(pieces), step)]
        shards += [Shard(f"{split}-{i:05d}-of-{len(parts):05d}.parquet", split, part) for i, part in enumerate(parts)]
    return shards


def write_shard(path: Path, tables: Iterable[pa.Table], features: Features) -> None:
    """Write one shard under its name only when it is complete.

    One row group per table, a page index, content-defined chunks (a changed row changes few bytes of an upload),
    images not compressed again, and features in a form that old and new versions of `datasets` read.

    Args:
        path: Its final name.
        tables: Tables of at most 100 rows with the features' schema.
        features: Features of the rows.
    """
    schema = features.arrow_schema.with_metadata(
        {"huggingface": json.dumps({"info": {"features": stored_features(features)}})}
    )
    leaves = {leaf: name for name in schema.names for leaf in _leaves(name, schema.field(name).type)}
    pictures = {leaf for leaf, name in leaves.items() if type(features[name]).__name__ == "Image"}
    options: dict[str, Any] = {
        "compression": {leaf: "none" if leaf in pictures else "snappy" for leaf in leaves},
        "use_dictionary": [leaf for leaf in leaves if leaf not in pictures],
        "use_content_defined_chunking": CHUNKING,
        "write_page_index": True,
    }
    with whole_file(path) as partial, pq.ParquetWriter(partial, schema, **options) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=BATCH)
        # The viewer reads the first key, `datasets` writes the second.
        writer.add_key_value_metadata(
            {"use_content_defined_chunking": "true", "content_defined_chunking": json.dumps(CHUNKING)}
        )


def stored_features(features: Features) -> dict[str, Any]:
    """Return the features as JSON for a file's metadata, in the form of `datasets` 3, which later versions read."""
    return {name: _stored(value) for name, value in cast(dict[str, Any], features.to_dict()).items()}


def _stored(feature: Any) -> Any:
    if isinstance(feature, list):
        return [_stored(feature[0])]
    if "_type" not in feature:
        return {name: _stored(value) for name, value in feature.items()}
    if feature["_type"] in ("List", "Sequence"):
        inner = _stored(feature["feature"])
        # A list of structs stays a list; "Sequence" of a dict would mean a dict of lists.
        return {"feature": inner, "_type": "Sequence"} if "_type" in inner else [inner]
    return {key: value for key, value in feature.items() if key != "id"}


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    """Paths of the Parquet columns of a field."""
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(f"{path}.{field.name}", field.type)]
    if pa.types.is_list(kind):
        return _leaves(f"{path}.list.element", kind.value_type)
    return [path]
