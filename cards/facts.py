"""The facts of a dataset, as frozen dataclasses: what a `cards/<id>.yaml` may say, and what it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import unknown

Kind = Literal["binary", "multiclass", "multilabel", "ordinal"]
SPLITS = ("train", "validation", "test")
_STRICT = {"extra": "forbid", "strict": False}  # pydantic: an unknown key is an error, not a silent drop


@dataclass(frozen=True)
class Task:
    """One task of one dataset: a column of labels.

    Attributes:
        dataset: Id of the dataset.
        name: Name as published; case matters in the release.
        kind: Kind of task.
        labels: Label names in the order of their ids.
        scores: Ordinal tasks: the published key of each label, ascending, which may have gaps. None otherwise.
        is_main: Whether this is the dataset's main task (the first listed).
    """

    __pydantic_config__ = _STRICT
    name: str
    kind: Kind
    labels: tuple[str, ...]
    scores: tuple[int, ...] | None = None
    dataset: str = ""
    is_main: bool = False

    @property
    def column(self) -> str:
        """Name of the column: the published task name in snake case."""
        return snake_case(self.name)

    @property
    def keys(self) -> tuple[int, ...]:
        """The published integer key of each label: the scores of an ordinal task, else 0, 1, 2, ..."""
        return self.scores if self.scores is not None else tuple(range(len(self.labels)))


@dataclass(frozen=True)
class SplitRule:
    """How the official splits come about; `builders.splits` carries it out.

    Attributes:
        counts: Rows per split as published; a split without rows is absent.
        original: Rows per split of the source itself, under the source's names (train, val, test).
        rule: "source" takes the source's splits as they are, "random" divides all rows at random, "holdout" makes
            the source's other part the test split and divides its train part at random.
        by: Column whose equal values stay together in one split (random and holdout).
        train: Share of the distinct keys that go to train.
        validation: Share that goes to validation ("holdout": the rest does).
        order: "listing" where the published order was an unsorted directory listing, so that the published
            membership cannot be computed, only taken from the release; else "source".
        note: What a reader should know about the split, one or two sentences.
    """

    __pydantic_config__ = _STRICT
    counts: dict[str, int]
    original: dict[str, int]
    rule: Literal["source", "random", "holdout"]
    note: str
    by: Literal["original_filepath", "subject_id"] | None = None
    train: float | None = None
    validation: float | None = None
    order: Literal["source", "listing"] = "source"


@dataclass(frozen=True)
class SubjectOverlap:
    """Another dataset that shows some of the same subjects.

    Attributes:
        dataset: Id of the other dataset.
        published: Whether the release names this overlap; False marks a finding of this project.
        note: What is shared, with numbers where they are known.
    """

    __pydantic_config__ = _STRICT
    dataset: str
    published: bool
    note: str


@dataclass(frozen=True)
class Licence:
    """The terms of a dataset.

    Attributes:
        id: The terms this project states: never looser than any source's. An SPDX id or "LicenseRef-<name>".
        released: SPDX id under which the published release was given out.
        commercial: Whether commercial use is allowed.
        redistribution: Whether the images may be passed on.
        conflict: How the published licence and the source's differ; None when they agree.
    """

    __pydantic_config__ = _STRICT
    id: str
    released: str
    commercial: bool
    redistribution: bool
    conflict: str | None = None


@dataclass(frozen=True)
class SourceRef:
    """Where a dataset comes from and how to cite it.

    Attributes:
        name: Short name of the source dataset.
        title: Its full title.
        url: Page to get the archives from.
        archives: File names of the archives as downloaded, or the folder that a downloader leaves.
        licence: SPDX id or "LicenseRef-<name>" of the source.
        licence_text: The terms in the source's own short form.
        commercial: Whether the source allows commercial use.
        redistribution: Whether the source allows passing the images on.
        authors: Authors of the data.
        doi: DOIs of data and papers.
        bibtex: The entries to cite.
        links: Further pages (code, mirrors, second download).
    """

    __pydantic_config__ = _STRICT
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
        column: Name in our rows.
        type: Its type; "boxes" is a list of {label, x, y, width, height} in pixels of the original image.
        description: Meaning, unit and range.
        published: Name in the release's annotations.csv, where it differs from `column`.
        only_with: Option that adds the column ("masks"); None when it is always there.
    """

    __pydantic_config__ = _STRICT
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
    """One change that `labels="corrected"` makes.

    Attributes:
        task: Name of the task, or None when it concerns masks.
        change: What differs from the released labels.
        reason: Why the released ones are wrong.
        rows: Number of rows it touches in the complete dataset; None where only the images can tell.
    """

    __pydantic_config__ = _STRICT
    task: str | None
    change: str
    reason: str
    rows: int | None


@dataclass(frozen=True)
class DatasetCard:
    """All facts of one dataset.

    Attributes:
        id: The config name.
        name: Name as published.
        domain: One of the ten imaging domains.
        summary: What it is, one or two sentences.
        channels: 1 (greyscale) or 3 (RGB).
        builder: Module in `builders/` that reads the source.
        processing: From the source's image to 224x224, in words.
        subject: What `subject_id` identifies ("patient", "lesion", "case", "volume"); None where the source has none.
        tasks: The tasks, the main one first.
        splits: Official and original splits.
        domain_overlaps: Datasets of the same domain, as published.
        subject_overlaps: Datasets with common subjects, published or found since.
        licence: The terms.
        sources: The source datasets.
        annotations: Further columns.
        masks: Mask columns that `with_masks` adds.
        corrections: What `labels="corrected"` changes.
        known_issues: Label errors and quirks that stay in the released labels.
    """

    __pydantic_config__ = _STRICT
    id: str
    name: str
    domain: str
    summary: str
    channels: Literal[1, 3]
    builder: str
    processing: str
    subject: Literal["patient", "lesion", "case", "volume"] | None
    tasks: tuple[Task, ...]
    splits: SplitRule
    licence: Licence
    sources: tuple[SourceRef, ...]
    annotations: tuple[Annotation, ...]
    domain_overlaps: tuple[str, ...] = ()
    subject_overlaps: tuple[SubjectOverlap, ...] = ()
    masks: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    known_issues: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Number of images."""
        return sum(self.splits.counts.values())

    @property
    def mode(self) -> Literal["L", "RGB"]:
        """Pillow mode of the images."""
        return "L" if self.channels == 1 else "RGB"

    @property
    def archives(self) -> tuple[str, ...]:
        """File names of all archives of all sources, in order."""
        return tuple(archive for source in self.sources for archive in source.archives)

    def task(self, name: str) -> Task:
        """Find a task by published name or column name, in any case.

        Raises:
            UnknownName: If there is none; the message suggests close ones.
        """
        wanted = name.strip().lower()
        for task in self.tasks:
            if wanted in (task.name.lower(), task.column):
                return task
        raise unknown(f"task of {self.id}", name, (t.name for t in self.tasks), hint=f"See: medimeta info {self.id}")


def snake_case(name: str) -> str:
    """Lower case, every run of other characters than letters and digits as one underscore."""
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")


def split_name(name: str) -> str:
    """The name of a split as used here: "val" is "validation".

    Raises:
        UnknownName: If it is no split.
    """
    full = {"val": "validation"}.get(name, name)
    if full not in SPLITS:
        raise unknown("split", name, SPLITS, hint='Give one of them, or "val".')
    return full
