"""The tree of a source's files: found in a folder, in zip archives and in tar archives, without unpacking."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ...errors import SourceBroken, SourceIncomplete, SourceNotFound, some
from ...files.archives import Members, ZipFiles
from ...files.folders import FolderFiles
from ...files.stamp import stamp
from ...files.tars import TarFiles
from .checksums import check_archives, check_file
from .layout import Layout, find_parts, find_roots
from .names import COPY, matching, without_copies

SUFFIXES = re.compile(r"(\.[a-z]{2,5}\d?)+$", re.IGNORECASE)
MAX_READ = 256 << 20  # bytes of one file; the largest film of CBIS-DDSM has about 70 MB
Place = tuple[int, str]  # number of a folder or archive, name of a file in it


class Tree:
    """The files of one source as one tree, whether they are unpacked, zipped, or some of each.

    Paths are relative to the source's root, with forward slashes, spelled as in the source: a file `X.PNG` is also
    found as `x.png`. Nothing is ever written or unpacked there. The object is cheap to pickle: a worker process
    gets the location, opens it once, and keeps it open for all its tasks. Members of tar archives count as unpacked in
    the root, wherever the archives are.

    Args:
        location: A folder or an archive.
        dataset: Id of the dataset that is read.
        layout: How the source lays out its files.
        checksums: A list of checksums, with which each file in a folder, and each archive, is compared when it is
            read. Members of a zip archive that are not listed have its own checksums.

    Raises:
        SourceNotFound: If no folder or archive there holds one of the markers.
        SourceBroken: If several folders look equally like the source, or an archive is damaged.
        UnsafeArchive: If the path of an archive's member would leave the location.
    """

    def __init__(self, location: Path, dataset: str, layout: Layout, checksums: Path | None = None) -> None:
        self.location = location
        self.dataset = dataset
        self.layout = layout
        self.checksums = checksums
        self._verified: set[str] = set()
        self._parts, unread = find_parts(location, dataset, layout)
        self._roots = find_roots(location, dataset, layout, self._parts, unread)
        self._tars = self._find_tars()
        self._in_tars: frozenset[str] = frozenset()
        self.last_read = ""  # path of a file, for messages

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (type(self), self.stamp, self.location, self.dataset, self.layout, self.checksums)

    @property
    def archives(self) -> tuple[str, ...]:
        """The source's names of its archives."""
        return self.layout.archives

    @cached_property
    def variant(self) -> str:
        """What is known about another version of the source whose files are there; "" if none is."""
        return self.layout.variant(self._parts)

    def _find_tars(self) -> TarFiles:
        tars: dict[str, tuple[Members, str]] = {}
        for _, part in self._parts:
            for path in part.names():
                name = path.rpartition("/")[2]
                copy = COPY.fullmatch(name)
                name = f"{copy['base']}{copy['suffix']}" if copy else name
                if fnmatch.fnmatchcase(name, self.layout.tars) and (name not in tars or not copy):
                    if name in tars and not COPY.fullmatch(tars[name][1].rpartition("/")[2]):
                        homes = [str(home.location / place) for home, place in (tars[name], (part, path))]
                        raise SourceBroken(f"There are two archives {name}: {some(homes)}. Remove one of them.")
                    tars[name] = (part, path)
        return TarFiles([tars[name] for name in sorted(tars)])

    def list_tars(self) -> None:
        """Add the members of tar archives to `files`, which takes minutes where they are large.

        They can be read without.
        """
        self._in_tars = frozenset(self._tars.names())
        for name in ("files", "_folded"):
            self.__dict__.pop(name, None)

    @cached_property
    def _index(self) -> dict[str, list[Place]]:
        """Path below the root -> where it is; more than one place is an error once the file is asked for.

        A file on disk goes before the same path in an archive. Files in a folder above the root have paths that begin
        with "../".
        """
        index: dict[str, list[Place]] = {}
        for number, (where, part) in enumerate(self._parts):
            for name in part.names():
                path = self.layout.published(f"{where}/{name}" if where else name)
                for root in self._roots:
                    prefix = f"{root}/" if root else ""
                    if path.startswith(prefix):
                        known = index.setdefault(path[len(prefix) :], [])
                    elif prefix.startswith(path[: path.rfind("/") + 1]):
                        known = index.setdefault(posixpath.relpath(path, prefix), [])
                    else:
                        continue
                    if not any(self._same(place, (number, name)) for place in known):
                        known.append((number, name))
        return index

    def _same(self, first: Place, second: Place) -> bool:
        """Whether one place of a file makes another needless: unpacked files go before archives."""
        ours, theirs = self._parts[first[0]][1], self._parts[second[0]][1]
        if isinstance(ours, ZipFiles) and isinstance(theirs, ZipFiles):
            return ours.info(first[1]).CRC == theirs.info(second[1]).CRC
        return first == second or (isinstance(ours, FolderFiles) and not isinstance(theirs, FolderFiles))

    @cached_property
    def files(self) -> tuple[str, ...]:
        """All paths below the root, sorted by code point; members of tar archives only after `list_tars`."""
        return tuple(sorted(self._in_tars.union(path for path in self._index if not path.startswith("../"))))

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        folded: dict[str, list[str]] = {}
        for path in {*self._index, *self._in_tars}:
            folded.setdefault(path.casefold(), []).append(path)
        return folded

    def _actual(self, path: str) -> str:
        """A path as its file spells it, or as it is given if the file does not exist.

        Raises:
            SourceBroken: If only files with other spellings are there, and more than one.
        """
        if path in self._index or path in self._in_tars:
            return path
        spellings = self._folded.get(path.casefold(), [path])
        if len(spellings) > 1:
            raise self._ambiguous(path, sorted(spellings))
        return spellings[0]

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and ((actual := self._actual(path)) in self._index or actual in self._in_tars)

    @property
    def root(self) -> str:
        """Where the root is, for messages."""
        return str(self.location / self._roots[0]) if self._roots[0] else str(self.location)

    def glob(self, pattern: str, names: str = "") -> list[str]:
        """Paths that match, sorted, without copies of other files ("x (1).png", "x - Copy.png").

        Args:
            pattern: `*` is anything within one folder level, `{a,b}` one of some words. Case does not matter; the words
                of the pattern are returned as it spells them.
            names: Regular expression of the file names that the source has.

        Raises:
            SourceIncomplete: If a matching file has another name.
            SourceBroken: If two files differ in nothing but the case of the pattern's words, or a name is not text.
        """
        found: dict[str, str] = {}
        for path, published in matching(self.files, pattern):
            if not path.isprintable():
                raise SourceBroken(f"{path!a} in {self.root}: its name is not valid text. Unpack it again.")
            if published in found:
                raise self._ambiguous(published, [found[published], path])
            found[published] = path
        originals, foreign = without_copies(found, names)
        if foreign:
            raise SourceIncomplete(
                f"{self.root} has files that are not named as those of {self.dataset}, files too many "
                f"({len(foreign):,}): {some(foreign)}. Remove them, or give copies their original names."
            )
        return originals

    def find(self, name: str) -> str:
        """Path of a file in the root or, failing that, in the nearest folder above it: "<name>", "../<name>", ...

        Raises:
            SourceNotFound: If there is none.
        """
        for levels in range(max(root.count("/") for root in self._roots) + 2):
            if (path := "../" * levels + name) in self:
                return path
        raise self.missing(name)

    def place(self, path: str) -> tuple[Members, str]:
        """The folder or zip archive that holds a file, and the file's name there.

        Raises:
            SourceNotFound: If the file does not exist.
            SourceBroken: If there are several.
        """
        places = self._index.get(self._actual(path))
        if not places:
            raise self.missing(path)
        if len(places) > 1:
            raise self._ambiguous(path, [str(self._parts[number][1].location / name) for number, name in places])
        number, name = places[0]
        return self._parts[number][1], name

    def missing(self, pattern: str) -> SourceNotFound:
        """The error for a file that is not there: it names files that differ only in their format.

        Args:
            pattern: Its path, or a pattern as for `glob`.
        """
        known = f" {self.variant}" if self.variant else ""
        if others := [path for path, _ in matching(self._index, f"{SUFFIXES.sub('', pattern)}.*")]:
            known += f" There is {some(sorted(others))}: files of another format are not read."
        return SourceNotFound(f"{pattern} is missing in {self.root}.{known} Get {some(self.archives)} again.")

    def check_single(self, paths: Iterable[str]) -> None:
        """Check that no file of some paths is there twice.

        Raises:
            SourceBroken: If one is.
        """
        for path in paths:
            if len(self._index.get(self._actual(path), ())) > 1:
                self.place(path)

    def _ambiguous(self, path: str, places: list[str]) -> SourceBroken:
        return SourceBroken(f"{path} in {self.root} could be any of {some(places)}. Keep the right one only.")

    def read(self, path: str, limit: int | None = None, *, most: int = MAX_READ) -> bytes:
        """The bytes of a file.

        Args:
            path: Its path.
            limit: Read no more than this from its beginning.
            most: Size in bytes beyond which it is refused.

        Raises:
            SourceNotFound: If the file does not exist.
            SourceBroken: If it is too large, is there twice, or its archive is damaged.
        """
        self.last_read = path
        if self._tars and (actual := self._actual(path)) not in self._index:
            return self._tars.read(actual)[:limit]
        part, name = self.place(path)
        if limit is not None:
            return part.read(name, limit)
        if (size := part.size(name)) > most:
            raise SourceBroken(f"{path} in {self.root} has {size:,} bytes; no file of its kind has over {most:,}.")
        data = part.read(name)
        check_file(self.checksums, part, name, data)
        return data

    def check_archives(self) -> None:
        """Compare all archives with the list of checksums, if one is given; their members need no lines then.

        Raises:
            SourceBroken: If one has another checksum, or neither it nor a member of it is listed.
        """
        check_archives(self.checksums, [part for _, part in self._parts], self._tars)

    def size(self, path: str) -> int:
        """Length of a file in bytes, without reading it.

        Raises:
            SourceNotFound: If the file does not exist.
        """
        part, name = self.place(path)
        return part.size(name)

    def unpacked(self, path: str) -> Path | None:
        """The path of a file on disk, or None when it is in an archive.

        Raises:
            SourceNotFound: If the file does not exist.
        """
        part, name = self.place(path)
        if not isinstance(part, FolderFiles):
            return None
        if path not in self._verified:
            check_file(self.checksums, part, name)
            self._verified.add(path)
        return part.folder / name

    @cached_property
    def stamp(self) -> str:
        """Fingerprint of the source; see `stamp.stamp`."""
        return stamp(self.location)


@lru_cache(maxsize=4)
def _reopened(kind: type[Tree], stamp: str, *given: Any) -> Tree:
    """The one tree of this process for a source in some state, so that tasks do not list and open it again."""
    return kind(*given)
