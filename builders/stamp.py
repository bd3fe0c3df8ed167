"""Fingerprints of sources: they change when a file of the source does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..files.archives import FolderFiles


def stamp(location: Path) -> str:
    """Fingerprint of a file or folder by names, sizes and modification times (nothing is read)."""
    digest = hashlib.sha256()
    for name, status in _statuses(location):
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def file_count_and_bytes(location: Path) -> tuple[int, int]:
    """Number and total size of the files at a location."""
    sizes = [status.st_size for _, status in _statuses(location)]
    return len(sizes), sum(sizes)


def _statuses(location: Path) -> Iterator[tuple[str, os.stat_result]]:
    if location.is_dir():
        yield from ((name, entry.stat()) for name, entry in FolderFiles(location).entries())
    else:
        yield "", location.stat()
