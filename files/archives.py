"""Files in a folder or a zip archive, behind one interface that checks paths and sizes.

`tars` reads the third kind: tar.gz archives inside either.
"""

from __future__ import annotations

import errno
import os
import stat
import zipfile
from collections.abc import Iterator
from functools import cached_property
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from ..errors import SourceBroken, SourceNotFound, UnsafeArchive
from .unreadable import UNREADABLE_ARCHIVE

MAX_MEMBER = 4 << 30  # bytes; the largest member of any source, a CT volume, has about 1 GB
MAX_STREAMED = 24 << 30  # bytes, of members that are only streamed: images.hdf5 (up to 16 GB) and tar.gz (4 GB)
STREAMED = (".hdf5", ".tar.gz")
MAX_RATIO = 1_033  # the limit of deflate is 1,032; a mask of CBIS-DDSM reaches 1,019
SMALL = 1 << 20  # bytes; the ratio of smaller members is not checked


class Members(Protocol):
    """Files that can be listed and read by name."""

    @property
    def location(self) -> Path:
        """The folder or archive."""

    def open(self, name: str) -> BinaryIO | zipfile.ZipExtFile:
        """Open a file as a stream."""

    def names(self) -> list[str]:
        """Return all paths with forward slashes, sorted by code point."""

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""

    def read(self, name: str, limit: int | None = None) -> bytes:
        """Return the content of a file, or its first `limit` bytes."""


def leaves_folder(name: str) -> bool:
    """Whether a member's path is absolute, contains "..", or names a drive."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or any(part.endswith(":") for part in path.parts[:1])


class FolderFiles:
    """All files below a folder.

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
        """Return paths with forward slashes, sorted by code point, and their directory entries.

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
                        "folder, or give the folder that holds the files.",
                        code="unsafe-link",
                    )
                if not entry.is_dir():
                    yield prefix + entry.name, entry
                elif not entry.is_symlink():
                    yield from self._below(entry.path, home, f"{prefix}{entry.name}/")

    def names(self) -> list[str]:
        """Return all paths with forward slashes, sorted by code point."""
        return self._names

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return (self.folder / name).stat().st_size

    def open(self, name: str) -> BinaryIO:
        """Open a file as a stream."""
        return (self.folder / name).open("rb")

    def read(self, name: str, limit: int | None = None) -> bytes:
        """Return the content of a file.

        Args:
            name: Its path.
            limit: Read only this many bytes from the start.

        Raises:
            SourceNotFound: If the file no longer exists.
            SourceBroken: If it cannot be read.
        """
        try:
            with (self.folder / name).open("rb") as file:
                return file.read(limit)
        except FileNotFoundError:
            raise SourceNotFound(
                f"{name} no longer exists in {self.folder}. Restore it and rerun the command.",
                code="file-vanished",
            ) from None
        except OSError as error:
            raise SourceBroken(
                f"{self.folder / name} cannot be read ({error}). Check the disk and the permissions.",
                code="unreadable-file",
            ) from error


class ZipFiles:
    """The members of a zip archive, read in place.

    Args:
        archive: The archive.

    Raises:
        SourceBroken: If it is truncated or not a zip archive.
        UnsafeArchive: If a member has an absolute path or "..", is a symbolic link, or exceeds the size limits.
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
        # One handle per process: a forked worker must not share the file position of its parent.
        if self._open is None or self._open[0] != os.getpid():
            try:
                self._open = (os.getpid(), zipfile.ZipFile(self.archive))
            except FileNotFoundError:
                raise SourceNotFound(
                    f"{self.archive} no longer exists. Restore it and rerun the command.", code="file-vanished"
                ) from None
            except (zipfile.BadZipFile, OSError) as error:
                raise SourceBroken(
                    f"{self.archive} is not a complete zip archive ({error}). Download it again.",
                    code="broken-archive",
                ) from error
        return self._open[1]

    @cached_property
    def _infos(self) -> dict[str, zipfile.ZipInfo]:
        # Some Windows tools store paths with backslashes.
        members = ((info.filename.replace("\\", "/"), info) for info in self._zip.infolist())
        return {name: info for name, info in members if not name.endswith("/") and self._checked(name, info)}

    def _checked(self, name: str, info: zipfile.ZipInfo) -> bool:
        most = MAX_STREAMED if name.endswith(STREAMED) else MAX_MEMBER
        problem = code = ""
        if leaves_folder(name):
            problem, code = "has a path outside the archive", "unsafe-path"
        elif stat.S_ISLNK(info.external_attr >> 16):
            problem, code = "is a symbolic link", "unsafe-link"
        elif info.file_size > most or info.file_size > max(SMALL, MAX_RATIO * info.compress_size):
            problem = f"would unpack from {info.compress_size:,} to {info.file_size:,} bytes"
            code = "unsafe-size"
        if problem:
            raise UnsafeArchive(
                f"{info.filename!r} in {self.archive} {problem}. Download the archive again from its source.",
                code=code,
            )
        return True

    def names(self) -> list[str]:
        """Return all paths with forward slashes, sorted by code point."""
        return sorted(self._infos)

    def size(self, name: str) -> int:
        """Return the unpacked size of a member in bytes."""
        return self._infos[name].file_size

    def info(self, name: str) -> zipfile.ZipInfo:
        """Return the directory entry of a member."""
        return self._infos[name]

    def open(self, name: str) -> zipfile.ZipExtFile:
        """Open a member as a stream."""
        return self._zip.open(self._infos[name])  # type: ignore[return-value]

    def read(self, name: str, limit: int | None = None) -> bytes:
        """Return the content of a member and verify its checksum.

        Args:
            name: Its path.
            limit: Read only this many bytes from the start, without verification.

        Raises:
            SourceBroken: If the member is damaged, or the disk cannot be read.
        """
        info = self._infos[name]
        try:
            with self._zip.open(info) as member:
                data = member.read(info.file_size + 1 if limit is None else limit)
        except RuntimeError as error:  # encrypted, or compressed with an unsupported method
            raise SourceBroken(
                f"{name} in {self.archive} cannot be unpacked ({error}). Download the original archive again, or "
                "unpack it with another program and give the folder.",
                code="unsupported-archive",
            ) from error
        except UNREADABLE_ARCHIVE as error:
            what, step, code = "is damaged", "Download the archive again.", "broken-archive"
            # Wrong offsets give EINVAL and damaged bz2 data no errno; other numbers come from the disk.
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                what, step, code = "cannot be read", "Check the disk and rerun the command.", "unreadable-file"
            raise SourceBroken(f"{name} in {self.archive} {what} ({error}). {step}", code=code) from error
        if limit is None and len(data) != info.file_size:
            raise SourceBroken(
                f"{name} in {self.archive} has another length than the archive states. Download it again.",
                code="broken-archive",
            )
        return data


def open_files(location: Path) -> FolderFiles | ZipFiles:
    """Open a folder or a zip archive, whichever is at a location.

    Raises:
        SourceBroken: When it is first read, if it is neither.
    """
    return FolderFiles(location) if location.is_dir() else ZipFiles(location)
