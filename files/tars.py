"""Files in tar.gz archives, which can only be read from front to back: they have no directory and no random access.

Rows are read nearly in the order of the members, so one pass is enough: a window of bounded size keeps the members
passed last, and only a member that has left the window makes the reader restart, at the beginning of its archive. The
farthest step back in ChestX-ray14 is 157 images, about 60 MB, which stays in the window.
"""

from __future__ import annotations

import gzip
import logging
import os
import tarfile
import threading
import weakref
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from ..errors import MedIMetaError, SourceBroken, SourceNotFound, UnsafeArchive, some
from .archives import Members, leaves_folder
from .folders import is_litter
from .unreadable import UNREADABLE_ARCHIVE

WINDOW = 64 << 20  # bytes of members kept in memory, per thread
MAX_MEMBER = 64 << 20  # bytes; the largest radiograph has about 1 MB
MAX_HEADER = 1 << 16  # bytes of what extends a member's header: long names, and the attributes that macOS adds
MAX_NAME = 4096  # characters
MAX_MEMBERS = 1_000_000  # of all archives; ChestX-ray14 has 112,120
CHUNK = 1 << 18

Archive = tuple[Members, str]  # the files that contain a tar.gz archive, and its name among them
Place = tuple[int, int]  # number of the archive, number of the member in it
Member = tuple[Place, str, bytes]

logger = logging.getLogger("medimeta")


class TarFiles:
    """The members of several tar.gz archives as one set of files.

    Each thread has its own reader, so that threads do not evict each other's members from the window.

    Args:
        archives: The archives, in the order in which their members are read.
    """

    def __init__(self, archives: Sequence[Archive]) -> None:
        self._tape = _Tape(archives)
        self._listed = False
        self._lock = threading.Lock()
        self._thread = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return TarFiles, (self._tape.archives,)

    def __bool__(self) -> bool:
        return bool(self._tape.archives)

    @property
    def archives(self) -> tuple[Archive, ...]:
        """The archives."""
        return self._tape.archives

    def names(self) -> list[str]:
        """Return all paths with forward slashes, sorted by code point.

        The first call decompresses all archives: two or three minutes for the 42 GB of ChestX-ray14. `read` does not
        need it.
        """
        with self._lock:
            if not self._listed:
                logger.info("Listing %s; this takes a while.", self._tape)
                for _ in self._tape.members(0, content=False):
                    pass
                self._listed = True
        return sorted(self._tape.places)

    def read(self, name: str) -> bytes:
        """Return the content of a member.

        Raises:
            SourceNotFound: If no archive has it.
            SourceBroken: If an archive is damaged before or at the member.
        """
        reader: _Reader | None = getattr(self._thread, "reader", None)
        if reader is None or reader.process != os.getpid():  # a forked worker needs its own position
            reader = self._thread.reader = _Reader(self._tape)
        try:
            return reader.read(name)
        except SourceBroken:
            del self._thread.reader  # its stream has ended; the next call starts a new one
            raise


class _Reader:
    """One thread's pass through the archives, with the window of the members read last."""

    def __init__(self, tape: _Tape) -> None:
        self.process = os.getpid()
        self._tape = tape
        self._streams = [tape.members(0)]  # the open one; a list, so that the finalizer sees changes
        self._at: Place = (0, -1)
        self._window: dict[str, bytes] = {}
        self._held = 0
        # Closed before the interpreter exits: later, the modules that the generator needs are gone.
        weakref.finalize(self, _close, self._streams)

    def read(self, name: str) -> bytes:
        if name in self._window:
            return self._window[name]
        place = self._tape.places.get(name)
        if place is not None and (place <= self._at or place[0] > self._at[0]):
            _close(self._streams)
            self._streams.append(self._tape.members(place[0]))
        for place, found, content in self._streams[0]:
            self._at = place
            self._keep(found, content)
            if found == name:
                return content
        raise SourceNotFound(
            f"{name} is in none of {self._tape}. Download the archives again.", code="member-not-found"
        )

    def _keep(self, name: str, content: bytes) -> None:
        self._held += len(content) - len(self._window.pop(name, b""))
        self._window[name] = content
        while self._held > WINDOW:
            self._held -= len(self._window.pop(next(iter(self._window))))


def _close(streams: list[Generator[Member, None, None]]) -> None:
    while streams:
        streams.pop().close()


class _Header(tarfile.TarInfo):
    """The header of a member; `tarfile` would read one of any size into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        extends = not (header.isreg() or header.isdir() or header.issym() or header.islnk() or header.isdev())
        if extends and header.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes; none has over {MAX_HEADER:,}")
        return header


class _Tape:
    """The archives, readable from the beginning of each, and the places of the members seen so far.

    Places are known for a prefix of the sequence: a member without a place is ahead of every reader.
    """

    def __init__(self, archives: Sequence[Archive]) -> None:
        self.archives = tuple(archives)
        self.places: dict[str, Place] = {}

    def __str__(self) -> str:
        return some([name for _, name in self.archives])

    def members(self, first: int, *, content: bool = True) -> Generator[Member, None, None]:
        """Yield place, name and content (empty on request) of all members, starting with one archive."""
        for number in range(first, len(self.archives)):
            with self._opened(number) as tar:
                position = 0
                while (member := tar.next()) is not None:
                    name = self._checked(number, member)
                    if not member.isdir() and not any(map(is_litter, name.split("/"))):
                        place = self.places.setdefault(name, (number, position))
                        if place[0] == number and place[1] != position:
                            home, archive = self.archives[number]
                            raise SourceBroken(
                                f"{archive} in {home.location} has two members named {name!r}. Download it again.",
                                code="ambiguous",
                            )
                        file = tar.extractfile(member) if content else None
                        yield (number, position), name, b"" if file is None else file.read()
                    position += 1
                    tar.members.clear()  # type: ignore[attr-defined]  # the headers of all members passed

    @contextmanager
    def _opened(self, number: int) -> Iterator[tarfile.TarFile]:
        home, name = self.archives[number]
        try:
            with home.open(name) as file, gzip.GzipFile(fileobj=file) as plain:
                with tarfile.open(fileobj=plain, mode="r|", bufsize=CHUNK, tarinfo=_Header) as tar:
                    yield tar
                while plain.read(CHUNK):  # gzip verifies its checksum at the end
                    pass
        except MedIMetaError:
            raise
        except UNREADABLE_ARCHIVE as error:
            raise SourceBroken(
                f"{name} in {home.location} is damaged or incomplete ({error}). Download it again.",
                code="broken-archive",
            ) from error

    def _checked(self, number: int, member: tarfile.TarInfo) -> str:
        """Return the member's name without `./`; raise if the member is not safe to read."""
        problem = code = ""
        if leaves_folder(member.name):
            problem, code = "has a path outside the archive", "unsafe-path"
        elif not member.isdir() and (not member.isreg() or member.issparse()):
            problem, code = "is a link or a device, not a file", "unsafe-link"
        elif len(member.name) > MAX_NAME or len(self.places) > MAX_MEMBERS:
            problem, code = f"is one of over {MAX_MEMBERS:,}, or its name has over {MAX_NAME:,} letters", "unsafe-size"
        elif member.size > MAX_MEMBER:
            problem, code = f"would unpack to {member.size:,} bytes", "unsafe-size"
        if problem:
            home, name = self.archives[number]
            raise UnsafeArchive(
                f"{member.name[:200]!r} in {name} in {home.location} {problem}. Download the archive again from its "
                "source.",
                code=code,
            )
        return str(PurePosixPath(member.name))
