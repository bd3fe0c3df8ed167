"""Compute what a push changes: compare the files of a release with those on the Hub.

A push owns the files that it writes, by their names: the card (`README.md`, `LICENSE.md`, `croissant.json`,
`eval.yaml`), the pictures `assets/<id>-montage.png` and `assets/<id>-balance.png`, and, for each dataset of the
catalogue, the shards in `<id>` and in its question configs, and `build.json` and `card.json` in `records/<id>` (in
`<id>` before version 0.3). It deletes only its own files, and only of datasets that it replaces or that the user asks
to remove. Others stay.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...builders.shard_files import SHARD
from ...cards.benchmark import BENCHMARK
from ...cards.card import LICENCES
from ...cards.catalogue import DATASETS
from ...cards.facts import SPLITS
from ...cards.question_names import question_config
from ...errors import some
from ...files.remote.repository import State, Stored
from ..folder.card_files import ASSETS, CARD, CROISSANT
from ..folder.record import RECORD, RECORDS

CARD_RECORD = "card.json"
CARD_FILES = (CARD, LICENCES, CROISSANT, BENCHMARK)
_PICTURE = re.compile(rf"{ASSETS}/(?P<id>\w+)-(montage|balance)\.png")
_DATA = re.compile(rf"(?:{RECORDS}/)?(?P<id>\w+)/(?:{re.escape(RECORD)}|{re.escape(CARD_RECORD)}|{SHARD.pattern})")
_ROWS = re.compile(rf"(?P<id>\w+)/({'|'.join(SPLITS)})-[^/]*\.parquet")  # what the card's `data_files` take in


@dataclass(frozen=True)
class LocalFile:
    """A file of a release.

    Attributes:
        source: Path on this machine.
        size: Size in bytes.
        sha256: SHA-256 of the content.
    """

    source: Path
    size: int
    sha256: str

    @classmethod
    def read(cls, source: Path) -> LocalFile:
        """Return size and hash of a file."""
        with source.open("rb") as file:
            return cls(source, source.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())

    def is_stored(self, stored: Stored | None) -> bool:
        """Whether the file on the Hub has the same content."""
        if stored is None or stored.size != self.size:
            return False
        return stored.sha256 == self.sha256 if stored.sha256 else stored.holds(self.source.read_bytes())


def owner(path: str) -> str | None:
    """Return the dataset that owns a file on the Hub, "" for the card, or None for files of others."""
    if path in CARD_FILES:
        return ""
    folder, _, name = path.partition("/")
    if (config := question_config(folder)) is not None and SHARD.fullmatch(name):
        return config.dataset
    match = _DATA.fullmatch(path) or _PICTURE.fullmatch(path)
    return match["id"] if match and match["id"] in DATASETS else None


def strangers(path: str) -> str | None:
    """Return the dataset that a file of others would be read as part of, or None."""
    match = _ROWS.fullmatch(path)
    return match["id"] if match and owner(path) is None and match["id"] in DATASETS else None


@dataclass(frozen=True)
class Plan:
    """Changes of one commit, as computed by `compare`.

    Attributes:
        files: All files of the release by their paths on the Hub.
        state: State of the repository.
        datasets: Ids of the datasets that are replaced or removed; others stay.
        added: Paths that the Hub does not have.
        changed: Paths whose content on the Hub differs.
        deleted: Paths on the Hub that are no longer part of a dataset of the release.
    """

    files: Mapping[str, LocalFile]
    state: State
    datasets: frozenset[str]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    deleted: tuple[str, ...]

    @property
    def new(self) -> tuple[tuple[str, str], ...]:
        """Path and sha256 of the files that the commit adds or changes."""
        return tuple((path, self.files[path].sha256) for path in (*self.added, *self.changed))

    @property
    def digest(self) -> str:
        """Hash of the release, computed from the names and contents of its files."""
        listed = "".join(f"{path} {self.files[path].sha256}\n" for path in sorted(self.files))
        return hashlib.sha256(listed.encode()).hexdigest()

    @property
    def unchanged(self) -> tuple[str, ...]:
        """Paths that do not change."""
        return tuple(sorted(set(self.files) - {*self.added, *self.changed}))

    @property
    def kept(self) -> tuple[str, ...]:
        """Datasets on the Hub that are not part of this release."""
        return kept(self.state.files, self.datasets)

    @property
    def empty(self) -> bool:
        """Whether the Hub already holds the release."""
        return not (self.added or self.changed or self.deleted)

    @property
    def bytes(self) -> int:
        """Upper bound of the bytes to upload; Xet uploads only the chunks that are new."""
        return sum(self.files[path].size for path, _ in self.new)

    def summary(self) -> str:
        """Describe the changes, one per line."""
        lines = [f"+ {path} ({self.files[path].size:,} bytes)" for path in self.added]
        lines += [f"~ {path} ({self.files[path].size:,} bytes)" for path in self.changed]
        lines += [f"- {path}" for path in self.deleted]
        counts = {"added": self.added, "changed": self.changed, "deleted": self.deleted, "unchanged": self.unchanged}
        lines.append(", ".join(f"{len(paths)} {word}" for word, paths in counts.items()))
        if self.kept:
            lines.append(f"Other datasets on the Hub, unchanged: {some(self.kept, len(DATASETS))}")
        lines.append("Nothing to do." if self.empty else f"One commit, at most {self.bytes:,} bytes to send.")
        return "\n".join(lines)


def compare(files: Mapping[str, LocalFile], state: State, datasets: frozenset[str]) -> Plan:
    """Compare a release with the repository; arguments as for `Plan`."""
    there = state.files
    return Plan(
        files,
        state,
        datasets,
        added=tuple(sorted(path for path in files if path not in there)),
        changed=tuple(sorted(p for p, file in files.items() if p in there and not file.is_stored(there[p]))),
        deleted=tuple(sorted(path for path in there if path not in files and owner(path) in datasets)),
    )


def kept(paths: Iterable[str], datasets: Collection[str]) -> tuple[str, ...]:
    """Return the datasets with files among some paths on the Hub, except those of a release."""
    found = {match["id"] for match in map(_DATA.fullmatch, paths) if match}
    return tuple(sorted((found & set(DATASETS)) - set(datasets)))
