"""The Hub folder: the card's files, and `build.json` and `<split>-0000k-of-0000N.parquet` in a folder per dataset.

A build renders into a hidden workshop beside the folder and then replaces the folder in one step, so that it is the
old one or the new one at any moment. What a killed build had finished is used by the next.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
from filelock import FileLock

from ...builders.keys import source_key
from ...builders.rows import features, to_table
from ...builders.source import Source
from ...errors import some
from ...files.atomic import link_or_copy, mirror, recover, replace_folder, whole_file
from ...files.parallel import ordered_map
from ...files.stamp import count_and_bytes
from .card_files import CARD, NotAHubFolder, write_card
from .record import RECORD, BuildRecord, read_records
from .shards import Shard, plan, write_shard

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
    """Build one dataset into a Hub folder, beside the datasets that are already in it.

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
        SourceIncomplete, SourceBroken: If the source is not what it should be.
    """
    check_folder(out)
    manifest = source.manifest()
    expect(len(manifest))
    workshop = _Workshop(out)
    key = source_key(source)
    record = _record(source, manifest, version)
    if not force and workshop.is_built(source.card.id, key):
        advance(len(manifest))
        return next(built for built in read_records(out) if built.dataset == source.card.id)
    staged = workshop.stage(source.card.id, key)
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
    """Make sure that a folder can be built into.

    Raises:
        NotAHubFolder: If it is a file, or a folder with other things in it and no build record.
    """
    if out.is_file():
        raise NotAHubFolder(f"{out} is a file. Give a folder for the Parquet files.")
    if out.is_dir() and not read_records(out):
        others = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
        if others:
            raise NotAHubFolder(
                f"{out} holds {some(others)} and no dataset that was built. Give an empty or a new folder, so that "
                "nothing of yours is mixed with what gets published."
            )


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
    if source.options.splits_from is not None or source.kind == "release":
        membership = "release"
    elif rule.rule == "source":
        membership = "source"
    else:
        membership = "computed" if rows == rule.counts and rule.order == "source" else "recomputed"
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
    )


class _Workshop:
    """The hidden folder `.<name>.medimeta` beside a Hub folder: staged shards, a lock, and what was built from what.

    Deleting it loses nothing but the chance to resume.
    """

    def __init__(self, out: Path) -> None:
        self.out = out.absolute()
        self.home = self.out.parent / f".{self.out.name}.medimeta"
        self.home.mkdir(parents=True, exist_ok=True)
        self._built = self.home / "built.json"

    def stage(self, dataset: str, key: str) -> Path:
        """The folder for finished shards of one build; those of builds from another state are deleted."""
        staged = self.home / f"{dataset}-{key}"
        for other in self.home.glob(f"{dataset}-*"):
            if other != staged:
                shutil.rmtree(other)
        staged.mkdir(exist_ok=True)
        return staged

    def is_built(self, dataset: str, key: str) -> bool:
        """Whether the folder holds this very build, untouched."""
        state = self._state().get(dataset)
        return state is not None and state == [key, _files(self.out / dataset)]

    def publish(self, record: BuildRecord, key: str, staged: Path) -> None:
        """Replace the Hub folder by one with the staged shards in it, in one step."""
        new = self.home / "new"
        with FileLock(self.home / "lock"):
            recover(new, self.out)
            if self.out.exists():
                mirror(self.out, new, leave_out=frozenset({record.dataset, CARD}))
            target = new / record.dataset
            target.mkdir(parents=True)
            for shard in sorted(staged.glob("*.parquet")):
                link_or_copy(shard, target / shard.name)
            with whole_file(target / RECORD) as partial:
                partial.write_text(record.dumps(), encoding="utf-8")
            write_card(new, record.medimeta)
            replace_folder(new, self.out)
            state = self._state() | {record.dataset: [key, _files(self.out / record.dataset)]}
            with whole_file(self._built) as partial:
                partial.write_text(json.dumps(state), encoding="utf-8")
        shutil.rmtree(staged)

    def _state(self) -> dict[str, list[object]]:
        try:
            state: dict[str, list[object]] = json.loads(self._built.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return state


def _files(folder: Path) -> list[list[object]]:
    if not folder.is_dir():
        return []
    return [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in sorted(folder.iterdir())]
