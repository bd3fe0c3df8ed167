"""Open the Parquet shards of a Hub folder, which anyone may have written."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..cards.facts import SPLITS
from ..errors import SourceBroken, some

SHARD = re.compile(r"(train|validation|test)-(\d{5})-of-(\d{5})\.parquet")
UNREADABLE_PARQUET = (pa.ArrowException, OSError, ValueError, MemoryError)
_POINTER = b"version https://git-lfs.github.com/spec/"
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxdict, _BRIEF.maxlist, _BRIEF.maxstring, _BRIEF.maxother = 8, 20, 20, 100, 100


def shards(folder: Path) -> dict[str, list[Path]]:
    """Return the shards of one dataset's folder by split, in order.

    Raises:
        SourceBroken: If a split lacks shards or has more than its names say.
    """
    by_split: dict[str, list[Path]] = {split: [] for split in SPLITS}
    for path in sorted(folder.glob("*.parquet")):
        if (match := SHARD.fullmatch(path.name)) is not None:
            by_split[match[1]].append(path)
    for split, paths in by_split.items():
        names = [p.name for p in paths]
        if names != [f"{split}-{i:05d}-of-{len(paths):05d}.parquet" for i in range(len(paths))]:
            raise SourceBroken(
                f"{folder} holds an incomplete set of {split} shards: {some(names)}. Build or download it again."
            )
    return {split: paths for split, paths in by_split.items() if paths}


def is_pointer(path: Path) -> bool:
    """Whether a file is only the pointer that git-lfs leaves in a clone."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def open_shard(path: Path) -> pq.ParquetFile:
    """Open a shard; its rows are not read.

    Raises:
        SourceBroken: If it is a git-lfs pointer, or not a Parquet file.
    """
    try:
        if not is_pointer(path):
            return pq.ParquetFile(path)
    except UNREADABLE_PARQUET as error:
        raise SourceBroken(
            f"{path} is not a readable Parquet file ({shown(error)}). Build or download it again."
        ) from error
    raise SourceBroken(
        f"{path} is a git-lfs pointer, not the file itself. In its folder, run: git lfs pull", code="lfs-pointer"
    )


def read_rows(shard: Path, columns: Sequence[str], wanted: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Yield some columns of some rows, by ascending position; only the row groups that hold them are read."""
    with open_shard(shard) as file:
        start = 0
        for group in range(file.metadata.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            inside = [row - start for row in wanted if start <= row < end]
            if inside:
                try:
                    yield from file.read_row_group(group, columns=columns).take(inside).to_pylist()
                except UNREADABLE_PARQUET as error:
                    raise SourceBroken(
                        f"{shard}, rows {start} to {end - 1}: cannot be read ({shown(error)}). Build or download the "
                        "dataset again."
                    ) from error
            start = end


def shown(error: BaseException) -> str:
    """Return the text of an error, in at most 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."


def brief(value: object) -> str:
    """Return a value's representation, short however large or nested the value is."""
    return _BRIEF.repr(value)
