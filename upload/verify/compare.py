"""Compare a dataset, recomputed from its source, row by row with a published one: a Hub folder or a release."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd
from datasets import Image as ImageFeature

from ...builders.hub.folder import STORED, HubSource
from ...builders.rows import BATCH, features, to_table
from ...builders.source import Source
from ...builders.table.manifest import records
from ...cards.facts import DatasetCard
from ...errors import MedIMetaError, some, visible
from ...files.parallel import ordered_map
from .pixels import PixelDifferences, compare_pictures
from .tally import NONE, Tally, row_name

Pairs = Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]  # of rows, ours and theirs
KINDS = {"raw": "source", "release": "release", "hub": "Hub folder"}


@dataclass(frozen=True)
class SourceComparison:
    """Differences between a recomputed dataset ("here") and a published one ("there").

    Attributes:
        dataset: Id of the dataset.
        here: Kind and place of the recomputed one.
        there: Kind and place of the published one.
        rows: Number of rows in both.
        only_here: Rows that are not published.
        only_there: Rows that could not be recomputed.
        pixels: Differing pictures, by column.
        labels: Differing labels, by task.
        splits: Rows in another split.
        index: Rows with another index.
        annotations: Differing values of `subject_id`, `original_split` and annotations, by column.
        not_given: Columns that the release does not have; they are not compared.
    """

    dataset: str
    here: str
    there: str
    rows: int
    only_here: Tally
    only_there: Tally
    pixels: dict[str, PixelDifferences]
    labels: dict[str, Tally]
    splits: Tally
    index: Tally
    annotations: dict[str, Tally]
    not_given: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        pictures = [tally for pixels in self.pixels.values() for tally in (pixels.differing, pixels.unlike)]
        tallies = [self.only_here, self.only_there, self.splits, self.index, *pictures]
        return not any([*tallies, *self.labels.values(), *self.annotations.values()])

    def as_dict(self) -> dict[str, Any]:
        """Return all differences in JSON types."""
        return asdict(self) | {"equal": self.equal}

    def summary(self) -> str:
        """Describe all differences, one per line."""
        lines = [f"{self.dataset}: {self.here} against {self.there}", f"  {self.rows:,} rows in both"]
        facts = {"only here": self.only_here, "only there": self.only_there}
        facts |= {f"{column}, {pixels}": pixels.differing for column, pixels in self.pixels.items()}
        facts |= {f"{column}, not comparable": pixels.unlike for column, pixels in self.pixels.items()}
        facts |= {f"task {name!r}": tally for name, tally in self.labels.items()}
        facts |= {"split": self.splits, "index": self.index} | self.annotations
        for fact, tally in facts.items():
            if tally:
                lines += [f"  {fact}: {tally.rows:,} row(s)", *(f"    {example}" for example in tally.examples)]
        if self.not_given:
            lines.append(f"  not compared, as the release does not have it: {some(self.not_given, 20)}")
        return "\n".join(map(visible, [*lines, "Equal." if self.equal else "Not equal."]))


def compare(
    ours: Source,
    theirs: Source,
    *,
    executor: Executor | None = None,
    workers: int = 1,
    expect: Callable[[int], None] = lambda rows: None,
    advance: Callable[[int], None] = lambda rows: None,
) -> SourceComparison:
    """Compare a dataset row by row with a published one.

    Rows belong together when they have the same `original_filepath`; where a path gives several rows (an organ each,
    in `organs_*`), those with the same labels and index go first, then those with the same labels, the rest in order.

    Args:
        ours: The source to recompute the dataset from.
        theirs: The published dataset, as opened by `builders.locate.open_source`.
        executor: Executor that renders and compares images; None does it in this process. The result is the same.
        workers: Number of workers of the executor; bounds the tasks in flight.
        expect: Called with the number of rows as soon as it is known.
        advance: Called with the number of rows that were compared.

    Raises:
        MedIMetaError: If the sources are not of the same dataset.
        SourceIncomplete, SourceBroken: If one of the sources is incomplete or damaged.
    """
    card = ours.card
    if theirs.card.id != card.id:
        raise MedIMetaError(
            f"{theirs.location} is a source of {theirs.card.id}, not of {card.id}. Give one of the same dataset."
        )
    ours, theirs = (replace(s, checked=False) if isinstance(s, HubSource) else s for s in (ours, theirs))
    here, there = ours.manifest(), theirs.manifest()
    pairs = _pairs(here, there, card)
    expect(len(pairs))
    batches = [pairs[start : start + BATCH] for start in range(0, len(pairs), BATCH)]
    work = ((ours, theirs, here.iloc[[i for i, _ in b]], there.iloc[[j for _, j in b]]) for b in batches)
    total = _Compared()
    for batch, done in zip(batches, ordered_map(_compare, work, executor, window=4 * workers), strict=True):
        total += done
        advance(len(batch))
    columns = dict(total.columns)
    labels = {task.name: columns.pop(task.column, NONE) for task in card.tasks}
    splits, index = columns.pop("split", NONE), columns.pop("index", NONE)
    given = [values for values, source in ((total.here, ours), (total.there, theirs)) if source.kind == "release"]
    not_given = tuple(name for name, tally in columns.items() if tally and any(name not in names for names in given))
    return SourceComparison(
        dataset=card.id,
        here=f"{KINDS[ours.kind]} {ours.location}",
        there=f"{KINDS[theirs.kind]} {theirs.location}",
        rows=len(pairs),
        only_here=_left_over(here, [i for i, _ in pairs]),
        only_there=_left_over(there, [j for _, j in pairs]),
        pixels=total.pixels,
        labels=labels,
        splits=splits,
        index=index,
        annotations={name: tally for name, tally in columns.items() if name not in not_given},
        not_given=not_given,
    )


def _pairs(here: pd.DataFrame, there: pd.DataFrame, card: DatasetCard) -> list[tuple[int, int]]:
    """Return positions of rows that belong together, in the order in which the published rows are stored."""
    path, labels = "original_filepath", [task.column for task in card.tasks]
    place = list(zip(*(there[name] for name in (STORED if "shard" in there else ["index"])), strict=True))
    pairs: list[tuple[int, int]] = []
    for columns in ([path, *labels, "index"], [path, *labels], [path]):
        rest = [
            sorted(set(range(len(rows))) - {pair[side] for pair in pairs}) for side, rows in enumerate((here, there))
        ]
        found = _matched(_keys(here.iloc[rest[0]], columns), _keys(there.iloc[rest[1]], columns))
        pairs += [(rest[0][i], rest[1][j]) for i, j in found]
    return sorted(pairs, key=lambda pair: place[pair[1]])


def _keys(rows: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, ...]]:
    return list(zip(*(rows[column].map(str) for column in columns), strict=True))


def _matched(here: Sequence[Hashable], there: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return positions of equal keys, in order."""
    waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for position, key in enumerate(there):
        waiting[key].append(position)
    return [(position, waiting[key].popleft()) for position, key in enumerate(here) if waiting[key]]


