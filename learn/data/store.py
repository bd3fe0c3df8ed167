"""The pixel store: the images of a view, decoded once into memory-mapped files that all processes share.

Layout  <cache of `datasets`>/medimeta-pixels/<id>.npy    uint8, (rows, height, width, channels), readable by `np.load`
                                              <id>.name   dataset and split of its first use, e.g. "bus train"
                                              <key>.key   name of the .npy file that belongs to this key

The id is a hash of the pixels, so equal images give the same file whether they come from Parquet, raw archives or a
release. Two keys find it without decoding images: the fingerprint of the view, for which no image is read, and a hash
of the encoded images, which also matches other views, labels and copies of the same images.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets.config
import numpy as np
from datasets.utils import tqdm
from filelock import FileLock, Timeout

from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ...files.parallel import ordered_map
from .decode import PixelArray, decode_images, encoded_images, image_shape

BLOCK = 32  # images decoded and written together; BLOCK times the number of threads bounds the memory of a build
THREADS = min(os.cpu_count() or 1, 16)


def folder() -> Path:
    """Return the folder of all stores, in the cache of `datasets` (moved with HF_DATASETS_CACHE)."""
    return Path(datasets.config.HF_DATASETS_CACHE) / "medimeta-pixels"


def find_or_build(images: datasets.Dataset) -> Path:
    """Return the path of the store of some images, and build it if there is none yet.

    A store appears under its name only when it is complete. Threads and processes that ask for the same store at once
    wait for the first of them to build it.

    Args:
        images: One column of images, in the format "arrow".

    Raises:
        MedIMetaError: If an image is damaged or unlike the others, or the store cannot be written.
    """
    if (path := _linked(images._fingerprint)) is None:
        try:
            path = _find_or_build(images)
        except OSError as error:
            raise MedIMetaError(
                f"The pixel store in {folder()} cannot be written: {error}. Move the cache to another folder with "
                "HF_DATASETS_CACHE, or decode images each time they are used (store=False)."
            ) from error
        with suppress(OSError):  # only a shortcut, in a folder that may belong to another user
            _link(images._fingerprint, path)
    with suppress(OSError):  # the time of last use, for `clean_cache`; the file may belong to another user
        os.utime(path)
        _name(path, images)
    return path


@dataclass(frozen=True)
class CacheEntry:
    """One store in the cache.

    Attributes:
        path: The file.
        name: Dataset and split of its first use, e.g. "bus train"; empty if unknown.
        images: Number of images.
        bytes: Size of the file.
        used: Time of last use, in seconds since 1970.
    """

    path: Path
    name: str
    images: int
    bytes: int
    used: float

    def delete(self) -> int:
        """Delete the store and return the number of bytes freed; 0 if it may not be deleted."""
        _delete(self.path.with_suffix(".name"))
        return _delete(self.path)

    @property
    def unused_days(self) -> float:
        """Days since the last use."""
        return (time.time() - self.used) / 86400


def cache_entries() -> list[CacheEntry]:
    """Return all stores in the cache, the most recently used first."""
    entries = []
    for path in folder().glob("*.npy"):
        state = path.stat()
        note = path.with_suffix(".name")
        name = note.read_text(encoding="utf-8") if note.is_file() else ""
        entries.append(CacheEntry(path, name, len(np.load(path, mmap_mode="r")), state.st_size, state.st_mtime))
    return sorted(entries, key=lambda entry: entry.used, reverse=True)


def clean_cache(unused_days: float = 0) -> int:
    """Delete stores and what interrupted builds left. Stores that are being built are kept.

    Files that this user may not delete are kept as well.

    Args:
        unused_days: Keep stores that were used within this many days; by default all are deleted.

    Returns:
        Number of bytes freed. The space of a store in use is freed when the last process that uses it ends.
    """
    freed = 0
    for entry in cache_entries():
        if entry.unused_days >= unused_days:
            freed += entry.delete()
    for link in folder().glob("*.key"):
        if _linked(link.stem) is None:
            _delete(link)
    for part in folder().glob("*.part"):
        with suppress(Timeout), _lock(_key_of(part), timeout=0):
            freed += _delete(part)
    return freed


def _find_or_build(images: datasets.Dataset) -> Path:
    folder().mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(THREADS) as executor:
        key = _digest(images, executor)
        if (path := _linked(key)) is not None:
            return path
        with _lock(key):
            if (path := _linked(key)) is None:
                for part in folder().glob(f"{key}.*.part"):  # of an interrupted build: the lock is ours
                    _delete(part)
                path = _build(images, folder() / f"{key}.{secrets.token_hex(4)}.part", executor)
                _link(key, path)
    return path


def _lock(key: str, timeout: float = -1) -> FileLock:
    return FileLock(folder() / f"{key}.lock", timeout, mode=0o666)  # other users of the cache lock it, too


def _key_of(part: Path) -> str:
    return part.name.lstrip(".").partition(".")[0]


def _delete(path: Path) -> int:
    """Delete a file and return its size; 0 if it is gone already or may not be deleted."""
    try:
        size = path.stat().st_size
        path.unlink()
    except (FileNotFoundError, PermissionError):
        return 0
    return size


def _name(path: Path, images: datasets.Dataset) -> None:
    """Note what a store is used for, for `medimeta cache`, unless it has a name."""
    note, dataset = path.with_suffix(".name"), (images.info.config_name or "").partition("-")[0]
    if dataset and not note.is_file():
        with whole_file(note) as partial_note:
            partial_note.write_text(f"{dataset} {images.split or ''}".strip(), encoding="utf-8")


def _linked(key: str) -> Path | None:
    """Return the path of the store with a key; None if there is none."""
    try:
        path = folder() / (folder() / f"{key}.key").read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return path if path.is_file() else None


def _link(key: str, path: Path) -> None:
    with whole_file(folder() / f"{key}.key") as link:
        link.write_text(path.name, encoding="ascii")


Block = tuple[range, list[bytes]]  # row numbers and encoded images


def _blocks(images: datasets.Dataset) -> Iterator[Block]:
    for start in range(0, len(images), BLOCK):
        rows = range(start, min(start + BLOCK, len(images)))
        yield rows, encoded_images(images, rows)


def _digest(images: datasets.Dataset, executor: Executor) -> str:
    digest = hashlib.sha256()
    for hashes in ordered_map(lambda block: _hashes(block[1]), _blocks(images), executor, 2 * THREADS):
        digest.update(hashes)
    return digest.hexdigest()[:32]


def _hashes(images: Any) -> bytes:
    return b"".join(hashlib.sha256(image).digest() for image in images)


def _decode(shape: tuple[int, ...], block: Block) -> tuple[PixelArray, bytes]:
    rows, encoded = block
    pixels = np.empty((len(encoded), *shape), np.uint8)
    decode_images(encoded, rows, pixels)
    return pixels, _hashes(pixels)


def _build(images: datasets.Dataset, part: Path, executor: Executor) -> Path:
    """Decode all images into a file, rename it once it is complete, and return its path."""
    shape = image_shape(images)
    _check_space(len(images), shape)
    digest = hashlib.sha256(repr(shape).encode())
    try:
        with part.open("wb") as file, tqdm(total=len(images), desc="Decoding", unit=" images") as bar:
            header: Any = {"descr": "|u1", "fortran_order": False, "shape": (len(images), *shape)}
            np.lib.format.write_array_header_1_0(file, header)
            # Written, not memory-mapped: a full disk raises an error here, but kills a process that writes to a map.
            for pixels, hashes in ordered_map(partial(_decode, shape), _blocks(images), executor, 2 * THREADS):
                file.write(pixels.data)
                digest.update(hashes)
                bar.update(len(pixels))
            file.flush()
            os.fsync(file.fileno())
        path = part.with_name(f"{digest.hexdigest()[:32]}.npy")
        if not path.is_file():  # otherwise the same pixels were stored before, perhaps by another user
            part.replace(path)
        return path
    finally:
        part.unlink(missing_ok=True)


def _check_space(images: int, shape: tuple[int, ...]) -> None:
    needed, free = images * int(np.prod(shape)), shutil.disk_usage(folder()).free
    if needed > free:
        raise MedIMetaError(
            f"The pixels of {images:,} images take {needed / 1e9:.1f} GB, but {folder()} has only {free / 1e9:.1f} GB "
            "free. Delete stores that are no longer needed (medimeta cache --clean), move the cache to another disk "
            "with HF_DATASETS_CACHE, or decode images each time they are used (store=False)."
        )
