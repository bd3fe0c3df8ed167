"""Fingerprints of files and folders: names, sizes and samples of the content, but not modification times."""

from __future__ import annotations

import hashlib
import os
import stat as modes
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .folders import FolderFiles

PIECE = 1 << 16  # bytes read at the beginning, in the middle and at the end of a sampled file
DIRECTORY = 4 << 20  # bytes read at the end of a zip archive: the checksums of about 40,000 members
SAMPLED = 64  # files per suffix whose content is sampled
SAMPLED_TEXT = 1_024  # for tables and lists, which people edit
SAMPLED_ALL = 2_048  # over all suffixes
TEXT = frozenset({".csv", ".dat", ".json", ".tsv", ".txt", ".xlsx", ".xml", ".yaml", ".yml"})


def stamp(location: Path) -> str:
    """Return a fingerprint of a file or folder that a copy shares.

    It changes when a file is added, removed, renamed or resized. The content is sampled: the first, middle and last
    64 KiB of up to 64 files per suffix (1,024 tables and text files), chosen by the hash of their names, so that
    20,000 files take less than a second. Any change inside a zip archive of up to about 40,000 members or inside a
    gzip file is seen, as their last bytes hold checksums. Two things are not seen: modification times, and an edit in
    place that keeps the size of a file, at a place that is not sampled.

    Args:
        location: An existing file or folder.

    Returns:
        sha256 as a hexadecimal string.
    """
    digest = hashlib.sha256()
    regular: dict[str, tuple[bytes, int]] = {}
    for name, path, status in _files(location):
        raw_name = os.fsencode(name)
        size = -1 if status is None else status.st_size
        digest.update(b"%s\0%d\n" % (raw_name, size))
        if status is not None and modes.S_ISREG(status.st_mode):
            regular[path] = (raw_name, size)
    for path in _sample(regular):
        digest.update(b"%s\0%s\n" % (regular[path][0], _content(path, regular[path][1])))
    return digest.hexdigest()


def count_and_bytes(location: Path) -> tuple[int, int]:
    """Return the number and the total size in bytes of the files at a location."""
    sizes = [0 if status is None else status.st_size for _, _, status in _files(location)]
    return len(sizes), sum(sizes)


def _files(location: Path) -> Iterator[tuple[str, str, os.stat_result | None]]:
    """Yield relative name, path and status (None for a broken link) of each file, in sorted order."""
    if not location.is_dir():
        yield "", str(location), location.stat()
        return
    for name, entry in FolderFiles(location).entries():
        try:
            yield name, entry.path, entry.stat()
        except OSError:
            yield name, entry.path, None


def _sample(regular: dict[str, tuple[bytes, int]]) -> list[str]:
    """Choose the paths to read, in an order that depends on relative names only."""
    ranked = sorted(regular, key=lambda path: hashlib.sha256(regular[path][0]).digest())
    by_suffix: dict[str, list[str]] = defaultdict(list)
    for path in ranked:
        by_suffix[PurePosixPath(path).suffix.lower()].append(path)
    few = {path for suffix, paths in by_suffix.items() for path in paths[: SAMPLED_TEXT if suffix in TEXT else SAMPLED]}
    return [path for path in ranked if path in few][:SAMPLED_ALL]


def _content(path: str, size: int) -> bytes:
    """Hash some pieces of a file; a file that cannot be read has its own hash."""
    digest = hashlib.sha256()
    last = DIRECTORY if path.lower().endswith(".zip") else PIECE
    pieces = [(0, PIECE), (max(0, (size - PIECE) // 2), PIECE), (max(0, size - last), last)]
    try:
        with open(path, "rb") as file:  # noqa: PTH123  a path may not be valid Unicode
            for start, length in dict.fromkeys(pieces):
                file.seek(start)
                digest.update(file.read(length))
    except OSError as error:
        return b"unreadable %d" % (error.errno or 0)
    return digest.digest()
