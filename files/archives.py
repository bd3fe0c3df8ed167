"""The files of a zip archive, read in place; no member may leave its folder, be a link, or grow without bound.

`folders` has those of a folder and `tars` those of tar.gz archives, behind the same interface.
"""

from __future__ import annotations

import errno
import io
import lzma
import os
import stat
import struct
import tempfile
import weakref
import zipfile
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from ..errors import SourceBroken, SourceNotFound, UnsafeArchive
from .folders import FolderFiles, is_litter
from .nature import nature
from .unreadable import UNREADABLE_ARCHIVE

MAX_MEMBER = 4 << 30  # bytes; the largest member of any source (a CT volume) has about 1 GB
MAX_STREAMED = 24 << 30  # bytes; never read whole: a release's images.hdf5 has up to 16 GB (crc), a tar.gz of cxr 4 GB
STREAMED = (".hdf5", ".tar.gz", ".zip")
MAX_RATIO = 1_033  # deflate's own limit is 1,032; the mask of a small lesion in a film (CBIS-DDSM) comes to 1,019
SMALL = 1 << 20  # below this no ratio is suspicious
_DAMAGED = (*UNREADABLE_ARCHIVE, lzma.LZMAError, ValueError, LookupError, struct.error)


class Members(Protocol):
    """Named files that can be listed and read."""

    @property
    def location(self) -> Path:
        """The folder or archive."""
        ...

    def open(self, name: str) -> BinaryIO | zipfile.ZipExtFile:
        """Open one for reading in a stream."""
        ...

    def names(self) -> list[str]:
        """Paths with forward slashes, sorted by code point."""
        ...

    def size(self, name: str) -> int:
        """Length of one in bytes."""
        ...

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of one, or only the first of them."""
        ...


def leaves_folder(name: str) -> bool:
    """Whether a member's path is absolute, climbs out with "..", or names a drive."""
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or any(part.endswith(":") for part in path.parts[:1])


