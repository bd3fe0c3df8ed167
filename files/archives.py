"""Files in a folder or a zip archive behind one small interface; nothing may leave its folder or grow without bound.

`tars` has the third kind, tar.gz archives in either.
"""

from __future__ import annotations

import errno
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import cached_property
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from ..errors import SourceBroken, SourceNotFound, UnsafeArchive

MAX_MEMBER = 4 << 30  # bytes; the largest member of any source (a CT volume) has about 1 GB
MAX_STREAMED = 24 << 30  # bytes; never read whole: a release's images.hdf5 has up to 16 GB (crc), a tar.gz of cxr 4 GB
STREAMED = (".hdf5", ".tar.gz")
MAX_RATIO = 1_033  # deflate's own limit is 1,032; the mask of a small lesion in a film (CBIS-DDSM) comes to 1,019
SMALL = 1 << 20  # below this no ratio is suspicious


class Members(Protocol):
    """Named files that can be listed and read."""

    @property
    def location(self) -> Path:
        """The folder or archive."""

    def open(self, name: str) -> BinaryIO | zipfile.ZipExtFile:
        """Open one for reading in a stream."""

    def names(self) -> list[str]:
        """Paths with forward slashes, sorted by code point."""

    def size(self, name: str) -> int:
        """Length of one in bytes."""

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of one, or only the first of them."""


def leaves_folder(name: str) -> bool:
    """Whether a member's path is absolute, climbs out with "..", or names a drive."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or any(part.endswith(":") for part in path.parts[:1])


class FolderFiles:
    """The files of a folder and its subfolders.

    Args:
        folder: The folder; it may itself be a symbolic link.
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
        """Paths with forward slashes, sorted by code point, and what the system says of them.

        Raises:
            UnsafeArchive: If a symbolic link leaves the folder.
        """
        return sorted(self._below(str(self.folder), self.folder.resolve()), key=itemgetter(0))

    def _below(self, folder: str, home: Path, prefix: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(home):
                    raise UnsafeArchive(
                        f"{entry.path} is a symbolic link that leaves {self.folder}. Copy what it points to into the "
                        "folder, or give the folder that holds the files themselves."
                    )
                if not entry.is_dir():
                    yield prefix + entry.name, entry
                elif not entry.is_symlink():
                    yield from self._below(entry.path, home, f"{prefix}{entry.name}/")

    def names(self) -> list[str]:
        """Paths with forward slashes, sorted by code point."""
        return self._names

    def size(self, name: str) -> int:
        """Length of one in bytes."""
        return (self.folder / name).stat().st_size

    def open(self, name: str) -> BinaryIO:
        """Open one for reading in a stream."""
        return (self.folder / name).open("rb")

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of one.

        Args:
            name: Which.
            limit: Read no more than this from its beginning.

        Raises:
            SourceNotFound: If it is gone.
            SourceBroken: If it cannot be read.
        """
        try:
            with (self.folder / name).open("rb") as file:
                return file.read(limit)
        except FileNotFoundError:
            raise SourceNotFound(f"{name} is gone from {self.folder}. Start again with the complete folder.") from None
        except OSError as error:
            raise SourceBroken(f"{self.folder / name} cannot be read ({error}). Check disk and permissions.") from error


class ZipFiles:
    """The members of a zip archive, read in place.

    Args:
        archive: The archive.

    Raises:
        SourceBroken: If it is truncated or no zip archive.
        UnsafeArchive: If a member has an absolute path, climbs out with "..", is a symbolic link, or unpacks beyond
            all bounds.
    """

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self._open: tuple[int, zipfile.ZipFile] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"archive": self.archive, "_open": None}

    @property
    def location(self) -> Path:
        """The archive."""
        return self.archive

    @property
    def _zip(self) -> zipfile.ZipFile:
        # Per process: a forked worker must not share the file position of its parent.
        if self._open is None or self._open[0] != os.getpid():
            try:
                self._open = (os.getpid(), zipfile.ZipFile(self.archive))
            except FileNotFoundError:
                raise SourceNotFound(f"{self.archive} is gone. Start again with the archive in its place.") from None
            except (zipfile.BadZipFile, OSError) as error:
                raise SourceBroken(f"{self.archive} is no whole zip archive ({error}). Download it again.") from error
        return self._open[1]

    @cached_property
    def _infos(self) -> dict[str, zipfile.ZipInfo]:
        # Some Windows tools store paths with backslashes.
        members = ((info.filename.replace("\\", "/"), info) for info in self._zip.infolist())
        return {name: info for name, info in members if not name.endswith("/") and self._checked(name, info)}

    def _checked(self, name: str, info: zipfile.ZipInfo) -> bool:
        most = MAX_STREAMED if name.endswith(STREAMED) else MAX_MEMBER
        problem = ""
        if leaves_folder(name):
            problem = "has a path that leaves the archive's folder"
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem = "is a symbolic link"
        elif info.file_size > most or info.file_size > max(SMALL, MAX_RATIO * info.compress_size):
            problem = f"claims to unpack from {info.compress_size:,} to {info.file_size:,} bytes"
        if problem:
            raise UnsafeArchive(f"{info.filename!r} in {self.archive} {problem}. Get it from its source again.")
        return True

    def names(self) -> list[str]:
        """Paths with forward slashes, sorted by code point."""
        return sorted(self._infos)

    def size(self, name: str) -> int:
        """Length of one in bytes, unpacked."""
        return self._infos[name].file_size

    def info(self, name: str) -> zipfile.ZipInfo:
        """The directory entry of a member."""
        return self._infos[name]

    def open(self, name: str) -> zipfile.ZipExtFile:
        """Open a member for reading in a stream."""
        return self._zip.open(self._infos[name])  # type: ignore[return-value]

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of one, with its checksum verified.

        Args:
            name: Which.
            limit: Read no more than this from its beginning, unverified.

        Raises:
            SourceBroken: If the archive is damaged there, or its disk cannot be read.
        """
        info = self._infos[name]
        try:
            with self._zip.open(info) as member:
                data = member.read(info.file_size + 1 if limit is None else limit)
        except RuntimeError as error:  # encrypted, or compressed in a way that Python's zipfile does not know
            raise SourceBroken(
                f"{name} in {self.archive} cannot be unpacked ({error}). Download the archive again, as its source "
                "hands it out, or unpack it and give the folder."
            ) from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            what, cure = "is damaged", "Download the archive again."
            # A wrong place in the archive gives EINVAL, damaged bz2 data no number; all others are the disk's.
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                what, cure = "cannot be read", "Check the disk that it lies on, and run the same command again."
            raise SourceBroken(f"{name} in {self.archive} {what} ({error}). {cure}") from error
        if limit is None and len(data) != info.file_size:
            raise SourceBroken(f"{name} in {self.archive} is not as long as the archive says. Download it again.")
        return data
