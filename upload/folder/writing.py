"""The Hub folder: the card's files, and `build.json` and `<split>-0000k-of-0000N.parquet` in a folder per dataset.

A build renders into a hidden workshop and then replaces the dataset's folder in one step, so that it is the old one or
the new one at any moment. What a killed build had finished is used by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ...builders.keys import source_key
from ...builders.rows import features, to_table
from ...builders.source import Source
from ...builders.table.completeness import label_hash, path_hash
from ...cards.catalogue import DATASETS
from ...cards.details import Pins
from ...errors import some
from ...files.atomic import check_writable
from ...files.parallel import ordered_map
from ...files.stamp import count_and_bytes
from .card_files import CARD, NotAHubFolder, write_card
from .record import RECORD, BuildRecord, Membership, read_record, read_records
from .shards import Shard, plan, write_shard
from .workshop import Workshop

__all__ = ["CARD", "NotAHubFolder", "build", "check_folder", "write_card"]


def build(
    source: Source,
    out: Path,
    *,
    version: str,
    executor: Executor | None = None,
    workers: int = 1,
    expect: Callable[[int], None] = lambda rows: None,
    advance: Callable[[int], None] = lambda rows: None,
    force: bool = False,
) -> BuildRecord:
    """Build one dataset into a Hub folder, next to the datasets that are already in it.

    Args:
        source: The dataset and where it is.
        out: The Hub folder; created if need be.
        version: Version of this project, for the record.
        executor: Where images are rendered; None renders here. The result is the same.
        workers: Number of workers of the executor; bounds the work in flight.
        expect: Called with the number of rows as soon as it is known.
        advance: Called with the number of rows that were finished.
        force: Build again even when neither source, options nor code changed.

    Returns:
        What was built.

    Raises:
        NotAHubFolder: If `out` holds other things than a Hub folder.
        FolderInUse: If another process is building the same dataset there.
        MedIMetaError: If `out` cannot be written; nothing was rendered.
        SourceIncomplete, SourceBroken: If the source is not what it should be.
    """
    check_folder(out)
    manifest = source.manifest()
    expect(len(manifest))
    workshop = Workshop(out, source.card.id)
    key = source_key(source)
    record = _record(source, manifest, version)
    with workshop.reserved():
        if not force and workshop.is_built(key):
            workshop.clear()
            advance(len(manifest))
            return read_record(workshop.own / RECORD)
        staged = workshop.stage(key)
        todo = []
        for shard in plan(manifest, source.card):
            if (staged / shard.name).exists():
                advance(shard.rows)
            else:
                todo.append(shard)
        _write_shards(source, todo, staged, executor, workers, advance)
        workshop.publish(record, key, staged)
    return record


def check_folder(out: Path) -> None:
    """Check that a folder can be built into.

    Raises:
        NotAHubFolder: If it is a file, or a folder with other things in it and no build record.
        MedIMetaError: If it cannot be written.
    """
    check_writable(out)
    if out.exists() and not out.is_dir():
        raise NotAHubFolder(f"{out} is a file. Give a folder for the Parquet files.")
    if out.is_dir() and not read_records(out):
        others = sorted(path.name for path in out.iterdir() if not path.name.startswith(".") and not _is_room(path))
        if others:
            raise NotAHubFolder(
                f"{out} holds {some(others)} and no dataset that was built. Give an empty or a new folder, so that "
                "nothing of yours is mixed with what gets published."
            )


def _is_room(path: Path) -> bool:
    """Whether this is an empty folder that waits for a dataset: a link to another disk, perhaps."""
    return path.name in DATASETS and path.is_dir() and not any(path.iterdir())


def _write_shards(
    source: Source,
    todo: Sequence[Shard],
    staged: Path,
    executor: Executor | None,
    workers: int,
    advance: Callable[[int], None],
) -> None:
    columns = features(source.card, source.options)
    # One stream of work over all shards: workers stay busy across their borders.
    work = ((source, batch) for shard in todo for batch in shard.batches)
    tables = ordered_map(_render, work, executor, window=4 * workers)
    for shard in todo:
        write_shard(staged / shard.name, _counted(islice(tables, len(shard.batches)), advance), columns)


def _render(work: tuple[Source, pd.DataFrame]) -> pa.Table:
    return to_table(*work)


def _counted(tables: Iterator[pa.Table], advance: Callable[[int], None]) -> Iterator[pa.Table]:
    for table in tables:
        yield table
        advance(len(table))


def _record(source: Source, manifest: pd.DataFrame, version: str) -> BuildRecord:
    rule = source.card.splits
    counts = manifest["split"].value_counts()
    rows = {split: int(counts[split]) for split in rule.counts if split in counts}
    pins = source.card.complete or Pins()
    paths = path_hash(manifest) if rows == rule.counts else None
    membership: Membership
    if source.options.splits_from is not None or source.kind == "release":
        membership = "release"
    elif rule.rule == "source":
        membership = "source"
    else:
        published = paths is not None and paths == (pins.paths or paths)
        membership = "computed" if published and rule.order == "source" else "recomputed"
    files, size = count_and_bytes(source.location)
    return BuildRecord(
        dataset=source.card.id,
        medimeta=version,
        labels=source.options.labels,
        masks=source.options.with_masks,
        source=source.kind,
        membership=membership,
        rows=rows,
        source_files=files,
        source_bytes=size,
        version=source.card.version,
        paths_sha256=paths,
        labels_sha256=label_hash(manifest, source.card) if paths and source.options.labels == "released" else None,
    )
