"""What a source module gives: how one source's archives become a manifest and rendered images."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from PIL import Image

from .reading.layout import Layout
from .reading.raw import Raw, Row


def _unchanged(rows: pd.DataFrame) -> pd.DataFrame:
    return rows


def _no_masks(raw: Raw, row: Row, labels: str, side: int) -> dict[str, Image.Image | None]:
    return {}


def patients(texts: pd.DataFrame) -> list[str | None]:
    """Subjects of a release: its column `patient_id`; None where it has none.

    Numbers lose the ".0" that pandas writes in a column with gaps.
    """
    if "patient_id" not in texts:
        return [None] * len(texts)
    ids = texts["patient_id"].str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    return [patient or None for patient in ids]


@dataclass(frozen=True)
class Released:
    """Where the published release of a dataset differs from those of the others.

    Attributes:
        masks: Per mask column, the release's folder of masks and the column of annotations.csv that is empty where
            there is no mask.
        subjects: The `subject_id` of every row, from annotations.csv (all text).
        columns: Per annotation column, how its text is read, where its type does not say it. Raises ValueError.
    """

    masks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    subjects: Callable[[pd.DataFrame], list[str | None]] = patients
    columns: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reader:
    """One source: every source module ends in `READER = Reader(...)`.

    Attributes:
        markers: Names of entries directly in the source's root, by which the root is found, packed or not.
        manifest: One row per image, in the published order: `original_filepath`, `original_split`, a column per task
            under its published name (label names or published keys; multilabel: lists of them, None for unknown), and,
            where known, `subject_id`, annotations, and `path` where the file to read has another name.
        render: The image of a row, a square; the last argument is its side in pixels, 224 as published.
        masks: The masks of a row by column, None where there is none; the last arguments are "released" or
            "corrected", and the side.
        corrected: The manifest with the corrections that the card lists, for `labels="corrected"`.
        expected: Paths of all images in the complete archive, where names alone tell them.
        ordered: The manifest in the published order, where that follows the division into splits.
        parts: Per dataset, the marker that holds its images, where a source serves several datasets.
        folders: Names of folders below the markers, whose case does not matter.
        several: Whether several rows come from one file, such as slices of a volume.
        tars: Pattern of the names of the source's tar.gz archives, such as "images_*.tar.gz"; "" if it has none.
        scattered: Whether the markers may be in several folders, for example because each is its own archive.
        renames: Regular expressions of paths as some copies have them, and what they are in the source.
        variants: Regular expressions of paths that only another version of the source has, and what to say about it.
        released: What is special about the published release.
    """

    markers: tuple[str, ...]
    manifest: Callable[[Raw], pd.DataFrame]
    render: Callable[[Raw, Row, int], Image.Image]
    masks: Callable[[Raw, Row, str, int], Mapping[str, Image.Image | None]] = _no_masks
    corrected: Callable[[pd.DataFrame], pd.DataFrame] = _unchanged
    expected: Callable[[], Collection[str]] = tuple
    ordered: Callable[[pd.DataFrame], pd.DataFrame] = _unchanged
    parts: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    several: bool = False
    tars: str = ""
    scattered: bool = False
    renames: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=dict)
    released: Released = Released()

    def layout(self, dataset: str, archives: tuple[str, ...]) -> Layout:
        """How the files of a dataset are laid out.

        Args:
            dataset: Its id.
            archives: The source's names of its archives.
        """
        return Layout(
            markers=self.markers,
            needed=(self.parts[dataset],) if dataset in self.parts else self.markers,
            archives=archives,
            folders=self.folders,
            tars=self.tars,
            scattered=self.scattered,
            renames=tuple(self.renames.items()),
            variants=tuple(self.variants.items()),
        )
