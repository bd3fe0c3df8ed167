"""What a `cards/<id>.yaml` may contain: `Task` and `DatasetCard`, as frozen dataclasses."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import Literal

from ..errors import unknown
from .details import STRICT, Annotation, Correction, Licence, Originals, Pins, SourceRef, SplitRule, SubjectOverlap
from .display import html_table

Kind = Literal["binary", "multiclass", "multilabel", "ordinal"]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, repr=False)
class Task:
    """One task of a dataset: a column of labels.

    Attributes:
        dataset: Id of the dataset.
        name: Published name; case matters in the release.
        kind: "binary", "multiclass", "multilabel" or "ordinal".
        labels: Label names in the order of their ids.
        scores: Published key of each label of an ordinal task, ascending, possibly with gaps; None for other kinds.
        is_main: Whether this is the dataset's main task (the first one listed).
    """

    __pydantic_config__ = STRICT
    name: str
    kind: Kind
    labels: tuple[str, ...]
    scores: tuple[int, ...] | None = None
    dataset: str = ""
    is_main: bool = False

    @property
    def column(self) -> str:
        """Column name: the published task name in snake case."""
        return snake_case(self.name)

    @property
    def keys(self) -> tuple[int, ...]:
        """Published integer key of each label: the scores of an ordinal task, otherwise 0, 1, 2, ..."""
        return self.scores if self.scores is not None else tuple(range(len(self.labels)))

    @property
    def target(self) -> Kind:
        """Deprecated: use `kind`."""
        warnings.warn("Task.target is deprecated, use Task.kind.", DeprecationWarning, stacklevel=2)
        return self.kind

    def __repr__(self) -> str:
        return f"<Task {self.dataset}/{self.name}: {self.kind}, {len(self.labels)} labels>"

    def _repr_html_(self) -> str:
        rows = [(str(key), label) for key, label in zip(self.keys, self.labels, strict=True)]
        return html_table(f"{self.dataset}/{self.name} ({self.kind}), column {self.column}", ("key", "label"), rows)


@dataclass(frozen=True, repr=False)
class DatasetCard:
    """All facts about one dataset.

    Attributes:
        id: Config name.
        version: Version of the dataset in this project (semantic); it changes whenever rows change.
        releases: For each version, newest first, what changed for a user.
        name: Published name.
        domain: One of the ten imaging domains.
        summary: What the dataset contains, in one or two sentences.
        channels: 1 (grayscale) or 3 (RGB).
        builder: Module in `builders/sources/` that reads the source.
        processing: How a source image becomes 224x224 pixels, in words.
        originals: The sizes of the source's images, and how other sizes than 224x224 are made.
        subject: What `subject_id` identifies ("patient", "lesion", "case", "volume"); None if the source has none.
        tasks: The tasks, main task first.
        splits: Official and original splits.
        licence: The terms.
        sources: The source datasets.
        annotations: Further columns.
        subject_overlaps: Datasets that share subjects with this one.
        masks: Mask columns added by `with_masks`.
        corrections: Changes made by `labels="corrected"`.
        known_issues: Label errors and quirks that remain in the released labels.
        groups: Columns that divide images into groups of patients or images, for `medimeta evaluate --by`.
        complete: Hashes of the complete source; None if it has not been seen.
        domain_overlaps: Other datasets of the same domain; set by the catalogue.
    """

    __pydantic_config__ = STRICT
    id: str
    version: str
    releases: dict[str, str]
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
    originals: Originals | None = None
    annotations: tuple[Annotation, ...] = ()
    subject_overlaps: tuple[SubjectOverlap, ...] = ()
    masks: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    known_issues: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    complete: Pins | None = None
    domain_overlaps: tuple[str, ...] = field(default=(), compare=False)

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
            UnknownName: If the task does not exist; the message suggests similar names.
        """
        wanted = str(name).strip().lower()
        for task in self.tasks:
            if wanted in (task.name.lower(), task.column):
                return task
        raise unknown(f"task of {self.id}", name, (t.name for t in self.tasks), hint=f"See: medimeta info {self.id}")

    def __repr__(self) -> str:
        names = ", ".join(task.name for task in self.tasks[:3])
        more = f" and {len(self.tasks) - 3} more" if len(self.tasks) > 3 else ""
        return f"<DatasetCard {self.id}: {self.name}, {self.total:,} images, {self.licence.id}; tasks: {names}{more}>"

    def _repr_html_(self) -> str:
        rows = [(task.name, task.kind, ", ".join(task.labels)) for task in self.tasks]
        caption = f"{self.id}: {self.name}, {self.total:,} images, {self.licence.id}"
        return html_table(caption, ("task", "kind", "labels"), rows)


def snake_case(name: str) -> str:
    """Convert to lower case, with one underscore for each run of characters other than letters and digits."""
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")


def split_name(name: str) -> str:
    """Return the full name of a split: "val" is "validation".

    Raises:
        UnknownName: If it is not a split.
    """
    full = {"val": "validation"}.get(name, name)
    if full not in SPLITS:
        raise unknown("split", name, SPLITS, hint='Give one of them, or "val".')
    return full
