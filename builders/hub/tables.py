"""Rows of a Hub folder as Arrow tables, without turning them into Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Image

from ..images import suffix
from ..shard_files import UNREADABLE_PARQUET, open_shard
from .checks import StoredColumns
from .folder import HubSource

BLOCK = 1 << 29  # bytes of pictures in memory


def tables(source: HubSource, batches: Iterable[pd.DataFrame]) -> Iterator[pa.Table]:
    """Yield a table for each batch of rows, as `builders.rows.to_table` does.

    Rows in the order in which they are stored are read batch by batch. Rows in another order are read in blocks: one
    pass over the row groups for as many batches as fit into memory.

    Args:
        source: The folder.
        batches: Rows of its manifest, not empty.

    Raises:
        SourceBroken: Naming the first row whose picture is missing, unreadable, or of another size or mode.
    """
    block: list[pd.DataFrame] = []
    size = 0.0
    per_row: dict[str, float] = {}
    for batch in batches:
        if _is_run(batch):
            yield from _read(source, [*block, batch])
            block, size = [], 0.0
            continue
        for shard, count in batch["shard"].value_counts().items():
            if shard not in per_row:
                per_row[shard] = _bytes_per_row(Path(shard))
            size += per_row[shard] * count
        block.append(batch)
        if size >= BLOCK:
            yield from _read(source, block)
            block, size = [], 0.0
    yield from _read(source, block)


def _is_run(batch: pd.DataFrame) -> bool:
    """Whether the rows follow one another in one shard."""
    first = batch.iloc[0]
    numbers = batch["shard_row"].to_numpy()
    return bool((batch["shard"] == first["shard"]).all() and (np.diff(numbers) == 1).all())


def _bytes_per_row(shard: Path) -> float:
    with open_shard(shard) as file:
        return shard.stat().st_size / max(1, file.metadata.num_rows)


def _read(source: HubSource, batches: Sequence[pd.DataFrame]) -> Iterator[pa.Table]:
    if not batches:
        return
    rows = pd.concat(batches) if len(batches) > 1 else batches[0]
    by_place = np.lexsort([rows["shard_row"], rows["shard"]])
    stored = rows.iloc[by_place]
    parts = [
        table
        for shard, part in stored.groupby("shard", sort=True)
        for table in _groups(source, Path(str(shard)), part["shard_row"].to_numpy())
    ]
    table = pa.concat_tables(parts)
    if (by_place != np.arange(len(rows))).any():
        table = table.take(np.argsort(by_place))
    start = 0
    for batch in batches:
        yield table.slice(start, len(batch))
        start += len(batch)


def _groups(source: HubSource, shard: Path, wanted: np.ndarray) -> Iterator[pa.Table]:
    """Yield the wanted rows, by ascending position, of each row group of a shard."""
    columns = source.columns(shard)
    with open_shard(shard) as file:
        start = 0
        for group in range(file.metadata.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, end)]
            if len(inside):
                try:
                    table = file.read_row_group(group, columns=list(source.features))
                except UNREADABLE_PARQUET as error:
                    raise columns.unreadable(start, end, error) from error
                if len(inside) < end - start:
                    table = table.take(inside - start)
                yield _typed(source, columns, table, inside)
            start = end


def _typed(source: HubSource, columns: StoredColumns, table: pa.Table, numbers: np.ndarray) -> pa.Table:
    """Give columns the types of the catalogue, and check pictures; `numbers` are those of the rows in the shard."""
    schema = source.features.arrow_schema
    arrays = []
    for name, feature in source.features.items():
        column = table[name].combine_chunks()
        if not isinstance(feature, Image):
            arrays.append(columns.converted(column, schema.field(name)))
            continue
        data = pc.struct_field(column, "bytes").cast(pa.binary())
        if source.checked:
            columns.check_all(name, data, numbers, source.side)
        ending = suffix(source.card.mode) if name == "image" else ".png"
        paths = pc.binary_join_element_wise(pc.utf8_lpad(table["index"].cast(pa.string()), 6, "0"), ending, "")
        paths = paths.combine_chunks() if isinstance(paths, pa.ChunkedArray) else paths
        arrays.append(
            pa.StructArray.from_arrays([data, paths], fields=list(schema.field(name).type), mask=data.is_null())
        )
    return pa.Table.from_arrays(arrays, schema=schema)
