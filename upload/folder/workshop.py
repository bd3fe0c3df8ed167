"""The hidden folder in which a Hub folder's next state is prepared: finished shards, locks, and a note of each build.

It is on the same file system as the Hub folder: next to it, or inside it where that cannot be (a mount point, a parent
that may not be written). Deleting it loses nothing but the chance to resume.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ...builders.shard_files import SHARD
from ...errors import MedIMetaError
from ...files.atomic import (
    PARTIAL,
    link_or_copy,
    mirror,
    naming_full_disk,
    partial_name,
    recover,
    replace_folder,
    resemble,
    whole_file,
)
from .card_files import ASSETS, OUTDATED, card_files, install
from .question_files import entries
from .record import RECORD, RECORDS, BuildRecord, dataset_folders, read_record, record_path


class FolderInUse(MedIMetaError):
    """Another process is building the same dataset into the same folder."""


class Workshop:
    """Where one dataset of a Hub folder is prepared.

    Args:
        out: The Hub folder; links are followed.
        dataset: Id of the dataset.

    Raises:
        MedIMetaError: If the Hub folder, or the dataset's folder in it, cannot be written.
    """

    def __init__(self, out: Path, dataset: str) -> None:
        self.out = Path(os.path.realpath(out))
        self.own = Path(os.path.realpath(self.out / dataset))
        self.dataset = dataset
        self.home = self._find_home()
        self._built = self.home / "built.json"

    def _find_home(self) -> Path:
        hub = self.own.parent  # `out`, unless the dataset's folder is a link to another disk
        inside, outside = hub / ".medimeta", hub.with_name(f".{hub.name}.medimeta")
        problem = None
        for home in (inside,) if inside.exists() or not hub.name else (outside, inside):
            try:
                home.mkdir(parents=True, exist_ok=True)
                resemble(home, hub)
                for place in (hub, self.own):
                    _try_to_move(home, place)
            except OSError as error:
                problem = error
                with suppress(OSError):
                    home.rmdir()
            else:
                return home
        raise MedIMetaError(
            f"{self.out / self.dataset} cannot be replaced ({problem}). Files are prepared next to {hub} or in it, and "
            "then moved: give a folder that you may write, and do not mount a dataset's folder by itself."
        ) from problem

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep other processes from building the same dataset here.

        Raises:
            FolderInUse: Naming the process that does.
        """
        lock, holder = FileLock(self.home / f"{self.dataset}.lock"), self.home / f"{self.dataset}.holder"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            who = holder.read_text(encoding="utf-8") if holder.exists() else ""
            raise FolderInUse(
                f"{self.out / self.dataset} is being built by {who or 'another process'}. Run the same command again "
                "when that has ended, or build into another folder."
            ) from None
        try:
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            yield
        finally:
            lock.release()

    def stage(self, key: str) -> Path:
        """Return the folder for finished shards of this build; delete those of builds from another state."""
        staged = self.home / f"{self.dataset}-{key}"
        self.clear(keep=staged)
        staged.mkdir(exist_ok=True)
        return staged

    def clear(self, keep: Path | None = None) -> None:
        """Delete finished shards, but those of one build."""
        for staged in self.home.glob(f"{self.dataset}-*"):
            if staged != keep:
                shutil.rmtree(staged)

    def is_built(self, key: str) -> bool:
        """Whether the Hub folder holds this very build, untouched."""
        state = self._state().get(self.dataset)
        return state is not None and state == [key, _files(self.own)] and record_path(self.out, self.dataset).is_file()

    def publish(self, record: BuildRecord, key: str, staged: Path) -> None:
        """Put the staged shards in place of the dataset's folder in one step, and write the card that goes with them.

        The card is rendered before, so only a few renames separate the two. Files that are not the build's own stay.
        """
        new = self.home / "new"
        with FileLock(self.home / "lock"), naming_full_disk(self.home):
            recover(new, self.own)
            self._sweep()
            if self.own.exists():
                mirror(self.own, new, frozenset(path.name for path in self.own.iterdir() if _is_ours(path.name)))
            else:
                new.mkdir()
            for shard in sorted(staged.glob("*.parquet")):
                link_or_copy(shard, new / shard.name)
            others = {
                name: (own, read_record(record_path(self.out, name)))
                for name, own in dataset_folders(self.out).items()
                if name != self.dataset
            }
            card = card_files(others | {self.dataset: (new, record)}, record.medimeta, entries(self.out))
            self.out.mkdir(exist_ok=True)
            (self.out / OUTDATED).touch()
            with whole_file(self.out / RECORDS / self.dataset / RECORD) as partial:
                partial.write_text(record.dumps(), encoding="utf-8")
            replace_folder(new, self.own)
            install(card, self.out)
            state = self._state() | {self.dataset: [key, _files(self.own)]}
            with whole_file(self._built) as partial:
                partial.write_text(json.dumps(state), encoding="utf-8")
        self.clear()

    def _sweep(self) -> None:
        """Delete what a kill left of files that were being written."""
        for place in (self.home, self.out, self.out / ASSETS, self.own, self.out / RECORDS / self.dataset):
            for partial in place.glob(".*.part"):
                if PARTIAL.fullmatch(partial.name):
                    partial.unlink(missing_ok=True)

    def _state(self) -> dict[str, list[object]]:
        try:
            state: dict[str, list[object]] = json.loads(self._built.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return state


def _try_to_move(home: Path, folder: Path) -> None:
    """Move a file from one folder to another, if that is there, as the build will do when everything is rendered."""
    if folder.exists():
        probe = partial_name(home / "probe")
        probe.touch()
        try:
            probe = probe.rename(folder / probe.name)
        finally:
            probe.unlink(missing_ok=True)


def _is_ours(name: str) -> bool:
    return name == RECORD or SHARD.fullmatch(name) is not None


def _files(folder: Path) -> list[list[object]]:
    if not folder.is_dir():
        return []
    return [[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in sorted(folder.iterdir())]
