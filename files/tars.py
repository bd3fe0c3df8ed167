"""Files in tar.gz archives, which are read in one direction: a compressed tar has no directory and no way to jump.

Rows are wanted nearly in the order of the members, so one way through all archives serves them all: members that are
passed over wait in a window of bounded size, and only what has dropped out of it makes the reader start again, at the
beginning of the archive that holds it. The farthest step back in ChestX-ray14 is 157 images, about 60 MB: none does.
"""

from __future__ import annotations

import gzip
import logging
import os
import tarfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from ..errors import MedIMetaError, SourceBroken, SourceNotFound, UnsafeArchive, some
from .archives import Members, leaves_folder

WINDOW = 64 << 20  # bytes of passed members that wait in memory, per thread
MAX_MEMBER = 64 << 20  # bytes; the largest radiograph has about 1 MB
CHUNK = 1 << 18

Archive = tuple[Members, str]  # where a tar.gz archive lies, and its name there
Place = tuple[int, int]  # number of the archive, number of the member in it
Member = tuple[Place, str, bytes]

logger = logging.getLogger("medimeta")


class TarFiles:
    """The members of some tar.gz archives as one set of files.

    Every thread reads on its own way: those that share one would push each other's members out of the window.

    Args:
        archives: The archives, in the order in which their members are wanted.
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

    def names(self) -> list[str]:
        """Paths with forward slashes, sorted by code point.

        The first call decompresses everything: two or three minutes for the 42 GB of ChestX-ray14. Reading does not
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
        """The bytes of one.

        Raises:
            SourceNotFound: If no archive has it.
            SourceBroken: If an archive is damaged on the way there.
        """
        reader: _Reader | None = getattr(self._thread, "reader", None)
        if reader is None or reader.process != os.getpid():  # a forked worker must not share its parent's position
            reader = self._thread.reader = _Reader(self._tape)
        try:
            return reader.read(name)
        except SourceBroken:
            del self._thread.reader  # it stopped half-way; who tries again starts again
            raise


class _Reader:
    """One thread's way through the archives, with the window of what it passed last."""

    def __init__(self, tape: _Tape) -> None:
        self.process = os.getpid()
        self._tape = tape
        self._streams = [tape.members(0)]  # the one that is open; a list, for the finalizer to find it
        self._at: Place = (0, -1)
        self._window: dict[str, bytes] = {}
        self._held = 0
        # Also before the interpreter ends: a generator that is closed later finds the modules it needs torn down.
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
        raise SourceNotFound(f"{name} is in none of {self._tape}. Get the archives again.")

    def _keep(self, name: str, content: bytes) -> None:
        self._held += len(content) - len(self._window.pop(name, b""))
        self._window[name] = content
        while self._held > WINDOW:
            self._held -= len(self._window.pop(next(iter(self._window))))


def _close(streams: list[Generator[Member, None, None]]) -> None:
    while streams:
        streams.pop().close()


class _Tape:
    """The archives, which can be played from the beginning of any, and the places of the members seen so far.

    The places always cover a beginning of the whole: what has none yet lies ahead of every reader.
    """

    def __init__(self, archives: Sequence[Archive]) -> None:
        self.archives = tuple(archives)
        self.places: dict[str, Place] = {}

    def __str__(self) -> str:
        return some([name for _, name in self.archives])

    def members(self, first: int, *, content: bool = True) -> Generator[Member, None, None]:
        """All members from an archive on: place, name and content (empty if that is not wanted)."""
        for number in range(first, len(self.archives)):
            with self._opened(number) as tar:
                position = 0
                while (member := tar.next()) is not None:
                    name = self._checked(number, member)
                    if not member.isdir():
                        self.places.setdefault(name, (number, position))
                        file = tar.extractfile(member) if content else None
                        yield (number, position), name, b"" if file is None else file.read()
                    position += 1

    @contextmanager
    def _opened(self, number: int) -> Iterator[tarfile.TarFile]:
        home, name = self.archives[number]
        try:
            with home.open(name) as file, gzip.GzipFile(fileobj=file) as plain:
                with tarfile.open(fileobj=plain, mode="r|", bufsize=CHUNK) as tar:
                    yield tar
                while plain.read(CHUNK):  # only at its end does gzip tell whether all of it was right
                    pass
        except MedIMetaError:
            raise
        except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
            raise SourceBroken(
                f"{name} in {home.location} is damaged or incomplete ({error}). Download it again."
            ) from error

    def _checked(self, number: int, member: tarfile.TarInfo) -> str:
        """The member's name without `./`, if it is safe."""
        problem = ""
        if leaves_folder(member.name):
            problem = "has a path that leaves the archive's folder"
        elif not member.isdir() and (not member.isreg() or member.issparse()):
            problem = "is a link or a device, not a file"
        elif member.size > MAX_MEMBER:
            problem = f"claims to unpack to {member.size:,} bytes"
        if problem:
            home, name = self.archives[number]
            raise UnsafeArchive(
                f"{member.name!r} in {name} in {home.location} {problem}. Get the archive from its source again."
            )
        return str(PurePosixPath(member.name))
