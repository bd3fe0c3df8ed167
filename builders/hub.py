"""A folder in the Hub's layout (Parquet shards per dataset and split) as a source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..cards.facts import SPLITS
from ..errors import SourceBroken, SourceNotFound, some
from ..files.stamp import stamp
from .source import Source

SHARD = re.compile(r"(train|validation|test)-(\d{5})-of-(\d{5})\.parquet")


def shards(folder: Path) -> dict[str, list[Path]]:
    """The shards of one dataset's folder by split, in order; complete sets only.

    Raises:
        SourceBroken: If a split lacks shards or has more than its names say.
    """
    found: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for path in sorted(folder.glob("*.parquet")):
        if (match := SHARD.fullmatch(path.name)) is not None:
            found[match[1]].append(path)
    for split, paths in found.items():
        names = [p.name for p in paths]
        whole = [f"{split}-{i:05d}-of-{len(paths):05d}.parquet" for i in range(len(paths))]
        if names != whole:
            raise SourceBroken(
                f"{folder} holds an incomplete set of {split} shards: {some(names)}. Build or download it again."
            )
    return {split: paths for split, paths in found.items() if paths}


@dataclass(frozen=True)
class HubSource(Source):
    """A dataset read back from its Hub folder, or from its own folder in it.

    Images keep their bytes, labels and splits stay as they were built.
    """

    kind = "hub"

    @cached_property
    def folder(self) -> Path:
        """The dataset's own folder."""
        inner = self.location / self.dataset
        return inner if inner.is_dir() else self.location

    @property
    def stamp(self) -> str:
        """Changes when a name, a size or a modification time of a shard does."""
        return stamp(self.folder)

    def manifest(self) -> pd.DataFrame:
        """One row per image, in index order: all columns but the pictures, and where those lie.

        Raises:
            SourceBroken: If shards are missing, unreadable, or have other columns than the catalogue says.
        """
        tables = [self._rows(split, path) for split, paths in shards(self.folder).items() for path in paths]
        if not tables:
            raise SourceNotFound(f"{self.folder} holds no Parquet shards of {self.dataset}.")
        rows = pd.concat(tables, ignore_index=True)
        if rows["index"].isna().any():
            raise SourceBroken(f"{self.folder} has rows without an index. Build it again, or run: medimeta verify")
        return rows.sort_values("index", ignore_index=True, kind="stable")

    def _rows(self, split: str, path: Path) -> pd.DataFrame:
        from .rows import features

        wanted = features(self.card, self.options)
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceBroken(f"{path} is no readable Parquet file ({error}). Build or download it again.") from error
        lacking = [name for name in wanted if name not in schema.names]
        if lacking:
            raise SourceBroken(
                f"{path} lacks the column(s) {some(lacking)}. It was built with other options or by another version; "
                "build it again."
            )
        plain = [name for name in wanted if not pa.types.is_struct(schema.field(name).type)]
        table = pq.read_table(path, columns=plain)
        rows = pd.DataFrame({name: pd.Series(table[name].to_pylist(), dtype=object) for name in plain})
        return rows.assign(split=split, shard=str(path), shard_row=range(len(rows)))

    def encode(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """The pictures of some rows as they are stored."""
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for shard, part in rows.groupby("shard", sort=False):
            wanted = sorted(part["shard_row"])
            for number, row in zip(wanted, _read_rows(str(shard), ["image", *self.masks], wanted), strict=True):
                pictures = {name: None if value is None else value["bytes"] for name, value in row.items()}
                found[str(shard), number] = pictures
        return [found[place] for place in zip(rows["shard"], rows["shard_row"], strict=True)]


def _read_rows(shard: str, columns: list[str], wanted: list[int]) -> Iterator[dict[str, Any]]:
    """Rows of a shard by ascending position; only the row groups they lie in are read."""
    with pq.ParquetFile(shard) as file:
        start = 0
        for group in range(file.metadata.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = [row - start for row in wanted if start <= row < end]
            if inside:
                yield from file.read_row_group(group, columns=columns).take(inside).to_pylist()
            start = end
