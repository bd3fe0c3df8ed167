"""A Hub folder that may be damaged: nothing here raises an error because of the content of a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Features

from ...builders.hub.checks import MOST_ROWS
from ...builders.rows import features
from ...builders.shard_files import SHARD, is_pointer, open_shard, shown
from ...builders.source import Options
from ...cards.facts import SPLITS, DatasetCard
from ...errors import MedIMetaError, SourceBroken
from ...files.parquet_footer import Chunk, column_chunks
from ...files.yaml_values import read_yaml
from ..folder.record import BuildRecord, read_record, record_path
from ..folder.writing import CARD


@dataclass(frozen=True)
class StoredShard:
    """One Parquet file.

    Attributes:
        path: Its path.
    """

    path: Path

    @property
    def split(self) -> str:
        """The split in its name; "" if it is not named like a shard."""
        match = SHARD.fullmatch(self.path.name)
        return "" if match is None else match[1]

    @property
    def total(self) -> int:
        """The number of shards of its split in its name; 0 if it is not named like a shard."""
        match = SHARD.fullmatch(self.path.name)
        return 0 if match is None else int(match[3])

    @cached_property
    def footer(self) -> Any:
        """Its Parquet metadata, or None if it cannot be read."""
        try:
            with open_shard(self.path) as file:
                footer = file.metadata
            _ = self.chunks  # damaged ones must not reach pyarrow
            return footer
        except SourceBroken:
            return None

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The column chunks of all row groups.

        Raises:
            SourceBroken: If the footer is damaged.
        """
        return [chunk for group in column_chunks(self.path) for chunk in group]

    @cached_property
    def schema(self) -> Any:
        """Its Arrow schema, or None if it cannot be read."""
        try:
            return None if self.footer is None else self.footer.schema.to_arrow_schema()
        except (pa.ArrowException, ValueError):
            return None

    @cached_property
    def is_pointer(self) -> bool:
        """Whether it is only the pointer that git-lfs leaves in a clone."""
        return is_pointer(self.path)

    @property
    def groups(self) -> list[Any]:
        """Metadata of its row groups."""
        return [] if self.footer is None else [self.footer.row_group(i) for i in range(self.footer.num_row_groups)]


@dataclass(frozen=True)
class Published:
    """One dataset of a Hub folder.

    Attributes:
        hub: The Hub folder.
        card: What the catalogue says about the dataset.
    """

    hub: Path
    card: DatasetCard

    @property
    def folder(self) -> Path:
        """The dataset's own folder."""
        return self.hub / self.card.id

    @cached_property
    def record(self) -> BuildRecord | str:
        """The build record, or why it cannot be read."""
        path = record_path(self.hub, self.folder.name)
        if not path.exists():
            return "is missing"
        try:
            return read_record(path)
        except MedIMetaError as error:
            return f"cannot be read ({shown(error)})"

    @cached_property
    def front_matter(self) -> dict[str, Any] | str:
        """The YAML of the Hub folder's README.md, or why it cannot be read."""
        return front_matter_of(self.hub)

    @cached_property
    def shards(self) -> tuple[StoredShard, ...]:
        """All Parquet files, however they are named."""
        return tuple(StoredShard(path) for path in sorted(self.folder.glob("*.parquet")))

    @property
    def readable(self) -> list[StoredShard]:
        """The shards whose footers can be read."""
        return [shard for shard in self.shards if shard.split and shard.schema is not None]

    @property
    def rows(self) -> dict[str, int]:
        """Rows per split, of the shards that can be read."""
        found = {
            split: sum(shard.footer.num_rows for shard in self.readable if shard.split == split) for split in SPLITS
        }
        return {split: rows for split, rows in found.items() if rows}

    @property
    def is_pointer(self) -> bool:
        """Whether git-lfs pointers are here in place of shards."""
        return any(shard.is_pointer for shard in self.shards)

    @property
    def too_many_rows(self) -> bool:
        """Whether there are so many more rows than published that they are not looked at."""
        return sum(self.rows.values()) > MOST_ROWS * self.card.total

    @cached_property
    def options(self) -> Options:
        """Options of the build; derived from the columns if there is no record."""
        if isinstance(self.record, str):
            return Options(
                with_masks=any(mask in shard.schema.names for shard in self.readable for mask in self.card.masks)
            )
        return Options(labels=self.record.labels, with_masks=self.record.masks, size=self.record.size)

    @cached_property
    def features(self) -> Features:
        """The columns that it should have."""
        return features(self.card, self.options)


def front_matter_of(hub: Path) -> dict[str, Any] | str:
    """The YAML of a Hub folder's README.md, or why it cannot be read."""
    try:
        return front_matter_in((hub / CARD).read_bytes())
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error})"


def front_matter_in(card: bytes) -> dict[str, Any] | str:
    """The YAML of a README.md, or why it cannot be read."""
    try:
        text = card.decode().replace("\r\n", "\n").split("---\n")[1]
        front = read_yaml(text)
    except IndexError:
        return "has no readable front matter (none between two lines of ---)"
    except ValueError as error:
        return f"has no readable front matter ({shown(error)})"
    return front if isinstance(front, dict) else "has no front matter"
