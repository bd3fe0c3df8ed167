"""Lists of checksums, as `sha256sum` and its kin write them, to verify the files of a source."""

from __future__ import annotations

import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ...errors import SourceBroken, SourceNotFound
from ...files.archives import Members, ZipFiles
from ...files.folders import FolderFiles
from ...files.tar_members import TarMembers
from ...files.tars import TarFiles

MAX_LIST = 256 << 20  # bytes; the list of a dataset with 112,120 files has about 12 MB
CHUNK = 1 << 20
KINDS = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}  # by number of digits
_GNU = re.compile(r"\\?(?P<digest>[0-9a-fA-F]{32,128})(?:  | \*|\t)(?P<name>.+)")  # "<digest>  <name>"
_BSD = re.compile(r"\w+ ?\((?P<name>.+)\) ?= (?P<digest>[0-9a-fA-F]{32,128})")  # "SHA256 (<name>) = <digest>"


class Checksums:
    """Checksums of files by name.

    Names may begin at another folder than that of the source: a file is found by the end of its path.

    Args:
        path: The list: lines of "<digest>  <name>" (`sha256sum -b` or not) or "SHA256 (<name>) = <digest>"; MD5, SHA-1
            and SHA-2. Empty lines and lines that begin with "#" or ";" are skipped.

    Raises:
        SourceNotFound: If the file does not exist.
        SourceBroken: If it is not such a list.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_name: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        for number, line in enumerate(_text(path).splitlines(), start=1):
            if not line.strip() or line.startswith(("#", ";")):
                continue
            match = _GNU.fullmatch(line) or _BSD.fullmatch(line)
            if match is None or len(match["digest"]) not in KINDS:
                raise SourceBroken(
                    f'checksums: line {number} of {path} is not "<digest>  <file>": {line[:80]!r}. Write the list '
                    "with: sha256sum"
                )
            parts = _parts(match["name"])
            self._by_name[parts[-1]].append((parts, match["digest"].lower()))
        if not self._by_name:
            raise SourceBroken(f"checksums: {path} lists no file. Write the list with: sha256sum")

    def find(self, name: str) -> set[str]:
        """Digests that are listed for a file: those of the names that agree with the most of its path.

        Args:
            name: Its path, with forward slashes.
        """
        parts = _parts(name)
        fitting = [
            (min(len(parts), len(listed)), digest)
            for listed, digest in self._by_name.get(parts[-1], ())
            if all(a == b for a, b in zip(reversed(parts), reversed(listed), strict=False))
        ]
        most = max((length for length, _ in fitting), default=0)
        return {digest for length, digest in fitting if length == most}

    def check(self, name: str, opened: Callable[[], Any], where: Path) -> None:
        """Check the content of a file.

        Args:
            name: Its path, with forward slashes.
            opened: Opens it.
            where: Its place, for messages.

        Raises:
            SourceBroken: If it is not listed, or has another content.
        """
        digests = self.find(name)
        if not digests:
            raise SourceBroken(f"checksums: {self.path} does not list {where}. Add its line, or leave out --checksums.")
        kinds = {KINDS[len(digest)]: hashlib.new(KINDS[len(digest)], usedforsecurity=False) for digest in digests}
        with opened() as file:
            while chunk := file.read(CHUNK):
                for known in kinds.values():
                    known.update(chunk)
        if any(kinds[KINDS[len(digest)]].hexdigest() != digest for digest in digests):
            raise SourceBroken(
                f"{where} has another checksum than {self.path} lists: it is damaged or another edition. Get it again.",
                code="wrong-checksum",
            )


def check_file(checksums: Path | None, part: Members, name: str, data: bytes | None = None) -> None:
    """Compare a file with its checksum, if a list is given. Members of an archive need not be listed.

    Args:
        checksums: The list, or None.
        part: The folder or archive.
        name: Path of the file in it.
        data: Its content, if it was read.
    """
    if checksums is None:
        return
    known = _known(checksums)
    if isinstance(part, FolderFiles) or known.find(name):
        known.check(name, partial(part.open, name) if data is None else partial(io.BytesIO, data), part.location / name)


def check_archives(checksums: Path | None, parts: Iterable[Members], tars: TarFiles) -> None:
    """Compare archives with their checksums, if a list is given: as wholes, unless members are listed.

    Args:
        checksums: The list, or None.
        parts: Folders, which are passed over, and archives.
        tars: tar.gz archives; those in other archives are passed over.
    """
    if checksums is None:
        return
    known = _known(checksums)
    for part in parts:
        if isinstance(part, ZipFiles | TarMembers) and not any(map(known.find, part.names())):
            known.check(part.archive.name, partial(part.archive.open, "rb"), part.archive)
    for home, name in tars.archives:
        if isinstance(home, FolderFiles):
            known.check(name, partial(home.open, name), home.location / name)


def _known(path: Path) -> Checksums:
    """The checksums of a list; a process reads it once, unless it changes."""
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(path: Path, *_: int) -> Checksums:
    return Checksums(path)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LIST + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(data) > MAX_LIST:
        raise SourceBroken(f"checksums: {path} has over {MAX_LIST:,} bytes; no list of checksums is as large.")
    return data.decode("utf-8-sig", "surrogateescape")


def _unreadable(path: Path, error: OSError) -> SourceNotFound:
    return SourceNotFound(f"checksums: {path} cannot be read ({error.strerror}). Give a list that sha256sum wrote.")
