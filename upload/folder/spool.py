"""Encoded images on disk, between a source that is read in its own order and shards that are written in another.

A tar.gz archive can only be read from front to back, and other sources are read fastest that way. Every thousand images
have a file, so a killed build continues after the last complete one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from datasets import Image

from ...builders.rows import assemble, batched, features, rows_per_group
from ...builders.source import Source
from ...files.atomic import whole_file
from ...files.parallel import ordered_map

PIECE = 10  # batches per file; each file stays open while shards are written

Encoded = list[dict[str, Any]]  # what `Source.encode` gives


class Spool:
    """The encoded images of a source, readable in any order.

    Args:
        source: The source.
        folder: Where the files are.
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self._source, self._folder = source, folder
        self._places: dict[int, tuple[Path, int]] = {}  # file, and row in it, by `index`
        self._open: dict[Path, pa.Table] = {}

    def fill(self, rows: pd.DataFrame, executor: Executor | None, window: int, advance: Callable[[int], None]) -> None:
        """Encode all images that are not in a file yet.

        Args:
            rows: All rows of the manifest, in the order in which the source is read.
            executor: Where images are rendered.
            window: Number of batches in flight.
            advance: Called with the number of rows that are in a file.
        """
        todo: list[tuple[Path, list[pd.DataFrame]]] = []
        batches = batched(rows, rows_per_group(self._source.side))
        for number, start in enumerate(range(0, len(batches), PIECE)):
            path, piece = self._folder / f"spooled-{number:05d}.arrow", batches[start : start + PIECE]
            indices = [int(index) for batch in piece for index in batch["index"]]
            self._places |= {index: (path, row) for row, index in enumerate(indices)}
            if path.exists():
                advance(len(indices))
            else:
                todo.append((path, piece))
        encoded = ordered_map(self._source.encode, (batch for _, piece in todo for batch in piece), executor, window)
        for path, piece in todo:
            with whole_file(path) as partial:
                self._write(partial, _counted(piece, encoded, advance))

    def to_table(self, rows: pd.DataFrame) -> pa.Table:
        """Return some rows of the manifest as `builders.rows.to_table` does."""
        encoded = [self._row(*self._places[index]) for index in rows["index"]]
        return assemble(self._source.card, self._source.options, rows, encoded)

    def _row(self, path: Path, row: int) -> dict[str, Any]:
        if path not in self._open:
            with pa.memory_map(str(path)) as file:
                self._open[path] = pa.ipc.open_file(file).read_all()
        table = self._open[path]
        return {name: column[row].as_py() for name, column in zip(table.column_names, table.columns, strict=True)}

    def _write(self, path: Path, batches: Iterator[Encoded]) -> None:
        columns = features(self._source.card, self._source.options)
        first = next(batches)
        types = {name: columns.arrow_schema.field(name).type for name in columns if name in first[0]}
        types |= {name: pa.binary() for name in types if isinstance(columns[name], Image)}
        schema = pa.schema(list(types.items()))
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            for encoded in (first, *batches):
                writer.write_batch(pa.RecordBatch.from_pylist(encoded, schema))


def _counted(
    batches: Sequence[pd.DataFrame], encoded: Iterator[Encoded], advance: Callable[[int], None]
) -> Iterator[Encoded]:
    for batch in batches:
        yield next(encoded)
        advance(len(batch))
