"""The files of a folder, behind the same interface as those of an archive.

Symbolic links are followed, as the user named the folder; archives may hold none. Litter is left out: hidden files and
folders, and what operating systems and office programs leave.
"""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import SourceBroken, SourceNotFound

MAX_DEPTH = 32  # folders below the one that is given; no layout of a source has ten
MAX_FILE = 4 << 30  # bytes read at once, as of a zip archive's member
MAX_VISITS = 16  # of one folder, by as many links
_LITTER = re.compile(
    r"\..*|~\$.*|__MACOSX|Thumbs\.db|ehthumbs\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information|lost\+found|"
    r"@eaDir",
    re.IGNORECASE,
)


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or is left by an operating system or an office program."""
    return _LITTER.fullmatch(name) is not None


class FolderFiles:
    """The files of a folder and its subfolders; litter, devices and pipes are left out.

    Args:
        folder: The folder; it may be a symbolic link.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    @property
    def location(self) -> Path:
        """The folder."""
        return self.folder

    @cached_property
    def _names(self) -> list[str]:
        return [name for name, _ in self.entries()]

    def entries(self) -> list[tuple[str, os.DirEntry[str]]]:
        """Paths with forward slashes, sorted by code point, with their directory entries.

        Raises:
            SourceBroken: If a folder cannot be listed.
        """
        return sorted(self._below(), key=itemgetter(0))

    def _below(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        visits: Counter[tuple[int, int]] = Counter()
        # Folders to list: path, prefix of its names, and the folders above it, so that no link leads round in a circle.
        waiting: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(os.fspath(self.folder), "", frozenset())]
        while waiting:
            folder, prefix, above = waiting.pop()
            try:
                status = Path(folder).stat()
                with os.scandir(folder) as scanned:
                    entries = [entry for entry in scanned if not is_litter(entry.name)]
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    continue
                raise SourceBroken(
                    f"{folder} cannot be listed ({error.strerror}). Check its permissions.", code="unreadable-file"
                ) from error
            place = (status.st_dev, status.st_ino)
            visits[place] += 1
            if place in above or visits[place] > MAX_VISITS:
                continue
            for entry in entries:
                if _is(entry.is_file) or (entry.is_symlink() and not Path(entry.path).exists()):
                    yield prefix + entry.name, entry  # a link that leads nowhere is reported when it is read
                elif _is(entry.is_dir) and len(above) < MAX_DEPTH:
                    waiting.append((entry.path, f"{prefix}{entry.name}/", above | {place}))

    def names(self) -> list[str]:
        """Paths with forward slashes, sorted by code point."""
        return self._names

    def size(self, name: str) -> int:
        """Length of a file in bytes.

        Raises:
            SourceNotFound: If it is gone.
        """
        try:
            return (self.folder / name).stat().st_size
        except OSError:
            raise self._gone(name) from None

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading in a stream."""
        return (self.folder / name).open("rb")

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of a file.

        Args:
            name: Its path.
            limit: Read no more than this from its beginning.

        Raises:
            SourceNotFound: If it is gone.
            SourceBroken: If it cannot be read.
        """
        try:
            with (self.folder / name).open("rb") as file:
                if limit is None and (size := os.fstat(file.fileno()).st_size) > MAX_FILE:
                    raise SourceBroken(
                        f"{self.folder / name} has {size:,} bytes, over the limit of {MAX_FILE:,}. Get it again.",
                        code="unsafe-size",
                    )
                return file.read(limit)
        except FileNotFoundError:
            raise self._gone(name) from None
        except OSError as error:
            raise SourceBroken(
                f"{self.folder / name} cannot be read ({error}). Check the disk and the permissions.",
                code="unreadable-file",
            ) from error

    def _gone(self, name: str) -> SourceNotFound:
        path = self.folder / name
        if path.is_symlink():
            problem = f"{path} is a link to {path.readlink()}, which does not exist"
        else:
            problem = f"{name} no longer exists in {self.folder}"
        return SourceNotFound(f"{problem}. Restore it and rerun the command.", code="file-vanished")


def _is(test: Any) -> bool:
    """The answer of `DirEntry.is_file` or `is_dir`; False for a link that leads round in a circle."""
    try:
        return bool(test())
    except OSError:
        return False
