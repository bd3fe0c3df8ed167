"""A folder in the Hub's layout (Parquet shards per dataset and split) as a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from datasets import Features

from ...errors import MedIMetaError, SourceBroken, SourceNotFound
from ...files.stamp import stamp
from ..rows import features
from ..shard_files import read_rows, shards
from ..source import Source
from .checks import StoredColumns

STORED = ("shard", "shard_row")  # where a row is stored: the path of its shard, and its position there


@dataclass(frozen=True)
class HubSource(Source):
    """A dataset read back from its Hub folder, or from its own folder in it.

    Images keep their bytes, labels and splits stay as they were built.

    Attributes:
        checked: Whether labels and pictures are checked; without, only the types of columns are.
    """

    kind = "hub"
    checked: bool = True

    @cached_property
    def folder(self) -> Path:
        """The dataset's own folder."""
        inner = self.location / self.dataset
        return inner if inner.is_dir() else self.location

    @property
    def stamp(self) -> str:
        """Changes when the content of the folder does."""
        return stamp(self.folder)

    @cached_property
    def features(self) -> Features:
        """The columns that the shards should have."""
        return features(self.card, self.options)

    @cached_property
    def side(self) -> int:
        """Height and width of the pictures, in pixels: those of the first one. The others are checked against it.

        Raises:
            SourceBroken: If it cannot be read.
            MedIMetaError: If another size was asked for.
        """
        path = next((path for paths in shards(self.folder).values() for path in paths), None)
        if path is None:
            raise SourceNotFound(f"{self.folder} holds no Parquet shards of {self.dataset}.")
        side = self.columns(path).first_side()
        if self.options.size not in (None, side):
            raise MedIMetaError(
                f"{self.folder} holds images of {side}x{side} pixels, not {self.options.size}x{self.options.size}, and "
                "resizing them again would not give the same images. Leave out the size, or build another folder from "
                f"the source's archives: medimeta build {self.dataset} --size {self.options.size} --out FOLDER",
                code="another-size",
            )
        return side

    @cached_property
    def schema(self) -> pa.Schema:
        """The same columns with Arrow's types; `datasets` makes them anew each time."""
        return self.features.arrow_schema

    def manifest(self) -> pd.DataFrame:
        """One row per image, in index order: all columns but the pictures, and where those are stored.

        Raises:
            SourceBroken: If shards are missing, unreadable, or have other columns, types or labels than the catalogue
                says.
        """
        return self.stored().sort_values("index", ignore_index=True, kind="stable")

    def places(self) -> pd.DataFrame:
        """The same rows with `index`, split and place alone, which is all that reading them takes.

        Raises:
            SourceBroken: As for `manifest`; all columns are checked.
        """
        return self.stored(["index"]).sort_values("index", ignore_index=True, kind="stable")

    def stored(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The same rows in the order in which they are stored.

        Args:
            columns: The columns to return; None for all but the pictures.

        Raises:
            SourceBroken: As for `manifest`.
        """
        tables = [self._rows(split, path, columns) for split, paths in shards(self.folder).items() for path in paths]
        if not tables:
            raise SourceNotFound(f"{self.folder} holds no Parquet shards of {self.dataset}.")
        rows = pd.concat(tables, ignore_index=True)
        if not len(rows):
            raise SourceBroken(f"The Parquet shards in {self.folder} have no rows. Build or download it again.")
        if rows["index"].isna().any():
            raise SourceBroken(f"{self.folder} has rows without an index. Build it again, or run: medimeta verify")
        if self.checked and (wrong := rows["index"].duplicated() | rows["index"].lt(0)).any():
            first = rows[wrong].iloc[0]
            problem = f"index is {first['index']}, which is negative or another row's, too"
            raise SourceBroken(
                f"{first['shard']}, row {first['shard_row']}: {problem}. Build or download the dataset again; "
                f"all faults: medimeta verify {self.folder.parent}",
                code="invalid-rows",
            )
        return rows

    def reading_order(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """Return the rows in the order in which they are stored."""
        return manifest.sort_values(list(STORED))

    def columns(self, path: Path) -> StoredColumns:
        """Return the checks of a shard's columns."""
        return StoredColumns(path, self.card, self.features, checked=self.checked)

    def _rows(self, split: str, path: Path, columns: Sequence[str] | None) -> pd.DataFrame:
        table = self.columns(path).read()
        table = table if columns is None else table.select(columns)
        rows = pd.DataFrame({name: pd.Series(table[name].to_pylist(), dtype=object) for name in table.column_names})
        return rows.assign(split=split, shard=str(path), shard_row=range(len(rows)))

    def encode(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """The pictures of some rows as they are stored.

        Raises:
            SourceBroken: Naming the first row whose picture is missing, unreadable, or of another size or mode.
        """
        encoded: dict[tuple[str, int], dict[str, Any]] = {}
        for shard, part in rows.groupby("shard", sort=False):
            wanted, columns = sorted(part["shard_row"]), self.columns(Path(str(shard)))
            for number, row in zip(wanted, read_rows(columns.path, list(columns.modes), wanted), strict=True):
                pictures = {name: None if value is None else value["bytes"] for name, value in row.items()}
                if self.checked:
                    columns.check_pictures(number, pictures, self.side)
                encoded[str(shard), number] = pictures
        return [encoded[place] for place in zip(rows["shard"], rows["shard_row"], strict=True)]
