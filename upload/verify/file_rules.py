"""Rules for the files of a dataset in a Hub folder: build record, shards, Parquet footers and card.

Each is a function that yields the problems; `FILE_RULES` lists them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from datasets import Features

from ...builders.rows import BATCH
from ...builders.shard_files import brief
from ...cards.card import Config, front_matter
from ...cards.facts import SPLITS
from ...errors import some
from ..folder.card_files import OUTDATED
from ..folder.shards import SHARD_BYTES, stored_features
from ..folder.writing import CARD
from .findings import Problem
from .published import Published
from .tally import EXAMPLES

# The viewer reads the first, `datasets` writes the second.
CHUNKING_KEYS = (b"use_content_defined_chunking", b"content_defined_chunking")


def pointers(published: Published) -> Iterator[Problem]:
    """The shards are here, not only the pointers that git-lfs leaves in a clone."""
    names = [shard.path.name for shard in published.shards if shard.is_pointer]
    if names:
        yield Problem(
            "error", f"git-lfs pointer(s) in place of the files: {some(names)}. In {published.hub}, run: git lfs pull"
        )


def build_record(published: Published) -> Iterator[Problem]:
    """`build.json` is readable and counts the rows that the shards hold."""
    record = published.record
    if isinstance(record, str):
        yield Problem("error", f"build.json {record}. Build the dataset again.")
    elif record.rows != published.rows:
        yield Problem("error", f"build.json counts {_counts(record.rows)}; the shards hold {_counts(published.rows)}.")


def shard_set(published: Published) -> Iterator[Problem]:
    """Every Parquet file is readable, and the shards of each split are all there."""
    if not published.shards:
        yield Problem("error", f"no Parquet file in {published.folder}.")
    strange = [shard.path.name for shard in published.shards if not shard.split]
    if strange:
        yield Problem("error", f"file(s) that are not named as a split's shards: {some(strange)}.")
    damaged = [shard.path.name for shard in published.shards if shard.footer is None]
    if damaged:
        yield Problem("error", f"file(s) that are not readable Parquet: {some(damaged)}. Build the dataset again.")
    for split in SPLITS:
        names = [shard.path.name for shard in published.shards if shard.split == split]
        total = max((shard.total for shard in published.shards if shard.split == split), default=0)
        expected = [f"{split}-{i:05d}-of-{total:05d}.parquet" for i in range(total)]
        if names != expected:
            yield Problem("error", f"{split} has the shards {some(names)}; expected: {some(expected)}.")


def only_parquet(published: Published) -> Iterator[Problem]:
    """Nothing but Parquet files is in the folder, so that libraries which read folders can read it."""
    others = sorted(path.name for path in published.folder.glob("*") if path.suffix != ".parquet")
    if others:
        yield Problem("note", f"libraries that read whole folders stop at {some(others)}. Move it, or build again.")


def row_counts(published: Published) -> Iterator[Problem]:
    """Every split has the published number of rows, or the record says that the build is partial."""
    found, wanted = published.rows, dict(published.card.splits.counts)
    if found == wanted:
        return
    record = published.record
    partial = not isinstance(record, str) and record.rows == found
    counts = f"{_counts(found)}; published: {_counts(wanted)}."
    yield Problem("note", f"a partial build: {counts}") if partial else Problem("error", counts)


def schema(published: Published) -> Iterator[Problem]:
    """Columns and types are those of the catalogue."""
    wanted = published.features.arrow_schema
    for shard in published.readable:
        if shard.schema.equals(wanted):
            continue
        found = dict(zip(shard.schema.names, shard.schema.types, strict=True))
        wrong = [f"lacks {name}" for name in wanted.names if name not in found]
        wrong += [f"has {name}" for name in found if name not in wanted.names]
        wrong += [
            f"{f.name} is {found[f.name]}, not {f.type}" for f in wanted if found.get(f.name) not in (None, f.type)
        ]
        wrong = wrong or ["columns are in another order, or occur twice"]
        yield Problem("error", f"{shard.path.name}: {some(wrong)}. Its rows were not checked.")


def metadata(published: Published) -> Iterator[Problem]:
    """Each footer has the features with label names, and the keys for content-defined chunks."""
    for shard in published.readable:
        found = shard.footer.metadata or {}
        lacking = [key.decode() for key in (b"huggingface", *CHUNKING_KEYS) if key not in found]
        if lacking:
            yield Problem("error", f"{shard.path.name} lacks the metadata {some(lacking)}.")
        if b"huggingface" in found and (wrong := _wrong_features(found[b"huggingface"], published.features)):
            yield Problem("error", f"{shard.path.name}: other features than the catalogue's: {some(wrong)}.")


def row_groups(published: Published) -> Iterator[Problem]:
    """Row groups have at most 100 rows, which the viewer needs to show a page of images."""
    for shard in published.readable:
        large = [group.num_rows for group in shard.groups if group.num_rows > BATCH]
        if large:
            yield Problem("error", f"{shard.path.name} has row groups of {max(large):,} rows; the limit is {BATCH}.")


def page_index(published: Published) -> Iterator[Problem]:
    """Every column has a page index, so that the viewer reads no more than it shows."""
    for shard in published.readable:
        lacking = sorted({chunk.name for chunk in shard.chunks if not chunk.has_index})
        if lacking:
            yield Problem("error", f"{shard.path.name} has no page index for {some(lacking)}.")


def file_size(published: Published) -> Iterator[Problem]:
    """No file is larger than 500 MB."""
    for shard in published.shards:
        if (size := shard.path.stat().st_size) > SHARD_BYTES:
            yield Problem("error", f"{shard.path.name} has {size:,} bytes; the limit is {SHARD_BYTES:,}.")


def card(published: Published) -> Iterator[Problem]:
    """README.md describes the shards correctly for `load_dataset` and the viewer."""
    front = published.front_matter
    if isinstance(front, str):
        yield Problem("error", f"{CARD} {front}. Write it again: medimeta card {published.hub}")
        return
    if (published.hub / OUTDATED).exists():
        message = (
            f"a build ended after it replaced a dataset and before it wrote {CARD}, which may describe the old one"
        )
        yield Problem("error", f"{message}. Write it again: medimeta card {published.hub}")
    sizes = {split: {"num_examples": n, "num_bytes": 0, "download_size": 0} for split, n in published.rows.items()}
    config = Config(published.card, stored_features(published.features), sizes, published.options.labels, "")
    for key, wanted in front_matter([config]).items():
        if key in ("configs", "dataset_info"):
            entries = [entry for entry in _entries(front.get(key)) if entry.get("config_name") == published.card.id]
            wrong = list(_wrong_entry(entries[0], wanted[0])) if entries else ["no entry"]
            if wrong:
                message = f"{key} of {CARD} disagrees with the shards. Write it again: medimeta card {published.hub}"
                yield Problem("error", message, tuple(wrong[:EXAMPLES]))


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in rows.items()) or "no rows"


def _wrong_features(stored: bytes, wanted: Features) -> list[str]:
    try:
        found = Features.from_dict(json.loads(stored)["info"]["features"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        return [f"unreadable ({type(error).__name__}: {error})"]
    return [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _wrong_entry(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences of an entry of `configs` or `dataset_info`; bytes are not compared."""
    if "data_files" in wanted and found.get("data_files") != wanted["data_files"]:
        yield f"data_files: {brief(found.get('data_files'))}, where {wanted['data_files']} is expected"
    have, want = ({str(item.get("name")): item for item in _entries(e.get("features"))} for e in (found, wanted))
    for name in {**want, **have}:
        if have.get(name) != want.get(name):
            yield f"features: {name}: {brief(have.get(name))}, where {want.get(name)} is expected"
    rows, listed = (
        {str(item.get("name")): item.get("num_examples") for item in _entries(entry.get("splits"))}
        for entry in (wanted, found)
    )
    if rows != listed:
        yield f"splits: {brief(listed)}, where {rows} are in the shards"


FILE_RULES: dict[str, Callable[[Published], Iterator[Problem]]] = {
    "pointers": pointers,
    "build record": build_record,
    "shards": shard_set,
    "other files": only_parquet,
    "row counts": row_counts,
    "schema": schema,
    "metadata": metadata,
    "row groups": row_groups,
    "page index": page_index,
    "file size": file_size,
    "card": card,
}
