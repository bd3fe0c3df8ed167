"""Reading a source's files from a folder or straight from its archives, in sorted order, without unpacking."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import os
import posixpath
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pandas as pd
from PIL import Image, UnidentifiedImageError

from ..errors import SourceBroken, SourceNotFound, some
from ..files.archives import FolderFiles, Members, ZipFiles
from ..files.tars import TarFiles
from .images import ORIGINAL_SIZE

Row = Mapping[str, Any]  # of a manifest

TARS = "images_*.tar.gz"  # the only tar archives of any source: images_001.tar.gz to images_012.tar.gz of ChestX-ray14
MAX_PIXELS = 200_000_000  # the largest source image (a scanned film) has about 30 million


class Raw:
    """The files of one source as one tree, wherever they lie: unpacked, zipped, or some of each.

    Paths are relative to the source's root, with forward slashes. Nothing is ever written or unpacked. The object is
    cheap to pickle: a worker process gets the location, opens it anew, once, and keeps it open for all its tasks.
    Members of tar archives count as unpacked in the root, wherever the archives lie.

    Args:
        location: A folder or an archive.
        dataset: Id of the dataset that is read.
        markers: Names of entries that lie directly in the source's root; the root is the shallowest folder
            with one of them.
        archives: File names of archives which, found in `location`, are read as if unpacked there; for a folder that
            a downloader leaves, its zip archives are.

    Raises:
        SourceNotFound: If no folder or archive there holds one of the markers.
        UnsafeArchive: If a path would leave the location.
    """

    def __init__(self, location: Path, dataset: str, markers: Iterable[str], archives: Iterable[str]) -> None:
        self.location = location
        self.dataset = dataset
        self._markers = tuple(markers)
        self._archives = tuple(archives)
        self._parts = self._find_parts()
        self._prefix = self._find_root()
        self._tars = self._find_tars()
        self._in_tars: frozenset[str] = frozenset()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.location, self.dataset, self._markers, self._archives, self.stamp)

    def _find_parts(self) -> list[tuple[str, Members]]:
        """Folders and archives to read, each with the path it is mounted at."""
        if self.location.is_dir():
            folder = FolderFiles(self.location)
            zips = [p for p in folder.names() if _is_zip_of(self._archives, PurePosixPath(p).name)]
            mounted = [(str(PurePosixPath(p).parent), ZipFiles(self.location / p)) for p in zips]
            return [("", folder), *(("" if where == "." else where, part) for where, part in mounted)]
        if zipfile.is_zipfile(self.location):
            return [("", ZipFiles(self.location))]
        raise SourceNotFound(
            f"{self.location} is neither a folder nor a zip archive. Give the folder that holds "
            f"{some(self._archives)}, packed or unpacked; see: medimeta info {self.dataset}"
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
                f"{some(self._markers, 12)} in it. Give the folder that holds {some(self._archives)}, packed or "
                f"unpacked; where to get it: medimeta info {self.dataset}"
            )
        return min(roots, key=lambda root: (root.count("/") if root else -1, root))

    def _find_tars(self) -> TarFiles:
        names = ((part, name) for _, part in self._parts for name in part.names())
        return TarFiles([(part, name) for part, name in names if fnmatch.fnmatchcase(name.rpartition("/")[2], TARS)])

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

    def _place(self, path: str) -> tuple[Members, str]:
        try:
            number, name = self._index[path]
        except KeyError:
            raise self._missing(path) from None
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
        part, name = self._place(path)
        return part.read(name, limit)

    def size(self, path: str) -> int:
        """Length of a file in bytes, without reading it.

        Raises:
            SourceNotFound: If there is no such file.
        """
        part, name = self._place(path)
        return part.size(name)

    def unpacked(self, path: str) -> Path | None:
        """Where a file lies on disk, or None when it lies in an archive.

        Raises:
            SourceNotFound: If there is no such file.
        """
        part, name = self._place(path)
        return part.folder / name if isinstance(part, FolderFiles) else None

    def image(self, path: str) -> Image.Image:
        """Open an image; its stored size travels in `info["original_image_size"]`.

        Raises:
            SourceBroken: If the file is no image, is damaged, or is larger than any image of the sources.
        """
        try:
            image = Image.open(io.BytesIO(self.read(path)))
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
            if isinstance(error, SourceBroken | SourceNotFound):
                raise
            raise self.broken(path, f"no readable image ({error})") from error
        if image.width * image.height > MAX_PIXELS:
            raise self.broken(path, f"{image.width}x{image.height} pixels are more than any image of the source has")
        image.info[ORIGINAL_SIZE] = list(image.size)
        return image

    def table(self, path: str, *, columns: Collection[str] = (), **options: Any) -> pd.DataFrame:
        """Read a CSV table.

        Args:
            path: Its path.
            columns: Columns that it must have; it may have more.
            **options: For `pandas.read_csv`; the encoding defaults to UTF-8, with or without byte-order mark.

        Raises:
            SourceNotFound: If there is no such file.
            SourceBroken: If it is no such table.
        """
        part, name = self._place(path)  # no table is in a tar archive: those are not searched
        content = part.read(name)
        try:
            table = cast(pd.DataFrame, pd.read_csv(io.BytesIO(content), **({"encoding": "utf-8-sig"} | options)))
        except ValueError as error:
            raise self.broken(path, f"no readable table ({error})") from error
        if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much for row names
            raise self.broken(path, f"the rows have more fields than the {len(table.columns)} columns have names")
        if lacking := [column for column in columns if column not in table]:
            found = [str(column) for column in table]
            raise self.broken(path, f"lacks the column(s) {some(lacking, 20)}; it has {some(found, 20)}")
        return table

    def _missing(self, path: str) -> SourceNotFound:
        return SourceNotFound(f"{path} is missing in {self.root}. Get {some(self._archives)} again.")

    def broken(self, path: str, problem: str) -> SourceBroken:
        """The error for a file that is not what it should be."""
        return SourceBroken(f"{path} in {self.root}: {problem}. Get {some(self._archives)} again, or repair the file.")

    @cached_property
    def stamp(self) -> str:
        """Changes when a name, a size or a modification time does."""
        return stamp(self.location)


def _is_zip_of(archives: Iterable[str], name: str) -> bool:
    """Whether a file is one of a source's zip archives, or holds a folder that a downloader leaves.

    Such a folder may come zipped as a whole ("LITS Challenge.zip") or as a drive hands it out, in parts
    ("LITS Challenge-20240131T101500Z-001.zip").
    """
    stems = "|".join(re.escape(archive.removesuffix(".zip")) for archive in archives)
    return re.fullmatch(rf"({stems})(-\d{{8}}T\d{{6}}Z[-\d]*)?\.zip", name, re.IGNORECASE) is not None


@lru_cache(maxsize=4)
def _reopened(location: Path, dataset: str, markers: tuple[str, ...], archives: tuple[str, ...], stamp: str) -> Raw:
    """The one `Raw` of this process for a source in some state, so that tasks do not list and open it again."""
    return Raw(location, dataset, markers, archives)


def stamp(location: Path) -> str:
    """Fingerprint of a file or folder by names, sizes and modification times (nothing is read)."""
    digest = hashlib.sha256()
    for name, status in _statuses(location):
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def file_count_and_bytes(location: Path) -> tuple[int, int]:
    """Number and total size of the files at a location."""
    sizes = [status.st_size for _, status in _statuses(location)]
    return len(sizes), sum(sizes)


def _statuses(location: Path) -> Iterator[tuple[str, os.stat_result]]:
    if location.is_dir():
        yield from ((name, entry.stat()) for name, entry in FolderFiles(location).entries())
    else:
        yield "", location.stat()
