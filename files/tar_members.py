"""One tar.gz archive as a set of files, like a zip archive."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from .folders import FolderFiles
from .tars import TarFiles

SUFFIXES = (".tar.gz", ".tgz")


class TarMembers:
    """The members of a tar.gz archive.

    The first listing decompresses all of it. Reading members in another order than the archive's starts at its
    beginning again whenever one is out of reach; see `tars`.

    Args:
        archive: The archive.

    Raises:
        SourceBroken: When it is read, if it is damaged or incomplete.
        UnsafeArchive: When it is read, if a member's path leaves the archive's folder, or is not a plain file.
    """

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self._tar = TarFiles([(FolderFiles(archive.parent), archive.name)])

    def __reduce__(self) -> tuple[Any, ...]:
        return TarMembers, (self.archive,)

    @property
    def location(self) -> Path:
        """The archive."""
        return self.archive

    def names(self) -> list[str]:
        """Paths with forward slashes, sorted by code point."""
        return self._tar.names()

    def open(self, name: str) -> io.BytesIO:
        """Open one for reading in a stream."""
        return io.BytesIO(self.read(name))

    def size(self, name: str) -> int:
        """Length of one in bytes."""
        return len(self.read(name))

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of one, or only the first of them."""
        return self._tar.read(name)[:limit]


def is_tar(name: str) -> bool:
    """Whether a file name is that of a tar.gz archive."""
    return name.lower().endswith(SUFFIXES)


def mounted_tars(folder: Path, names: Iterable[str], archives: Collection[str]) -> list[tuple[str, TarMembers]]:
    """The tar.gz archives with certain names in a folder, each with the path that its members are read at.

    Args:
        folder: The folder.
        names: Paths of its files.
        archives: File names of the archives.
    """
    wanted = {name.lower() for name in archives if is_tar(name)}
    paths = [PurePosixPath(name) for name in names if name.rpartition("/")[2].lower() in wanted]
    return [("" if str(path.parent) == "." else str(path.parent), TarMembers(folder / path)) for path in paths]
