"""Changes a shard in one respect and leaves everything else as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from medimeta.builders.rows import BATCH
from medimeta.upload.folder.shards import write_shard

Row = dict[str, Any]


def rows_of(shard: Path) -> list[Row]:
    """The rows of a shard."""
    return pq.read_table(shard).to_pylist()


def edit(shard: Path, change: Callable[[list[Row]], list[Row] | None]) -> None:
    """Rewrite a shard after a change of its rows, in place or returned."""
    schema = pq.read_schema(shard)
    rows = rows_of(shard)
    rows = change(rows) or rows
    tables = [pa.Table.from_pylist(rows[i : i + BATCH], schema) for i in range(0, len(rows), BATCH)]
    write_shard(shard, tables, Features.from_arrow_schema(schema))


def set_values(shard: Path, row: int, **values: Any) -> None:
    """Change some values of one row."""
    edit(shard, lambda rows: rows[row].update(values))


def move_row(source: Path, target: Path, row: int = 0) -> None:
    """Take a row out of one shard and append it to another."""
    moved = rows_of(source)[row]
    edit(source, lambda rows: rows[:row] + rows[row + 1 :])
    edit(target, lambda rows: [*rows, moved])
