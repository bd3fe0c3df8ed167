"""Rules for the rows of a Hub folder: for each row (`ROW_RULES`), and for all rows of a dataset (`SET_RULES`).

StoredRows are read one row group at a time. Only what the rules over all rows need is kept.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from ...builders.images import SIDE
from ...builders.pictures import form
from ...builders.rows import BATCH
from ...builders.source import Options
from ...cards.catalogue import DATASETS
from ...cards.facts import DatasetCard
from ...errors import some
from .findings import Problem
from .pixels import decoded
from .published import Published
from .tally import EXAMPLES, NONE, Tally, row_name

REQUIRED = ("image", "original_split", "original_filepath", "index")


@dataclass(frozen=True)
class StoredRows:
    """At most 100 rows of one split.

    Attributes:
        card: Card of the dataset.
        options: Options of the build.
        split: Their split.
        values: The rows, by column.
        side: Height and width that the pictures should have, in pixels.
    """

    card: DatasetCard
    options: Options
    split: str
    values: Sequence[Mapping[str, Any]]
    side: int = SIDE

    @property
    def named(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The rows with their names."""
        return ((f"{self.split}: {row_name(row)}", row) for row in self.values)

    @property
    def modes(self) -> dict[str, str]:
        """Columns of pictures, and the mode of each."""
        return {"image": self.card.mode} | {mask: "1" for mask in self.card.masks if self.options.with_masks}

    @cached_property
    def pictures(self) -> list[dict[str, Image.Image | None]]:
        """The pictures of each row by column; None for one that cannot be read."""
        return [
            {column: decoded(row[column]["bytes"]) for column in self.modes if row[column] and row[column]["bytes"]}
            for row in self.values
        ]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of a row, to find rows with the same image or subject."""

    split: str
    index: int | None
    original_filepath: str | None
    subject_id: str | None
    pixels: bytes | None

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"{self.split}: {row_name(asdict(self))}"


def embedded(rows: StoredRows) -> Iterator[str]:
    """Pictures are embedded in the file, not referenced by a path."""
    for name, row in rows.named:
        for column in rows.modes:
            if row[column] is not None and not row[column]["bytes"]:
                yield f"{name}: {column} is only a path, {row[column]['path']!r}"


def readable(rows: StoredRows) -> Iterator[str]:
    """Pictures decode to the size of the folder, in the right mode."""
    for (name, _), pictures in zip(rows.named, rows.pictures, strict=True):
        for column, picture in pictures.items():
            if picture is None:
                yield f"{name}: {column} cannot be decoded"
            elif (picture.size, picture.mode) != ((rows.side, rows.side), rows.modes[column]):
                yield f"{name}: {column} is {form(picture)}"


def labels(rows: StoredRows) -> Iterator[str]:
    """Labels have a name; those of a multilabel task are sorted and unique."""
    for name, row in rows.named:
        for task in rows.card.tasks:
            value = row[task.column]
            ids = value if isinstance(value, list) else [value]
            if value is None:
                continue
            if any(label is None or not 0 <= label < len(task.labels) for label in ids) or ids != sorted(set(ids)):
                yield f"{name}: {task.column} is {value}"


def complete(rows: StoredRows) -> Iterator[str]:
    """Required values are not null; only corrected multilabel tasks may have unknown labels."""
    tasks = [t.column for t in rows.card.tasks if t.kind != "multilabel" or rows.options.labels == "released"]
    for name, row in rows.named:
        empty = [column for column in (*REQUIRED, *tasks) if row[column] is None]
        if empty:
            yield f"{name}: {some(empty)}"


class RowRule(NamedTuple):
    """A rule for each row; breaking it is an error.

    Attributes:
        message: Predicate of the finding, about the rows that break it.
        check: Yields the names of those rows.
    """

    message: str
    check: Callable[[StoredRows], Iterator[str]]


ROW_RULES: dict[str, RowRule] = {
    "embedded": RowRule("have a picture outside the file", embedded),
    "pictures": RowRule("have a picture that is not of the recorded size in the dataset's mode", readable),
    "labels": RowRule("have a label without a name, or labels that are not sorted and unique", labels),
    "nulls": RowRule("lack a value that every row must have", complete),
}


@dataclass(frozen=True)
class Scan:
    """Findings of one row group.

    Attributes:
        broken: StoredRows that break a rule, by its name.
        seen: Its rows.
        damage: The row group, if it cannot be read completely.
    """

    broken: dict[str, Tally]
    seen: list[Seen]
    damage: Tally


def scan(work: tuple[Path, int, str, str, Options]) -> Scan:
    """Check one row group.

    Args:
        work: Path of the shard, number of the row group, split, id of the dataset, and how it was built.
    """
    path, group, split, dataset, options = work
    broken = dict.fromkeys(ROW_RULES, NONE)
    seen: list[Seen] = []
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH, row_groups=[group]):
                rows = StoredRows(DATASETS[dataset], options, split, batch.to_pylist(), options.size or SIDE)
                for name, rule in ROW_RULES.items():
                    broken[name] += Tally.of(rule.check(rows))
                seen += map(_seen, [rows] * len(rows.values), rows.values, rows.pictures)
    except (pa.ArrowException, OSError) as error:
        return Scan(broken, seen, Tally(1, (f"{path.name}, row group {group}: {error}",)))
    return Scan(broken, seen, NONE)


def _seen(rows: StoredRows, row: Mapping[str, Any], pictures: Mapping[str, Image.Image | None]) -> Seen:
    image = pictures.get("image")
    fits = image is not None and image.size == (rows.side, rows.side)
    pixels = hashlib.sha256(image.tobytes()).digest() if image is not None and fits else None
    return Seen(rows.split, row["index"], row["original_filepath"], row["subject_id"], pixels)


def numbering(published: Published, seen: Sequence[Seen]) -> Iterator[Problem]:
    """`index` is 0, 1, 2, ... over all splits; a partial release keeps the published numbers."""
    if len(seen) < sum(published.rows.values()):  # other rules report what cannot be read
        return
    counts = Counter(row.index for row in seen if row.index is not None)
    twice = [f"{index} twice" for index, count in sorted(counts.items()) if count > 1]
    missing = [f"{index} missing" for index in range(len(seen)) if index not in counts]
    strange = [f"{index} out of range" for index in sorted(counts) if not 0 <= index < len(seen)]
    if not (wrong := [*twice, *missing, *strange]):
        return
    record = published.record
    gaps = not isinstance(record, str) and record.partial and record.source != "raw" and not twice
    message = f"index is not 0 to {len(seen) - 1:,} without gaps: {len(wrong):,} fault(s)."
    yield Problem("note" if gaps else "error", message, tuple(wrong[:EXAMPLES]))


def same_pixels(published: Published, seen: Sequence[Seen]) -> Iterator[Problem]:
    """No image is in two splits; some are, in the published sources."""
    if torn := _across_splits(seen, "pixels"):
        yield Problem("warning", f"{len(torn):,} image(s) are in two splits with the same pixels.", _words(torn))


def kept_together(published: Published, seen: Sequence[Seen]) -> Iterator[Problem]:
    """What the published rule keeps together (a patient, a volume) is in one split."""
    by = published.card.splits.by
    if by is not None and (torn := _across_splits(seen, by)):
        message = f"the published rule keeps rows of one {by} in one split; {len(torn):,} of them are in two."
        yield Problem("error", message, _words(torn))


def subjects(published: Published, seen: Sequence[Seen]) -> Iterator[Problem]:
    """If the rule does not keep subjects together, report how many are in two splits."""
    card = published.card
    if card.splits.by != "subject_id" and (torn := _across_splits(seen, "subject_id")):
        message = (
            f"{len(torn):,} {card.subject or 'subject'}(s) have images in two splits, as the published rule allows."
        )
        yield Problem("note", message, _words(torn))


def _across_splits(seen: Sequence[Seen], key: Literal["pixels", "original_filepath", "subject_id"]) -> list[list[Seen]]:
    """StoredRows with the same value, where these are in more than one split."""
    groups: defaultdict[Any, list[Seen]] = defaultdict(list)
    for row in seen:
        if (value := getattr(row, key)) is not None:
            groups[value].append(row)
    return [rows for rows in groups.values() if len({row.split for row in rows}) > 1]


def _words(groups: Sequence[Sequence[Seen]]) -> tuple[str, ...]:
    """Name one row of each split, for the first few groups."""
    firsts = [{row.split: row.name for row in reversed(rows)}.values() for rows in groups[:EXAMPLES]]
    return tuple("; ".join(sorted(names)) for names in firsts)


SET_RULES: dict[str, Callable[[Published, Sequence[Seen]], Iterator[Problem]]] = {
    "index": numbering,
    "duplicate images": same_pixels,
    "split groups": kept_together,
    "subjects": subjects,
}
