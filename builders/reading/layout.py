"""Where a source's files are: which folders and archives hold them, and which folder is the source's root."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from ...errors import SourceBroken, SourceNotFound, some
from ...files.archives import Members, ZipFiles
from ...files.folders import FolderFiles
from ...files.tar_members import TarMembers, is_tar, mounted_tars

Part = tuple[str, Members]  # a folder or an archive, with the path at which its files are read

_NOT_READ = {
    r"\.(crdownload|part|partial|download|opdownload|aria2|!ut)$": "a download that is not complete; finish it first",
    r"(\.(7z|rar|tar|tbz2?|txz|zst|zipx)|\.tar\.\w+|\.(zip|7z)\.\d{3}|\.z\d\d)$": "archives of this kind are not read; "
    "unpack it",
}


@dataclass(frozen=True)
class Layout:
    """How a source lays out its files, and how its files are laid out where people have them.

    Attributes:
        markers: Names of entries directly in the source's root, by which the root is found.
        needed: The markers without which the source is not complete.
        archives: File names of the archives, as the source names them.
        folders: Names of folders below the markers, whose case does not matter.
        tars: Pattern of the names of the source's tar.gz archives; "" if it has none.
        scattered: Whether the markers may be in several folders, for example because each is its own archive.
        renames: Regular expressions of paths as some copies have them, and what they are in the source.
        variants: Regular expressions of paths that only another version of the source has, and what to say about it.
    """

    markers: tuple[str, ...]
    archives: tuple[str, ...]
    needed: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    tars: str = ""
    scattered: bool = False
    renames: tuple[tuple[str, str], ...] = ()
    variants: tuple[tuple[str, str], ...] = ()

    @cached_property
    def _marker(self) -> re.Pattern[str]:
        """A marker in a path, in any case, and twice if an archive was extracted into a folder with its name."""
        return re.compile(rf"(?:^|(?<=/))({'|'.join(map(re.escape, self.markers))})(?:/\1)*(?=/|$)", re.IGNORECASE)

    @cached_property
    def _folder(self) -> re.Pattern[str]:
        """A folder below the markers, in any case."""
        return re.compile(rf"(?<=/)({'|'.join(map(re.escape, self.folders))})(?=/)", re.IGNORECASE)

    @cached_property
    def _spelling(self) -> dict[str, str]:
        return {name.casefold(): name for name in (*self.folders, *self.markers)}

    @cached_property
    def _renames(self) -> list[tuple[re.Pattern[str], str]]:
        return [(re.compile(pattern, re.IGNORECASE), text) for pattern, text in self.renames]

    def published(self, path: str) -> str:
        """A path as the source spells it."""
        for pattern, text in self._renames:
            path = pattern.sub(text, path)
        path = self._marker.sub(self._spelled, path)
        if self.folders and (marker := self._marker.search(path)):
            path = path[: marker.end()] + self._folder.sub(self._spelled, path[marker.end() :])
        return path

    def _spelled(self, match: re.Match[str]) -> str:
        return self._spelling[match[1].casefold()]

    def roots(self, parts: Iterable[Part]) -> dict[str, set[str]]:
        """Folders that hold markers, with the markers that each holds."""
        roots: dict[str, set[str]] = {}
        for path in paths(parts):
            published = self.published(path)
            for match in self._marker.finditer(published):
                roots.setdefault(published[: match.start()].rstrip("/"), set()).add(match[1])
        return roots

    def variant(self, parts: Iterable[Part]) -> str:
        """What is known about another version of the source whose files are there; "" if none is."""
        names = list(paths(parts))
        for pattern, text in self.variants:
            if example := next((name for name in names if re.search(pattern, name, re.IGNORECASE)), None):
                return f"This is another version, e.g. {example}: {text.rstrip('.')}."
        return ""


def paths(parts: Iterable[Part]) -> Iterator[str]:
    """The paths of all files of some folders and archives."""
    for where, part in parts:
        yield from (f"{where}/{name}" if where else name for name in part.names())


def find_parts(location: Path, dataset: str, layout: Layout) -> tuple[list[Part], list[str]]:
    """The folders and archives to read, and the names of the other zip archives that are there.

    Archives with the source's names are read; others, and archives in archives, only where they hold markers that are
    found nowhere else.

    Raises:
        SourceNotFound: If the location is neither a folder nor an archive.
        SourceBroken: If it is a damaged archive.
    """
    others: list[Part] = []
    if location.is_dir():
        folder = FolderFiles(location)
        parts: list[Part] = [("", folder)]
        zips = [name for name in folder.names() if name.lower().endswith(".zip")]
        chosen = [name for name in zips if _is_archive(layout, name)]
        parts += [_mounted(name, folder) for name in chosen]
        others = [_mounted(name, folder) for name in zips if name not in chosen]
        parts += mounted_tars(location, folder.names(), layout.archives)
    elif location.is_file() and is_tar(location.name):
        parts = [("", TarMembers(location))]
    elif location.is_file() and (zipfile.is_zipfile(location) or location.suffix.lower() == ".zip"):
        parts = [("", ZipFiles(location))]
    else:
        raise SourceNotFound(
            f"{location} is neither a folder nor a zip or tar.gz archive. Give the folder that holds "
            f"{some(layout.archives)}, packed or unpacked; see: medimeta info {dataset}"
        )
    missing = set(layout.needed) - _found(layout, parts)
    unread = []
    for where, part in [*others, *_nested([*parts, *others], missing)] if missing else []:
        try:
            holds = _found(layout, [(where, part)])
        except SourceBroken as error:
            unread.append(f"{part.location.name} ({error})")
            continue
        if holds & missing:
            parts.append((where, part))
        else:
            unread.append(part.location.name)
    return parts, unread


def find_roots(location: Path, dataset: str, layout: Layout, parts: list[Part], unread: list[str]) -> list[str]:
    """The folders that the source's paths are relative to: one, or several where its parts are scattered.

    The folder with the most markers is the root.

    Raises:
        SourceNotFound: If no folder holds a marker.
        SourceBroken: If several folders hold as many.
    """
    roots = layout.roots(parts)
    if not roots:
        seen = sorted({path.partition("/")[0] for path in paths(parts)})
        other = [
            layout.variant(parts),
            _unread(paths(parts)),
            f"It holds {some(seen, 8)}." if seen else "It is empty.",
            f"Zip archives in which nothing of it was found: {some(unread)}." if unread else "",
        ]
        raise SourceNotFound(
            f"{location} does not look like the source of {dataset}: found none of {some(layout.markers, 12)} in it. "
            + "".join(f"{text} " for text in other if text)
            + f"Give the folder that holds {some(layout.archives)}, packed or unpacked; where to get it: medimeta info "
            f"{dataset}"
        )
    ordered = sorted(roots, key=lambda root: (-len(roots[root]), root.count("/") if root else -1, root))
    most = [root for root in ordered if len(roots[root]) == len(roots[ordered[0]])]
    if layout.scattered:
        complete = len(most) == 1 and roots[most[0]] >= set(layout.needed)
        return most if complete else ordered
    below = [root for root in most if root == most[0] or not most[0] or root.startswith(f"{most[0]}/")]
    if below != most:
        places = [str(location / root) for root in most]
        raise SourceBroken(
            f"{some(places)} look equally like the source of {dataset}. Give the one that you mean, or move the others."
        )
    return most[:1]


def _unread(names: Iterable[str]) -> str:
    """What to do about downloads that are not complete, and archives that are not read; "" if there are none."""
    names = sorted(names)
    for pattern, what in _NOT_READ.items():
        if some_of_them := [name for name in names if re.search(pattern, name, re.IGNORECASE)]:
            return f"{some(some_of_them)}: {what}."
    return ""


def _found(layout: Layout, parts: Iterable[Part]) -> set[str]:
    """The markers that some folders and archives hold: in one folder, unless they may be scattered."""
    roots = list(layout.roots(parts).values())
    return set().union(*roots) if layout.scattered else max(roots, key=len, default=set())


def _nested(parts: Iterable[Part], missing: set[str]) -> Iterator[Part]:
    """The zip archives in zip archives, one level down."""
    for where, part in parts:
        if isinstance(part, ZipFiles):
            try:
                names = [name for name in part.names() if name.lower().endswith(".zip")]
            except SourceBroken:
                continue
            for name in names:
                parent = str(PurePosixPath(where, name).parent)
                yield ("" if parent == "." else parent), ZipFiles(part.archive, name)


def _mounted(name: str, folder: FolderFiles) -> Part:
    """An archive in a folder, read as if its members were next to it, or in the folder to which it was extracted."""
    archive, own = ZipFiles(folder.folder / name), name[: -len(".zip")]
    try:
        first = next(iter(archive.names()), "").partition("/")[0]
    except SourceBroken:
        first = ""
    extracted = first and any(f"{other}/".startswith(f"{own}/{first}/") for other in folder.names())
    return (own if extracted else name.rpartition("/")[0]), archive


def _is_archive(layout: Layout, name: str) -> bool:
    """Whether a file is one of the source's zip archives, or holds a folder that a downloader leaves.

    Such a folder may come zipped as a whole ("LITS Challenge.zip") or in parts, as a drive divides it
    ("LITS Challenge-20240131T101500Z-001.zip").
    """
    stems = "|".join(re.escape(archive.removesuffix(".zip")) for archive in layout.archives)
    pattern = rf"(.*/)?({stems})(-\d{{8}}T\d{{6}}Z[-\d]*)?\.zip"
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None
