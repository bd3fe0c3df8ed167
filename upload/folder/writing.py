"""The Hub folder: the card, `records/<id>/build.json`, and `<id>/<split>-0000k-of-0000N.parquet`.

A build renders into a hidden workshop and then replaces the dataset's folder in one step, so that it is the old one or
the new one at any moment. What a killed build had finished is used by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa

from ...builders.keys import source_key
from ...builders.rows import features, splits_of, to_table
from ...builders.source import Source
from ...builders.table.completeness import label_hash, path_hash
from ...builders.table.order import Order, in_order
from ...cards.catalogue import DATASETS
from ...cards.details import Pins
from ...errors import MedIMetaError, some
from ...files.atomic import check_writable
from ...files.parallel import ordered_map
from ...files.stamp import count_and_bytes
from .card_files import CARD, NotAHubFolder, write_card
from .record import BuildRecord, Membership, read_record, read_records, record_path
from .shards import plan, write_shard
from .spool import Spool
from .workshop import Workshop

LAYOUT = 2  # raise it when the files of a Hub folder change, while its rows do not

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
    order: Order = "shuffled",
) -> BuildRecord:
    """Build one dataset into a Hub folder, next to the datasets that are already in it.

    A source is read in its own order. If rows are stored in another, encoded images are kept on the disk in between:
    until the build is finished, it takes twice the space of its result.

    Args:
        source: The dataset and where it is.
        out: The Hub folder; created if need be.
        version: Version of this project, for the record.
        executor: Where images are rendered; None renders here. The result is the same.
        workers: Number of workers of the executor; bounds the work in flight.
        expect: Called with the number of rows as soon as it is known.
        advance: Called with the number of rows that were finished.
        force: Build again even when neither source, options nor code changed.
        order: Order of the rows in each split, see `builders.table.order.in_order`.

    Returns:
        What was built.

    Raises:
        NotAHubFolder: If `out` holds other things than a Hub folder.
        FolderInUse: If another process is building the same dataset there.
        MedIMetaError: If `out` cannot be written or has images of another size; nothing was rendered.
        SourceIncomplete, SourceBroken: If the source is not what it should be.
    """
    check_folder(out)
    _check_size(out, source)
    manifest = source.manifest()
    expect(len(manifest))
    stored = in_order(manifest, source.card, order)
    workshop = Workshop(out, source.card.id)
    key = f"{source_key(source)}-{order}-{LAYOUT}"
    record = _record(source, manifest, version, order)
    with workshop.reserved():
        if not force and workshop.is_built(key):
            workshop.clear()
            advance(len(manifest))
            return read_record(record_path(workshop.out, workshop.dataset))
        staged = workshop.stage(key)
        _write_shards(source, manifest, stored, staged, executor, workers, advance)
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


def _check_size(out: Path, source: Source) -> None:
    """Check that the other datasets of a Hub folder have images of the same size.

    Raises:
        MedIMetaError: If one has another size.
    """
    records = [record for record in read_records(out) if record.dataset != source.card.id] if out.is_dir() else []
    if others := [record.dataset for record in records if record.size != source.side]:
        size = next(record.size for record in records if record.size != source.side)
        raise MedIMetaError(
            f"{out} holds images of {size}x{size} pixels ({some(others)}), and a Hub folder has one size. Build "
            f"{source.card.id} at {source.side}x{source.side} into another folder (--out), or give --size {size}.",
            code="mixed-sizes",
        )


def _is_room(path: Path) -> bool:
    """Whether this is an empty folder that waits for a dataset: a link to another disk, perhaps."""
    return path.name in DATASETS and path.is_dir() and not any(path.iterdir())


def _write_shards(
    source: Source,
    manifest: pd.DataFrame,
    stored: pd.DataFrame,
    staged: Path,
    executor: Executor | None,
    workers: int,
    advance: Callable[[int], None],
) -> None:
    """Write the shards that are not staged yet."""
    shards = plan(stored, source.card, source.side)
    todo = [shard for shard in shards if not (staged / shard.name).exists()]
    columns = features(source.card, source.options)
    reading, window = source.reading_order(manifest), 4 * workers
    spool = Spool(source, staged) if todo and not _same_order(reading, stored) else None
    if spool is not None:
        spool.fill(reading, executor, window, advance)
        for shard in todo:
            write_shard(staged / shard.name, map(spool.to_table, shard.batches), columns)
        return
    advance(sum(shard.rows for shard in shards if shard not in todo))
    # One stream of work over all shards: workers stay busy across their borders.
    work = ((source, batch) for shard in todo for batch in shard.batches)
    tables = ordered_map(_render, work, executor, window=window)
    for shard in todo:
        write_shard(staged / shard.name, _counted(islice(tables, len(shard.batches)), advance), columns)


def _same_order(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Whether the rows of each split are in the same order."""
    return all(
        first.loc[first["split"] == split, "index"].to_list() == second.loc[second["split"] == split, "index"].to_list()
        for split in splits_of(first)
    )


def _render(work: tuple[Source, pd.DataFrame]) -> pa.Table:
    return to_table(*work)


def _counted(tables: Iterator[pa.Table], advance: Callable[[int], None]) -> Iterator[pa.Table]:
    for table in tables:
        yield table
        advance(len(table))


def _record(source: Source, manifest: pd.DataFrame, version: str, order: Order) -> BuildRecord:
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
        order=order,
        paths_sha256=paths,
        labels_sha256=label_hash(manifest, source.card) if paths and source.options.labels == "released" else None,
        size=source.side,
    )
