"""The pixel store: the images of a view decoded once, into memory-mapped files that all processes share.

Layout  <cache of `datasets`>/medimeta-pixels/<id>.npy    uint8, (rows, height, width, channels); `np.load` reads it
                                              <key>.key   the name of that file, by what its images were decoded from

The id is a hash of the pixels: the same images give the same file, be they from Parquet, a raw source or a release.
Two keys lead to it without decoding: the fingerprint of the rows, for which nothing is read, and a hash of the encoded
images, which finds it for other views, labels and copies of the same images.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets.utils import tqdm
from filelock import FileLock, Timeout

from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ...files.parallel import ordered_map
from .decode import Pictures, decode_images, encoded_images, image_shape

BLOCK = 32  # images read, decoded and written together; times the threads, it bounds the memory of a build
THREADS = min(os.cpu_count() or 1, 16)


def folder() -> Path:
    """Where stores lie: in the cache of `datasets`, which HF_DATASETS_CACHE moves."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "medimeta-pixels"


def find_or_build(images: datasets.Dataset) -> Path:
    """The store of some images, built if there is none yet.

    A store has its name only when it is whole; processes that want the same one at once wait for the first.

    Args:
        images: One column of images, in the format "arrow".

    Raises:
        MedIMetaError: If an image is damaged or unlike the others, or the disk has no room.
    """
    if (path := _target(images._fingerprint)) is None:
        folder().mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(THREADS) as executor:
            key = _digest(images, executor)
            with FileLock(folder() / f"{key}.lock"):
                if (path := _target(key)) is None:
                    path = _build(images, folder() / f"{key}.part", executor)
                    _link(key, path)
        _link(images._fingerprint, path)
    os.utime(path)  # the time of use, by which `clean_cache` goes
    return path


@dataclass(frozen=True)
class CacheEntry:
    """One store in the cache.

    Attributes:
        path: The file.
        images: Number of images in it.
        bytes: Its size.
        used: When it was last asked for, in seconds since 1970.
    """

    path: Path
    images: int
    bytes: int
    used: float

    @property
    def unused_days(self) -> float:
        """Days since then."""
        return (time.time() - self.used) / 86400


def cache_entries() -> list[CacheEntry]:
    """All stores in the cache, the one used last first."""
    found = []
    for path in folder().glob("*.npy"):
        state = path.stat()
        found.append(CacheEntry(path, len(np.load(path, mmap_mode="r")), state.st_size, state.st_mtime))
    return sorted(found, key=lambda entry: entry.used, reverse=True)


def clean_cache(unused_days: float = 0) -> int:
    """Delete stores, and what killed builds left behind; what is being built is left alone.

    Args:
        unused_days: Keep what was asked for within so many days; by default nothing is kept.

    Returns:
        The number of bytes that became free. Those of a store in use become free when its last process ends.
    """
    freed = 0
    for entry in cache_entries():
        if entry.unused_days >= unused_days:
            entry.path.unlink(missing_ok=True)
            freed += entry.bytes
    for link in folder().glob("*.key"):
        if _target(link.stem) is None:
            link.unlink(missing_ok=True)
    for part in folder().glob("*.part"):
        try:
            with FileLock(part.with_suffix(".lock"), timeout=0):
                size = part.stat().st_size
                part.unlink()
                freed += size
        except (Timeout, FileNotFoundError):  # it is being written, or has just become a store
            continue
    return freed


def _target(key: str) -> Path | None:
    try:
        path = folder() / (folder() / f"{key}.key").read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return path if path.exists() else None


def _link(key: str, path: Path) -> None:
    with whole_file(folder() / f"{key}.key") as link:
        link.write_text(path.name, encoding="ascii")


Block = tuple[range, list[bytes]]  # row numbers, encoded images


def _blocks(images: datasets.Dataset) -> Iterator[Block]:
    for start in range(0, len(images), BLOCK):
        rows = range(start, min(start + BLOCK, len(images)))
        yield rows, encoded_images(images, rows)


def _digest(images: datasets.Dataset, executor: Executor) -> str:
    digest = hashlib.sha256()
    for hashes in ordered_map(lambda block: _hashes(block[1]), _blocks(images), executor, 2 * THREADS):
        digest.update(hashes)
    return digest.hexdigest()[:32]


def _hashes(pictures: Any) -> bytes:
    return b"".join(hashlib.sha256(picture).digest() for picture in pictures)


def _decode(shape: tuple[int, ...], block: Block) -> tuple[Pictures, bytes]:
    rows, data = block
    pixels = np.empty((len(data), *shape), np.uint8)
    decode_images(data, rows, pixels)
    return pixels, _hashes(pixels)


def _build(images: datasets.Dataset, part: Path, executor: Executor) -> Path:
    shape = image_shape(images)
    _check_space(len(images), shape)
    digest = hashlib.sha256(repr(shape).encode())
    try:
        with part.open("wb") as file, tqdm(total=len(images), desc="Decoding", unit=" images") as bar:
            header: Any = {"descr": "|u1", "fortran_order": False, "shape": (len(images), *shape)}
            np.lib.format.write_array_header_1_0(file, header)
            # Written, not mapped: a full disk is an error here, where it would kill a process that writes to a map.
            for pixels, hashes in ordered_map(partial(_decode, shape), _blocks(images), executor, 2 * THREADS):
                file.write(pixels)
                digest.update(hashes)
                bar.update(len(pixels))
            file.flush()
            os.fsync(file.fileno())
        return part.replace(part.with_name(f"{digest.hexdigest()[:32]}.npy"))
    finally:
        part.unlink(missing_ok=True)


def _check_space(images: int, shape: tuple[int, ...]) -> None:
    needed, free = images * int(np.prod(shape)), shutil.disk_usage(folder()).free
    if needed > free:
        raise MedIMetaError(
            f"The pixels of {images:,} images take {needed / 1e9:.1f} GB; {folder()} has {free / 1e9:.1f} GB free. "
            "Delete what is not needed any more (medimeta cache --clean), move the cache to another disk with "
            "HF_DATASETS_CACHE, or decode images each time they are used (store=False)."
        )