class ZipFiles:
    """The members of a zip archive, without litter (see `folders`).

    Args:
        archive: The archive.
        inner: Name of a zip archive in it, whose members are meant.

    Raises:
        SourceBroken: If it is truncated or not a zip archive, or has two members of one name.
        UnsafeArchive: If a member has an absolute path, climbs out with "..", is a symbolic link, or unpacks beyond
            all bounds.
    """

    def __init__(self, archive: Path, inner: str | None = None) -> None:
        self.archive = archive
        self.inner = inner
        self._open: tuple[int, zipfile.ZipFile] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"archive": self.archive, "inner": self.inner, "_open": None}

    @property
    def location(self) -> Path:
        """The archive."""
        return self.archive / self.inner if self.inner else self.archive

    @property
    def _zip(self) -> zipfile.ZipFile:
        # Per process: a forked worker must not share the file position of its parent.
        if self._open is None or self._open[0] != os.getpid():
            try:
                file = self._file()
                self._open = (os.getpid(), zipfile.ZipFile(file))
                if not isinstance(file, Path):
                    weakref.finalize(self, file.close)
            except FileNotFoundError:
                raise SourceNotFound(
                    f"{self.archive} no longer exists. Restore it and rerun the command.", code="file-vanished"
                ) from None
            # NotImplementedError is how zipfile refuses an archive of a later version of the format.
            except (*_DAMAGED, NotImplementedError) as error:
                raise self._damaged(error) from error
        return self._open[1]

    def _file(self) -> Any:
        if self.inner is None:
            return self.archive
        outer = ZipFiles(self.archive)
        info = outer.info(self.inner)
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
            return StoredMember(self.archive, info)
        if info.file_size > MAX_MEMBER:
            raise SourceBroken(f"{self.location} has {info.file_size:,} bytes. Unpack {self.archive} first.")
        file = tempfile.TemporaryFile(prefix="medimeta-")  # noqa: SIM115
        with outer.open(self.inner) as member:
            while chunk := member.read(1 << 20):
                file.write(chunk)
        return file

    def _damaged(self, error: Exception) -> SourceBroken:
        what = f"is a damaged or incomplete zip archive ({error})"
        if self.inner is None:
            with self.archive.open("rb") as file:
                actual = nature(file.read(512))
            what = f"is {actual}" if actual and "zip" not in actual else what
        return SourceBroken(f"{self.location} {what}. Download it again.", code="broken-archive")

    @cached_property
    def _infos(self) -> dict[str, zipfile.ZipInfo]:
        infos: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = info.filename.replace("\\", "/")  # some Windows tools store paths with backslashes
            if name.endswith("/"):
                continue
            self._check(name, info)
            name = str(PurePosixPath(name))  # some programs store "./x"
            if any(map(is_litter, name.split("/"))):
                continue
            if name in infos and (infos[name].CRC, infos[name].file_size) != (info.CRC, info.file_size):
                raise SourceBroken(
                    f"{self.location} has two different members named {name!r}. Download it again.", code="ambiguous"
                )
            infos[name] = info
        return infos

    def _check(self, name: str, info: zipfile.ZipInfo) -> None:
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
                f"{info.filename!r} in {self.location} {problem}. Download the archive again from its source.",
                code=code,
            )

    def names(self) -> list[str]:
        """Paths with forward slashes, sorted by code point."""
        return sorted(self._infos)

    def size(self, name: str) -> int:
        """Length of a member in bytes, unpacked."""
        return self._infos[name].file_size

    def info(self, name: str) -> zipfile.ZipInfo:
        """The directory entry of a member."""
        return self._infos[name]

    def open(self, name: str) -> zipfile.ZipExtFile:
        """Open a member for reading in a stream."""
        return self._zip.open(self._infos[name])  # type: ignore[return-value]

    def verify(self, name: str) -> None:
        """Read a member to its end: what reads parts of it, as HDF5 does, sees no checksum.

        Raises:
            SourceBroken: If its checksum is wrong, or it cannot be read.
        """
        try:
            with self._zip.open(self._infos[name]) as member:
                while member.read(1 << 20):
                    pass
        except (RuntimeError, *_DAMAGED) as error:
            raise SourceBroken(
                f"{name} in {self.location} is damaged ({error}). Download the archive again.", code="broken-archive"
            ) from error

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of a member, with its checksum verified.

        Args:
            name: Its path.
            limit: Read no more than this from its beginning, unverified.

        Raises:
            SourceBroken: If the archive is damaged there, or its disk cannot be read.
        """
        info = self._infos[name]
        try:
            with self._zip.open(info) as member:
                data = member.read(info.file_size + 1 if limit is None else limit)
        except RuntimeError as error:  # encrypted, or compressed with an unsupported method
            raise SourceBroken(
                f"{name} in {self.location} cannot be unpacked ({error}). Download the original archive again, or "
                "unpack it with another program and give the folder.",
                code="unsupported-archive",
            ) from error
        except _DAMAGED as error:
            what, step, code = "is damaged", "Download the archive again.", "broken-archive"
            # Wrong offsets give EINVAL and damaged bz2 data no errno; other numbers come from the disk.
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                what, step, code = "cannot be read", "Check the disk and rerun the command.", "unreadable-file"
            raise SourceBroken(f"{name} in {self.location} {what} ({error}). {step}", code=code) from error
        if limit is None and len(data) != info.file_size:
            raise SourceBroken(
                f"{name} in {self.location} has another length than the archive states. Download it again.",
                code="broken-archive",
            )
        return data


def open_files(location: Path) -> FolderFiles | ZipFiles:
    """Open a folder or a zip archive, whichever is at a location.

    Raises:
        SourceBroken: When it is first read, if it is neither.
    """
    return FolderFiles(location) if location.is_dir() else ZipFiles(location)


class StoredMember(io.RawIOBase):
    """An uncompressed member of a zip archive as a file that can be read anywhere.

    `zipfile` opens members too, but reads through all that it seeks over.

    Args:
        archive: The archive.
        info: The member's entry in its directory.
    """

    def __init__(self, archive: Path, info: zipfile.ZipInfo) -> None:
        self._file = io.FileIO(archive)
        self._file.seek(info.header_offset)
        name_and_extra = struct.unpack("<26xHH", self._file.read(30))
        self._start = info.header_offset + 30 + sum(name_and_extra)
        self._size = info.file_size
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position in the member."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read from the position, at most to the member's end."""
        view = memoryview(buffer).cast("B")[: max(0, self._size - self._position)]
        self._file.seek(self._start + self._position)
        count = self._file.readinto(view) or 0
        self._position += count
        return count

    def close(self) -> None:
        """Close the archive."""
        self._file.close()
        super().close()
