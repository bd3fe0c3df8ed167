"""The tree of a source's files: found in a folder, in zip archives and in tar archives, without unpacking."""

from __future__ import annotations

import fnmatch
import posixpath
import re
import zipfile
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import SourceNotFound, some
from ..files.archives import FolderFiles, Members, ZipFiles, open_files
from ..files.stamp import stamp
from ..files.tars import TarFiles


class Tree:
    """The files of one source as one tree, whether they are unpacked, zipped, or some of each.

    Paths are relative to the source's root, with forward slashes. Nothing is ever written or unpacked. The object is
    cheap to pickle: a worker process gets the location, opens it once, and keeps it open for all its tasks. Members of
    tar archives count as unpacked in the root, wherever the archives are.

    Args:
        location: A folder or an archive.
        dataset: Id of the dataset that is read.
        markers: Names of entries directly in the source's root. The root is the shallowest folder with one of them.
        archives: File names of archives. Those in `location` are read as if they were unpacked there; for a folder
            that a downloader leaves, its zip archives are.
        tars: Pattern of the names of the source's tar.gz archives; "" if it has none.

    Raises:
        SourceNotFound: If no folder or archive there holds one of the markers.
        UnsafeArchive: If a path would leave the location.
    """

    def __init__(
        self, location: Path, dataset: str, markers: Iterable[str], archives: Iterable[str], tars: str = ""
    ) -> None:
        self.location = location
        self.dataset = dataset
        self._markers = tuple(markers)
        self.archives = tuple(archives)
        self._tar_names = tars
        self._parts = self._find_parts()
        self._prefix = self._find_root()
        self._tars = self._find_tars()
        self._in_tars: frozenset[str] = frozenset()

    def __reduce__(self) -> tuple[Any, ...]:
        given = (self.location, self.dataset, self._markers, self.archives, self._tar_names)
        return _reopened, (type(self), self.stamp, *given)

    def _find_parts(self) -> list[tuple[str, Members]]:
        """Folders and archives to read, each with the path it is mounted at."""
        if self.location.is_dir():
            folder = FolderFiles(self.location)
            zips = [p for p in folder.names() if _is_zip_of(self.archives, PurePosixPath(p).name)]
            mounted = [(str(PurePosixPath(p).parent), ZipFiles(self.location / p)) for p in zips]
            return [("", folder), *(("" if where == "." else where, part) for where, part in mounted)]
        if zipfile.is_zipfile(self.location):
            return [("", open_files(self.location))]
        raise SourceNotFound(
            f"{self.location} is neither a folder nor a zip archive. Give the folder that holds "
            f"{some(self.archives)}, packed or unpacked; see: medimeta info {self.dataset}"
        )

    def _find_root(self) -> str:
        roots: set[str] = set()
        for where, part in self._parts:
            for name in part.names():
                pieces = PurePosixPath(where, name).parts
                roots |= {"/".join(pieces[:i]) for i, piece in enumerate(pieces) if piece in self._markers}
        if not roots:
            raise SourceNotFound(
                f"{self.location} does not look like the source of {self.dataset}: found none of "
                f"{some(self._markers, 12)} in it. Give the folder that holds {some(self.archives)}, packed or "
                f"unpacked; where to get it: medimeta info {self.dataset}"
            )
        return min(roots, key=lambda root: (root.count("/") if root else -1, root))

    def _find_tars(self) -> TarFiles:
        names = ((part, name) for _, part in self._parts for name in part.names())
        return TarFiles(
            [(part, name) for part, name in names if fnmatch.fnmatchcase(name.rpartition("/")[2], self._tar_names)]
        )

    def list_tars(self) -> None:
        """Add the members of tar archives to `files`, which takes minutes where they are large.

        They can be read without.
        """
        self._in_tars = frozenset(self._tars.names())
        self.__dict__.pop("files", None)

    @cached_property
    def _index(self) -> dict[str, tuple[int, str]]:
        """Path below the root -> (part, name in the part); a file on disk goes before the same in an archive.

        Files that lie in a folder above the root have paths that begin with "../".
        """
        index: dict[str, tuple[int, str]] = {}
        prefix = f"{self._prefix}/" if self._prefix else ""
        for number, (where, part) in enumerate(self._parts):
            for name in part.names():
                path = f"{where}/{name}" if where else name
                if path.startswith(prefix):
                    index.setdefault(path[len(prefix) :], (number, name))
                elif prefix.startswith(path[: path.rfind("/") + 1]):
                    index.setdefault(posixpath.relpath(path, prefix), (number, name))
        return index

    @cached_property
    def files(self) -> tuple[str, ...]:
        """All paths below the root, sorted by code point; members of tar archives only after `list_tars`."""
        return tuple(sorted(self._in_tars.union(path for path in self._index if not path.startswith("../"))))

    def __contains__(self, path: object) -> bool:
        return path in self._index or path in self._in_tars

    @property
    def root(self) -> str:
        """Where the root lies, for messages."""
        return str(self.location / self._prefix) if self._prefix else str(self.location)

    def glob(self, pattern: str) -> list[str]:
        """Paths that match, sorted; `*` stays within one folder level; hidden files are left out."""
        depth = pattern.count("/")
        return [
            path
            for path in self.files
            if path.count("/") == depth
            and not PurePosixPath(path).name.startswith(".")
            and all(map(fnmatch.fnmatchcase, path.split("/"), pattern.split("/")))
        ]

    def find(self, name: str) -> str:
        """Path of a file in the root or, failing that, in the nearest folder above it: "<name>", "../<name>", ...

        Raises:
            SourceNotFound: If there is none.
        """
        for levels in range(self._prefix.count("/") + 2):
            if (path := "../" * levels + name) in self._index:
                return path
        raise SourceNotFound(f"{name} is missing in {self.root}. Get it again and put it there or one folder up.")

    def place(self, path: str) -> tuple[Members, str]:
        """The folder or zip archive that holds a file, and the file's name there.

        Raises:
            SourceNotFound: If there is no such file.
        """
        try:
            number, name = self._index[path]
        except KeyError:
            raise SourceNotFound(f"{path} is missing in {self.root}. Get {some(self.archives)} again.") from None
        return self._parts[number][1], name

    def read(self, path: str, limit: int | None = None) -> bytes:
        """The bytes of a file.

        Args:
            path: Its path.
            limit: Read no more than this from its beginning.

        Raises:
            SourceNotFound: If there is no such file.
            SourceBroken: If the archive is damaged there.
        """
        if self._tars and path not in self._index:
            return self._tars.read(path)[:limit]
        part, name = self.place(path)
        return part.read(name, limit)

    def size(self, path: str) -> int:
        """Length of a file in bytes, without reading it.

        Raises:
            SourceNotFound: If there is no such file.
        """
        part, name = self.place(path)
        return part.size(name)

    def unpacked(self, path: str) -> Path | None:
        """Where a file lies on disk, or None when it lies in an archive.

        Raises:
            SourceNotFound: If there is no such file.
        """
        part, name = self.place(path)
        return part.folder / name if isinstance(part, FolderFiles) else None

    @cached_property
    def stamp(self) -> str:
        """Fingerprint of the source; see `stamp.stamp`."""
        return stamp(self.location)


def _is_zip_of(archives: Iterable[str], name: str) -> bool:
    """Whether a file is one of a source's zip archives, or holds a folder that a downloader leaves.

    Such a folder may come zipped as a whole ("LITS Challenge.zip") or as a drive hands it out, in parts
    ("LITS Challenge-20240131T101500Z-001.zip").
    """
    stems = "|".join(re.escape(archive.removesuffix(".zip")) for archive in archives)
    return re.fullmatch(rf"({stems})(-\d{{8}}T\d{{6}}Z[-\d]*)?\.zip", name, re.IGNORECASE) is not None


@lru_cache(maxsize=4)
def _reopened(kind: type[Tree], stamp: str, *given: Any) -> Tree:
    """The one tree of this process for a source in some state, so that tasks do not list and open it again."""
    return kind(*given)
