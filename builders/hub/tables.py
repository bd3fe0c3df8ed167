"""Rows of a Hub folder as Arrow tables, without turning them into Python objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

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
        for shard, count in Counter(map(str, batch["shard"])).items():
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
        return shard.stat().st_size / max(1, int(file.metadata.num_rows))


def _read(source: HubSource, batches: Sequence[pd.DataFrame]) -> Iterator[pa.Table]:
    if not batches:
        return
    rows = pd.concat(batches) if len(batches) > 1 else batches[0]
    by_place = np.lexsort([rows["shard_row"], rows["shard"]])
    stored = rows.iloc[by_place]
    parts = (
        table
        for shard, part in stored.groupby("shard", sort=True)
        for table in _groups(source, Path(str(shard)), part["shard_row"].to_numpy())
    )
    start = 0
    if (by_place == np.arange(len(rows))).all():
        table = pa.concat_tables(parts)
        for batch in batches:
            yield table.slice(start, len(batch))
            start += len(batch)
        return
    pictures = [name for name, feature in source.features.items() if isinstance(feature, Image)]
    data: dict[str, list[_Values]] = {name: [] for name in pictures}
    others = []
    for table in parts:
        for name in pictures:
            data[name].append(_values(table[name].chunk(0).field("bytes")))
        others.append(table.drop_columns(pictures))
    facts = pa.concat_tables(others)
    firsts = np.cumsum([0, *map(len, others)])
    places = np.argsort(by_place)
    for batch in batches:
        wanted = places[start : start + len(batch)]
        start += len(batch)
        numbers = np.searchsorted(firsts, wanted, side="right") - 1
        where = list(zip(numbers.tolist(), (wanted - firsts[numbers]).tolist(), strict=True))
        columns = facts.take(wanted)
        for name, chunks in data.items():
            pieces = [chunks[number].piece(row) for number, row in where]
            columns = columns.append_column(name, _pictures(source, name, pieces, columns["index"]))
        yield columns.select(list(source.features)).cast(source.schema)


class _Values(NamedTuple):
    """The buffers of an array of binary values."""

    content: np.ndarray
    offsets: np.ndarray
    null: np.ndarray

    def piece(self, row: int) -> np.ndarray | None:
        return None if self.null[row] else self.content[self.offsets[row] : self.offsets[row + 1]]


def _values(data: pa.Array) -> _Values:
    _, offsets, content = data.buffers()
    return _Values(
        np.frombuffer(content or b"", np.uint8).copy(),  # so that the memory of the row group is used again
        np.frombuffer(offsets, np.int32, len(data) + 1, data.offset * 4),
        data.is_null().to_numpy(zero_copy_only=False),
    )


def _pictures(source: HubSource, name: str, pieces: Sequence[np.ndarray | None], index: pa.ChunkedArray) -> pa.Array:
    """Join encoded pictures into a column; they are copied once, where `take` would first join all row groups."""
    lengths = [0 if piece is None else len(piece) for piece in pieces]
    given = [piece for piece in pieces if piece is not None]
    content = np.concatenate(given) if given else np.empty(0, np.uint8)
    offsets = pa.array(np.cumsum([0, *lengths]), pa.int32())
    null = pa.array([piece is None for piece in pieces])
    data = pa.BinaryArray.from_buffers(pa.binary(), len(pieces), [None, offsets.buffers()[1], pa.py_buffer(content)])
    return _column(source, name, pc.if_else(null, None, data) if len(given) < len(pieces) else data, index)


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
    schema = source.schema
    arrays = []
    for name, feature in source.features.items():
        column = table[name].combine_chunks()
        if not isinstance(feature, Image):
            arrays.append(columns.converted(column, schema.field(name)))
            continue
        data = pc.struct_field(column, "bytes").cast(pa.binary())
        if source.checked:
            columns.check_all(name, data, numbers.tolist(), source.side)
        arrays.append(_column(source, name, data, table["index"]))
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(source: HubSource, name: str, data: pa.Array, index: pa.ChunkedArray) -> pa.Array:
    """Return a column of pictures with names made from the numbers of the images, as builds write it."""
    ending = suffix(source.card.mode) if name == "image" else ".png"
    numbers = index.combine_chunks() if isinstance(index, pa.ChunkedArray) else index
    paths = pc.binary_join_element_wise(pc.utf8_lpad(numbers.cast(pa.string()), 6, "0"), ending, "")
    kind = source.schema.field(name).type
    return pa.StructArray.from_arrays([data, paths], fields=list(kind), mask=data.is_null())
