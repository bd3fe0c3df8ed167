"""A dataset at one place as a `Source`: a manifest with a row per image, and the encoded images of its rows.

Raw archives, the published release and Hub folders all become a `Source`; everything after it is shared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from ..cards.catalogue import DATASETS
from ..cards.facts import DatasetCard
from ..errors import MedIMetaError, SourceBroken, SourceIncomplete, SourceNotFound, some, unknown
from ..files.unreadable import UNREADABLE_IMAGE
from .images import ORIGINAL_SIZE, SIDE, SIDES, encode, own_settings, problem
from .modules import find_reader
from .reader import Reader
from .reading.raw import Raw, Row
from .table.completeness import check_pins, published_paths
from .table.manifest import canonical, records
from .table.membership import apply_membership
from .table.splits import official_split

LABELS = ("released", "corrected")


@dataclass(frozen=True)
class Options:
    """How a dataset is built; the command line and `MedIMetaConfig` have the same names.

    Attributes:
        labels: "released" keeps the published labels with their errors; "corrected" corrects those in the card.
        partial: Build the available rows of an incomplete source instead of raising an error.
        splits_from: A release folder, zip or annotations.csv whose membership is applied by `original_filepath`.
        with_masks: Add the catalogue's mask columns and the annotations that go with them.
        checksums: A list of checksums (of `sha256sum`, `md5sum` and the like), with which every file of a raw source is
            compared.
        size: Height and width of the images in pixels, 28 to 1024, rendered from the raw source; None is 224, or the
            size that a Hub folder has.
    """

    labels: Literal["released", "corrected"] = "released"
    partial: bool = False
    splits_from: str | None = None
    with_masks: bool = False
    checksums: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise unknown("kind of labels", self.labels, LABELS, hint="Give labels= (--labels) one of them.")
        if self.size is not None and (type(self.size) is not int or self.size not in SIDES):
            raise MedIMetaError(
                f"size is {self.size!r}; it must be a whole number of pixels, {SIDES[0]} to {SIDES[-1]:,} "
                "(--size, size=).",
                code="invalid-size",
            )
        if self.splits_from is not None and not Path(self.splits_from).exists():
            raise SourceNotFound(
                f"splits_from: {self.splits_from} does not exist. Give a release folder, zip or annotations.csv."
            )
        if self.checksums is not None and not Path(self.checksums).is_file():
            raise SourceNotFound(f"checksums: {self.checksums} does not exist. Give a list that sha256sum wrote.")


@dataclass(frozen=True)
class Source(ABC):
    """One dataset at one place; cheap to pickle, so that workers can render its rows.

    Attributes:
        dataset: Id of the dataset.
        location: The folder or archive.
        options: How it is read.
        kind: "raw", "release" or "hub".
    """

    kind: ClassVar[Literal["raw", "release", "hub"]]
    dataset: str
    location: Path
    options: Options = field(default_factory=Options)

    def __getstate__(self) -> dict[str, Any]:
        # A worker has its own catalogue and modules.
        return {key: value for key, value in self.__dict__.items() if key not in ("card", "reader")}

    @cached_property
    def card(self) -> DatasetCard:
        """The dataset's facts."""
        return DATASETS[self.dataset]

    @cached_property
    def reader(self) -> Reader:
        """What the dataset's source module gives."""
        return find_reader(self.card)

    @property
    def masks(self) -> tuple[str, ...]:
        """The requested mask columns."""
        return self.card.masks if self.options.with_masks else ()

    @property
    def side(self) -> int:
        """Height and width of the images, in pixels."""
        return self.options.size or SIDE

    @property
    @abstractmethod
    def stamp(self) -> str:
        """Changes when the source does."""

    @abstractmethod
    def manifest(self) -> pd.DataFrame:
        """Return one row per image in release order, checked, with the columns of `manifest.canonical`."""

    def reading_order(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of the manifest in the order in which their images are read fastest."""
        return manifest

    @abstractmethod
    def encode(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Return per row what needs the pixels: encoded `image` and masks, and size annotations where known."""


@dataclass(frozen=True)
class RawSource(Source):
    """A dataset read from the archives of its source; `location` holds them, packed or unpacked."""

    kind = "raw"

    @cached_property
    def raw(self) -> Raw:
        """The source's files."""
        checksums = None if self.options.checksums is None else Path(self.options.checksums).absolute()
        return Raw(self.location, self.dataset, self.reader.layout(self.dataset, tuple(self.card.archives)), checksums)

    @property
    def stamp(self) -> str:
        """Changes when a file of the source does."""
        return self.raw.stamp

    def manifest(self) -> pd.DataFrame:
        """One row per image in release order.

        Raises:
            SourceIncomplete: If files are missing or too many and `partial` is not set, or if there are none at all.
            SourceBroken: If a table or a label is not what it should be.
        """
        self.raw.check_archives()
        rows = self._rows()
        absent = pd.Series([path not in self.raw for path in rows["path"]], dtype=bool)
        if not self.options.partial:
            self._check_complete(rows, list(rows.loc[absent, "path"]))
            check_pins(rows, self.card, self._get_again())
        rows = rows[~absent].reset_index(drop=True)
        if rows.empty:
            known = f" {self.raw.variant}" if self.raw.variant else ""
            raise SourceIncomplete(
                f"There are no images of {self.dataset} in {self.raw.root}.{known} {self._get_again()}"
            )
        self.raw.check_single(rows["path"])
        if self.options.labels == "corrected":
            rows = self.reader.corrected(rows)
        rows["split"] = official_split(rows, self.card.splits)
        if self.options.splits_from is not None:
            rows["split"] = apply_membership(rows, self.card, Path(self.options.splits_from))
        if not self.options.partial:
            self._check_splits(rows)
        return canonical(self.reader.ordered(rows), self.card)

    def _rows(self) -> pd.DataFrame:
        """The rows that the source module gives, each with the path of its file."""
        try:
            rows = self.reader.manifest(self.raw).reset_index(drop=True)
        except MedIMetaError:
            raise
        except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as error:
            what = f"has values that cannot be used ({type(error).__name__}: {error})"
            raise self.raw.broken(self.raw.last_read or "the source", what) from error
        if "path" not in rows:
            rows["path"] = rows["original_filepath"]
        wrong = {}
        if not self.reader.several:
            wrong["occur twice"] = rows["original_filepath"].duplicated()
        if (by := self.card.splits.by) is not None:
            wrong[f"have no {by}"] = rows[by].isna()
        for what, which in wrong.items():
            if which.any():
                paths = sorted(set(rows.loc[which, "original_filepath"]))
                raise SourceBroken(
                    f"{self.dataset}: {len(paths):,} row(s) {what}: {some(paths)}. Fix the table of {self.raw.root}."
                )
        return rows

    def _check_complete(self, rows: pd.DataFrame, absent: Sequence[str]) -> None:
        published = published_paths(self.dataset)
        found = set(rows["original_filepath" if published else "path"])
        expected = published or set(self.reader.expected()) or found
        missing = sorted({*absent, *(expected - found)})
        extra = sorted(found - expected)
        if not missing and not extra and len(rows) == self.card.total:
            return
        there = {path.partition("/")[0] for path in self.raw.files}
        part = self.reader.parts.get(self.dataset)
        gone = [name for name in ([part] if part else self.reader.markers) if name not in there]
        count = len(rows) - len(absent)
        lines = [f"{self.dataset} expects {self.card.total:,} images, found {count:,} in {self.raw.root}."]
        lines += [f"  missing: {some(gone)}"] if gone else []
        lines += [f"  missing files ({len(missing):,}): {some(missing)}"] if missing else []
        lines += [f"  files too many ({len(extra):,}): {some(extra)}"] if extra else []
        lines += [f"  {self.raw.variant}"] if self.raw.variant else []
        raise SourceIncomplete("\n".join([*lines, self._get_again()]))

    def _check_splits(self, rows: pd.DataFrame) -> None:
        rule = self.card.splits
        stated = [("original_split", "original", rule.original), ("split", "counts", rule.counts)]
        if rule.order == "listing" and self.options.splits_from is None:
            stated.pop()  # another membership of subjects with several images gives other counts
        for column, key, expected in stated:
            found = rows[column].value_counts().to_dict()
            if found != expected:
                raise SourceBroken(
                    f"{self.dataset}: the rows are divided into {_counts(found)}; splits.{key} in "
                    f"{DATASETS.path(self.dataset)} states {_counts(expected)}. Get {some(self.card.archives)} again, "
                    "or correct the card."
                )

    def _get_again(self) -> str:
        again = f"Unpack {some(self.card.archives)} again (where to get it: medimeta info {self.dataset})"
        if self.options.partial:
            return f"{again}."
        return f"{again}, or build the available rows with --partial (partial=True)."

    def encode(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """Render and encode some rows of the manifest.

        Raises:
            SourceBroken: Naming the first file that cannot be rendered.
        """
        return [self._encode(row) for row in records(rows)]

    def _encode(self, row: Row) -> dict[str, Any]:
        path = row["path"]
        try:
            with own_settings():
                image = self.reader.render(self.raw, row, self.side)
                masks = self.reader.masks(self.raw, row, self.options.labels, self.side) if self.masks else {}
        except MedIMetaError:
            raise
        except UNREADABLE_IMAGE as error:
            raise self.raw.broken(path, f"cannot be rendered ({type(error).__name__}: {error})") from error
        if (wrong := problem(image, self.card.mode, self.side)) is not None:
            raise self.raw.broken(path, wrong)
        self._check_size(path, image.info.get(ORIGINAL_SIZE))
        found: dict[str, Any] = {"image": encode(image)}
        found |= {name: None if mask is None else encode(mask) for name, mask in masks.items()}
        if (size := image.info.get(ORIGINAL_SIZE)) is not None:
            found |= {ORIGINAL_SIZE: size, "original_image_ratio": size[0] / size[1]}
        return found

    def _check_size(self, path: str, size: Sequence[int] | None) -> None:
        """Refuse a smaller copy: names and labels of a complete source do not tell it."""
        pins = self.card.complete
        if self.options.partial or size is None or pins is None or pins.longer_side is None:
            return
        low, high = pins.longer_side
        if not low <= max(size) <= high:
            raise self.raw.broken(
                path,
                f"{size[0]}x{size[1]} pixels; in the source the longer side has {low:,}"
                f"{f' to {high:,}' if high > low else ''}, so this is a copy with other pixels.",
            )


def _counts(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{split} {count:,}" for split, count in sorted(counts.items()))
