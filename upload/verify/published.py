"""A Hub folder as it is found, whole or damaged: nothing here raises for what a file holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from datasets import Features

from ...builders.hub import SHARD
from ...builders.rows import features
from ...builders.source import LABELS, Options
from ...cards.facts import SPLITS, DatasetCard
from ..folder.record import RECORD, BuildRecord
from ..folder.writing import CARD

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times faster; not every wheel has it


@dataclass(frozen=True)
class StoredShard:
    """One Parquet file.

    Attributes:
        path: Where it lies.
    """

    path: Path

    @property
    def split(self) -> str:
        """The split that its name tells; "" when it is not named as shards are."""
        match = SHARD.fullmatch(self.path.name)
        return "" if match is None else match[1]

    @property
    def total(self) -> int:
        """The number of shards of its split, as its name tells; 0 when it is not named as shards are."""
        match = SHARD.fullmatch(self.path.name)
        return 0 if match is None else int(match[3])

    @cached_property
    def footer(self) -> Any:
        """Its Parquet metadata, or None when it cannot be read."""
        try:
            return pq.read_metadata(self.path)
        except (pa.ArrowException, OSError):
            return None

    @cached_property
    def schema(self) -> Any:
        """Its Arrow schema, or None when it cannot be read."""
        return None if self.footer is None else self.footer.schema.to_arrow_schema()

    @property
    def groups(self) -> list[Any]:
        """Its row groups' metadata."""
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
        try:
            record = BuildRecord(**json.loads((self.folder / RECORD).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return "is missing"
        except (OSError, ValueError, TypeError) as error:
            return f"is no build record of this version ({error})"
        if record.dataset != self.card.id or record.labels not in LABELS:
            return f"records {record.dataset!r} with labels {record.labels!r}"
        if not isinstance(record.rows, dict) or not all(isinstance(count, int) for count in record.rows.values()):
            return f"records {record.rows!r} as rows per split"
        return record

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
        return [shard for shard in self.shards if shard.split and shard.footer is not None]

    @property
    def rows(self) -> dict[str, int]:
        """Rows per split, as far as shards can be read."""
        found = {
            split: sum(shard.footer.num_rows for shard in self.readable if shard.split == split) for split in SPLITS
        }
        return {split: rows for split, rows in found.items() if rows}

    @cached_property
    def options(self) -> Options:
        """How it was built; without a record, as the columns tell."""
        if isinstance(self.record, str):
            return Options(
                with_masks=any(mask in shard.schema.names for shard in self.readable for mask in self.card.masks)
            )
        return Options(labels=self.record.labels, with_masks=self.record.masks)  # type: ignore[arg-type]

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
        text = card.decode().replace("\r\n", "\n")
        front = yaml.load(text.split("---\n")[1], Loader=_LOADER)  # noqa: S506  a safe one
    except (UnicodeError, IndexError, yaml.YAMLError) as error:
        return f"has no readable front matter ({type(error).__name__}: {error})"
    return front if isinstance(front, dict) else "has no front matter"