def _left_over(rows: pd.DataFrame, matched: Sequence[int]) -> Tally:
    rest = rows.drop(index=rows.index[list(matched)])
    return Tally.of(map(row_name, records(rest[["original_filepath", "index"]])))


@dataclass(frozen=True)
class _Compared:
    """Differences in some rows, and the columns that have values; parts can be added."""

    columns: dict[str, Tally] = field(default_factory=dict)
    pixels: dict[str, PixelDifferences] = field(default_factory=dict)
    here: frozenset[str] = frozenset()
    there: frozenset[str] = frozenset()

    def __add__(self, other: _Compared) -> _Compared:
        return _Compared(
            columns={name: self.columns.get(name, NONE) + tally for name, tally in other.columns.items()},
            pixels={name: self.pixels.get(name, PixelDifferences()) + pixels for name, pixels in other.pixels.items()},
            here=self.here | other.here,
            there=self.there | other.there,
        )


def _compare(work: tuple[Source, Source, pd.DataFrame, pd.DataFrame]) -> _Compared:
    ours, theirs, *manifests = work
    here, there = _rows(ours, manifests[0]), _rows(theirs, manifests[1])
    card, shared = ours.card, features(theirs.card, theirs.options)
    kinds = {name: kind for name, kind in features(card, ours.options).items() if name in shared}
    pictures = [name for name, kind in kinds.items() if isinstance(kind, ImageFeature)]
    names = {task.column: task.labels for task in card.tasks}
    pairs: Pairs = list(zip(here, there, strict=True))
    return _Compared(
        columns={
            column: Tally.of(_differing(pairs, column, names.get(column)))
            for column in ["split", *kinds]
            if column not in (*pictures, "original_filepath")
        },
        pixels={name: sum((_pixels(a, b, name) for a, b in pairs), PixelDifferences()) for name in pictures},
        here=frozenset(name for row in here for name, value in row.items() if value is not None),
        there=frozenset(name for row in there for name, value in row.items() if value is not None),
    )


def _rows(source: Source, manifest: pd.DataFrame) -> list[dict[str, Any]]:
    """Return complete rows, as published, in the order of the manifest."""
    rows = manifest.reset_index(drop=True)
    if "shard" in rows:  # a Hub folder is read in the order in which it is stored
        rows = rows.sort_values(list(STORED))
    found = dict(zip(rows.index, to_table(source, rows).to_pylist(), strict=True))
    return [found[position] | {"split": split} for position, split in enumerate(manifest["split"])]


def _differing(pairs: Pairs, column: str, labels: Sequence[str] | None) -> Iterator[str]:
    for ours, theirs in pairs:
        if ours[column] != theirs[column]:
            yield f"{row_name(ours)}: {_shown(ours[column], labels)} here, {_shown(theirs[column], labels)} there"


def _pixels(ours: Mapping[str, Any], theirs: Mapping[str, Any], column: str) -> PixelDifferences:
    here, there = (None if row[column] is None else row[column]["bytes"] for row in (ours, theirs))
    return compare_pictures(row_name(ours), here, there)


def _shown(value: Any, labels: Sequence[str] | None) -> str:
    """Return a value for messages: labels by name, if they have one."""
    if labels is None or value is None:
        return repr(value)
    shown = [
        repr(labels[i]) if 0 <= i < len(labels) else str(i) for i in (value if isinstance(value, list) else [value])
    ]
    return f"[{', '.join(shown)}]" if isinstance(value, list) else shown[0]
