"""Compare two releases of a Hub folder: datasets, rows, labels, splits and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...builders.hub.folder import HubSource
from ...builders.shard_files import shards
from ...builders.source import Options
from ...errors import some
from ..folder.card_files import NotAHubFolder
from ..folder.record import BuildRecord, dataset_folders, read_record, record_path
from .compare import SourceComparison, compare
from .pixels import PixelDifferences
from .tally import Tally


@dataclass(frozen=True)
class ReleaseChanges:
    """What changed from one release to another.

    Attributes:
        added: Datasets that only the new one has.
        removed: Datasets that only the old one has.
        unchanged: Datasets whose rows are the same.
        changed: Differences of the others; "here" is the new release, "there" the old one.
        versions: Old and new version of each dataset in both.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    changed: tuple[SourceComparison, ...]
    versions: dict[str, tuple[str, str]]

    @property
    def equal(self) -> bool:
        """Whether nothing changed."""
        return not (self.added or self.removed or self.changed)

    def as_dict(self) -> dict[str, Any]:
        """Return all changes in JSON types."""
        return asdict(self) | {"equal": self.equal}

    def summary(self) -> str:
        """Describe the changes in the form of a changelog, in Markdown."""
        lines = [f"* `{name}`: new dataset." for name in self.added]
        lines += [f"* `{name}`: removed." for name in self.removed]
        for found in self.changed:
            old, new = self.versions[found.dataset]
            lines.append(f"* `{found.dataset}`{f' {old} -> {new}' if old != new else ''}:")
            for what, tally in _facts(found):
                lines += [f"  * {tally.rows:,} {what}", *(f"    * {example}" for example in tally.examples)]
        if self.unchanged:
            lines.append(f"* Unchanged: {some(self.unchanged, 100)}.")
        return "\n".join(lines or ["Nothing changed."])


def compare_releases(
    old: Path,
    new: Path,
    only: Sequence[str] | None = None,
    *,
    executor: Executor | None = None,
    workers: int = 1,
) -> ReleaseChanges:
    """Compare two Hub folders, row by row where their files differ.

    Args:
        old: The earlier release.
        new: The later one.
        only: Ids of the datasets to compare; None for all.
        executor: Executor that compares images; None does it in this process.
        workers: Number of its workers.

    Raises:
        NotAHubFolder: If one of them holds no dataset, or none of those asked for.
        SourceBroken: If rows cannot be read.
    """
    before, after = _records(old, only), _records(new, only)
    unchanged, changed = [], []
    both = sorted(set(before) & set(after))
    for name in both:
        if _same_files(old / name, new / name):
            unchanged.append(name)
            continue
        masks = before[name].masks and after[name].masks
        theirs, ours = (HubSource(name, folder, Options(with_masks=masks)) for folder in (old, new))
        found = compare(ours, theirs, executor=executor, workers=workers)
        if any(tally for _, tally in _facts(found)):
            changed.append(found)
        else:
            unchanged.append(name)
    return ReleaseChanges(
        added=tuple(sorted(set(after) - set(before))),
        removed=tuple(sorted(set(before) - set(after))),
        unchanged=tuple(unchanged),
        changed=tuple(changed),
        versions={name: (before[name].version, after[name].version) for name in both},
    )


def _records(folder: Path, only: Sequence[str] | None) -> dict[str, BuildRecord]:
    records = {name: read_record(record_path(folder, name)) for name in dataset_folders(folder)}
    records = {name: record for name, record in records.items() if only is None or name in only}
    if not records:
        raise NotAHubFolder(f"{folder} holds no dataset{'' if only is None else f' {some(only)}'} that was built.")
    return records


def _same_files(old: Path, new: Path) -> bool:
    """Whether two folders have the same shards, byte for byte."""
    pairs = [[path for paths in shards(folder).values() for path in paths] for folder in (old, new)]
    if [(p.name, p.stat().st_size) for p in pairs[0]] != [(p.name, p.stat().st_size) for p in pairs[1]]:
        return False
    return all(_same(*pair) for pair in zip(*pairs, strict=True))


def _same(first: Path, second: Path) -> bool:
    size = 1 << 20
    with first.open("rb") as one, second.open("rb") as other:
        while (piece := one.read(size)) == other.read(size):
            if not piece:
                return True
    return False


def _facts(found: SourceComparison) -> list[tuple[str, Tally]]:
    """Return what changed and the rows where it did. A new number (`index`) alone is not a change of a row."""
    pixels: dict[str, PixelDifferences] = found.pixels
    facts = [("row(s) added", found.only_here), ("row(s) removed", found.only_there)]
    facts += [(f"label(s) of {name} changed", tally) for name, tally in found.labels.items()]
    facts += [("row(s) in another split", found.splits)]
    facts += [(f"{name}(s) with other pixels", each.differing) for name, each in pixels.items()]
    facts += [(f"{name}(s) of another form", each.unlike) for name, each in pixels.items()]
    facts += [(f"value(s) of {name} changed", tally) for name, tally in found.annotations.items()]
    return [(what, tally) for what, tally in facts if tally]
