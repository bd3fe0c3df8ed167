"""Feature banks: the features of a split by one encoder, computed once and shared by all processes.

Layout  <cache of `datasets`>/medimeta-features/<key>/bank.json       description: encoder, dataset, split, identity
                                                      <first row>.npy  finished shards of an unfinished bank
                                                      features.npy     all features, once every shard is finished
                                                      index.npy        ids of the rows, if known

The key is a hash of everything that decides the features: the pixels, the encoder's weights, its preprocessing, the
numeric precision and the versions of the libraries. Equal images share one bank, whatever source they were read from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets.config
import numpy as np
from filelock import FileLock, Timeout

from ....errors import MedIMetaError
from ....files.atomic import whole_file
from ....files.json_values import canonical
from .identity import differences

UNREADABLE = (OSError, ValueError, EOFError)  # raised by NumPy for a file that is truncated or not an array
ABOUT, FEATURES, IDS = "bank.json", "features.npy", "index.npy"


def folder() -> Path:
    """Return the folder of all banks, in the cache of `datasets` (moved with HF_DATASETS_CACHE)."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "medimeta-features"


@dataclass(frozen=True)
class Bank:
    """One bank in the cache, finished or not.

    Attributes:
        path: Folder of the bank.
        about: "identity", and for display "encoder" (name), "dataset", "split", "licence".
    """

    path: Path
    about: dict[str, Any]

    @classmethod
    def of(cls, identity: Mapping[str, Any], about: Mapping[str, Any]) -> Bank:
        """Return the bank of an identity; nothing is written.

        Args:
            identity: What `identity.identity` returns.
            about: The other entries of `about`.
        """
        key = hashlib.sha256(canonical(identity)).hexdigest()[:32]
        return cls(folder() / key, {**about, "identity": dict(identity)})

    @property
    def features(self) -> Path:
        """The file of all features."""
        return self.path / FEATURES

    @property
    def shape(self) -> tuple[int, int]:
        """Number of images, and number of features per image."""
        return self.about["identity"]["rows"], self.about["identity"]["width"]

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        size = 0
        for path in self.path.iterdir():
            with suppress(FileNotFoundError):  # a shard that another process has just put together
                size += path.stat().st_size
        return size

    @property
    def used(self) -> float:
        """Time of last use, in seconds since 1970."""
        return (self.path / ABOUT).stat().st_mtime

    @property
    def unused_days(self) -> float:
        """Days since the last use."""
        return (time.time() - self.used) / 86400

    def lock(self, timeout: float = -1) -> FileLock:
        """Return the lock for writing the bank."""
        return FileLock(self.path.with_suffix(".lock"), timeout, mode=0o666)  # other users of the cache lock it, too

    def open(self) -> np.ndarray | None:
        """Return the features, read-only and memory-mapped; None if the bank is not finished.

        Raises:
            MedIMetaError: If the files are damaged or belong to another bank.
        """
        if not self.features.is_file():
            return None
        self.check()
        try:
            features: np.ndarray = np.load(self.features, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except UNREADABLE as error:
            raise self._damaged(str(error)) from error
        if features.shape != self.shape or features.dtype != np.float32:
            raise self._damaged(f"it holds {features.dtype} of shape {features.shape}, not float32 of {self.shape}")
        with suppress(OSError):  # the time of last use; the file may belong to another user
            os.utime(self.path / ABOUT)
        return features

    def check(self) -> None:
        """Check that the folder belongs to this bank.

        Raises:
            MedIMetaError: If it does not; the message names the differences.
        """
        stored = read_about(self.path)
        if stored is None:
            raise self._damaged(f"{ABOUT} cannot be read")
        if different := differences(stored["identity"], self.about["identity"]):
            raise self._damaged(f"it is of another bank ({'; '.join(different)})")

    def prepare(self, ids: np.ndarray | None = None) -> None:
        """Create the folder if it does not exist, and check that it belongs to this bank; requires the lock.

        Args:
            ids: Ids of the rows, stored for publishing.
        """
        if read_about(self.path) is None:
            self.path.mkdir(parents=True, exist_ok=True)
            if ids is not None:
                with whole_file(self.path / IDS) as partial, partial.open("wb") as file:
                    np.save(file, np.asarray(ids, np.int64), allow_pickle=False)
            with whole_file(self.path / ABOUT) as partial:
                partial.write_text(json.dumps(self.about, indent=2) + "\n", encoding="utf-8")
        self.check()

    def delete(self) -> int:
        """Delete the bank, and return the number of bytes freed; 0 if it is being computed or may not be deleted."""
        try:
            with self.lock(timeout=0), ExitStack() as shards:
                for path in self.path.glob(".*.lock"):
                    shards.enter_context(FileLock(path, 0, mode=0o666))
                freed = self.bytes
                shutil.rmtree(self.path)
        except (Timeout, PermissionError, FileNotFoundError):
            return 0
        return freed

    def _damaged(self, reason: str) -> MedIMetaError:
        return MedIMetaError(
            f"The feature bank {self.path} cannot be used: {reason}. Delete the folder, and rerun.", code="bank-damaged"
        )


def banks(*, encoder: str | None = None, dataset: str | None = None) -> list[Bank]:
    """Return all banks in the cache, the most recently used first.

    Args:
        encoder: Only those of an encoder of this name.
        dataset: Only those of this dataset.
    """
    dated = []
    for path in folder().iterdir() if folder().is_dir() else ():
        if path.is_dir() and (about := read_about(path)) is not None:
            if encoder not in (None, about["encoder"]) or dataset not in (None, about["dataset"]):
                continue
            with suppress(FileNotFoundError):  # another process has just deleted it
                bank = Bank(path, about)
                dated.append((-bank.used, path.name, bank))
    return [bank for _, _, bank in sorted(dated, key=lambda one: one[:2])]


def nearest(bank: Bank) -> list[str]:
    """Return the differences from an earlier bank of the same encoder, dataset and split; empty if there is none.

    Args:
        bank: The requested bank.
    """
    for other in banks(encoder=bank.about["encoder"], dataset=bank.about["dataset"]):
        if other.path != bank.path and other.about["split"] == bank.about["split"]:
            return differences(other.about["identity"], bank.about["identity"])
    return []


def read_about(path: Path) -> dict[str, Any] | None:
    """Return the description of the bank in a folder; None if it cannot be read."""
    try:
        about = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        complete = {"rows", "width"} <= set(about["identity"]) and {"encoder", "dataset", "split"} <= set(about)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return about if complete else None
