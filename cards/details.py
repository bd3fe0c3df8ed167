"""The sections of a card, as frozen dataclasses: releases, splits, terms, sources, further columns, corrections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STRICT = {"extra": "forbid", "strict": False}  # pydantic: an unknown key is an error, not ignored


@dataclass(frozen=True)
class SplitRule:
    """How the official splits are made; `builders.table.splits` implements it.

    Attributes:
        counts: Published number of rows per split; splits without rows are absent.
        original: Number of rows per split of the source, under the source's names (train, val, test).
        rule: "source" keeps the source's splits; "random" divides all rows at random; "holdout" uses the source's
            held-out part as test and divides its train part at random.
        by: Column whose equal values stay in one split (random and holdout).
        train: Share of the distinct keys that go to train.
        validation: Share of the distinct keys that go to validation (with "holdout", all that remain).
        order: "listing" if the published order was an unsorted directory listing, so that the published membership
            cannot be recomputed and has to be read from the release; otherwise "source".
        note: What a reader should know about the splits, in one or two sentences.
    """

    __pydantic_config__ = STRICT
    counts: dict[str, int]
    original: dict[str, int]
    rule: Literal["source", "random", "holdout"]
    note: str
    by: Literal["original_filepath", "subject_id"] | None = None
    train: float | None = None
    validation: float | None = None
    order: Literal["source", "listing"] = "source"


@dataclass(frozen=True)
class Originals:
    """The images of the source, and what other sizes than 224x224 make of them.

    Attributes:
        other_sizes: How images of another size are made, where that differs from `DatasetCard.processing`.
        median: Median width and height in the source, in pixels; None if not known.
        useful: Largest side that enlarges no more than 5 % of the images; None if not known.
    """

    __pydantic_config__ = STRICT
    other_sizes: str
    median: tuple[int, int] | None = None
    useful: int | None = None


@dataclass(frozen=True)
class Pins:
    """Hashes of a complete source, to detect files that were renamed or exchanged and labels that were edited.

    Attributes:
        paths: sha256 of the sorted original file paths, see `builders.table.completeness`; None if not known.
        labels: sha256 of splits and labels in published order; None if not known.
        subjects: sha256 of files and subjects in published order, as the source's tables give them; None if not known.
        longer_side: Least and most pixels of the longer side of an image; None if not known. Smaller copies of a source
            have its names, but not its pixels.
    """

    __pydantic_config__ = STRICT
    paths: str | None = None
    labels: str | None = None
    subjects: str | None = None
    longer_side: tuple[int, int] | None = None


@dataclass(frozen=True)
class SubjectOverlap:
    """Another dataset with images of the same subjects.

    Attributes:
        dataset: Id of the other dataset.
        published: Whether the release lists the overlap; False if this project found it.
        note: What is shared, with numbers where known.
    """

    __pydantic_config__ = STRICT
    dataset: str
    published: bool
    note: str


@dataclass(frozen=True)
class Licence:
    """The terms of a dataset.

    Attributes:
        id: The terms stated by this project, never looser than those of any source: an SPDX id or
            "LicenseRef-<name>".
        released: SPDX id of the published release.
        commercial: Whether commercial use is allowed.
        redistribution: Whether the images may be redistributed.
        conflict: How the terms of the release and of the source differ; None if they agree.
    """

    __pydantic_config__ = STRICT
    id: str
    released: str
    commercial: bool
    redistribution: bool
    conflict: str | None = None


@dataclass(frozen=True)
class SourceRef:
    """A source dataset: where to get it and how to cite it.

    Attributes:
        name: Short name.
        title: Full title.
        url: Page with the archives.
        archives: File names of the archives, or the folder that a downloader creates.
        licence: SPDX id or "LicenseRef-<name>".
        licence_text: The terms in the source's own short form.
        commercial: Whether commercial use is allowed.
        redistribution: Whether the images may be redistributed.
        authors: Authors of the data.
        doi: DOIs of data and papers.
        bibtex: Entries to cite.
        links: Further pages (code, mirrors, second download).
    """

    __pydantic_config__ = STRICT
    name: str
    title: str
    url: str
    archives: tuple[str, ...]
    licence: str
    licence_text: str
    commercial: bool
    redistribution: bool
    authors: str
    doi: tuple[str, ...]
    bibtex: tuple[str, ...]
    links: tuple[str, ...] = ()


AnnotationType = Literal["string", "int32", "int64", "float64", "list<int32>", "list<float64>", "boxes"]


@dataclass(frozen=True)
class Annotation:
    """A further column of a dataset.

    Attributes:
        column: Column name.
        type: Column type; "boxes" is a list of {label, x, y, width, height} in pixels of the original image.
        description: Meaning, unit and range.
        published: Name in the release's annotations.csv, if it differs from `column`.
        only_with: Option that adds the column ("masks"); None if it is always present.
    """

    __pydantic_config__ = STRICT
    column: str
    type: AnnotationType
    description: str
    published: str | None = None
    only_with: Literal["masks"] | None = None

    @property
    def release_column(self) -> str:
        """Name of the column in the release's annotations.csv."""
        return self.published or self.column


@dataclass(frozen=True)
class Correction:
    """One change made by `labels="corrected"`.

    Attributes:
        task: Name of the task; None for a correction of masks.
        change: How the corrected labels differ from the released ones.
        reason: Why the released labels are wrong.
        rows: Number of rows changed in the complete dataset; None if only the images can tell.
        source: What says which label is right; needed for labels of a task.
    """

    __pydantic_config__ = STRICT
    task: str | None
    change: str
    reason: str
    rows: int | None
    source: str | None = None
