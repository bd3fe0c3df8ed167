"""The catalogue: what `cards/<id>.yaml` says, as frozen dataclasses.

Everything that describes a dataset (configs, features, cards, tables, tests) derives from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from .errors import CatalogueError, unknown

Target = Literal["binary", "multiclass", "multilabel", "ordinal"]
SPLITS = ("train", "validation", "test")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times faster; not every wheel has it
_STRICT = {"extra": "forbid", "strict": False}  # pydantic: an unknown key is an error, not a silent drop


@dataclass(frozen=True)
class Task:
    """One task of one dataset: a column of labels.

    Attributes:
        dataset: Id of the dataset.
        name: Name as published; case matters in the release.
        target: Kind of target.
        labels: Label names in the order of their ids.
        scores: Ordinal tasks: the published key of each label, ascending, which may have gaps. None otherwise.
        is_main: Whether this is the dataset's main task (the first listed).
    """

    __pydantic_config__ = _STRICT
    name: str
    target: Target
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


class Catalogue(Mapping[str, DatasetCard]):
    """Mapping from dataset id to `DatasetCard`, in alphabetical order, read on first use.

    Args:
        folder: Folder of the YAML files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _cards(self) -> dict[str, DatasetCard]:
        cards = {path.stem: read_card(path) for path in sorted(self._folder.glob("*.yaml"))}
        for card in cards.values():
            _check_overlaps(card, cards)
        return cards

    def __getitem__(self, dataset: str) -> DatasetCard:
        try:
            return self._cards[dataset]
        except KeyError:
            raise unknown("dataset", dataset, self._cards, hint="See: medimeta list") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def __contains__(self, dataset: object) -> bool:
        return dataset in self._cards

    def get(self, dataset: str, default: Any = None) -> Any:
        """The card of a dataset, or the default when there is none."""
        return self._cards.get(dataset, default)

    @property
    def domains(self) -> tuple[str, ...]:
        """The imaging domains in alphabetical order."""
        return tuple(sorted({card.domain for card in self.values()}))

    def commercial(self) -> dict[str, DatasetCard]:
        """The datasets whose stated licence allows commercial use."""
        return {name: card for name, card in self.items() if card.licence.commercial}

    def tasks(self, domain: str | None = None, target: Target | None = None) -> list[Task]:
        """All tasks, in catalogue order, of one domain and one kind of target where given.

        Raises:
            UnknownName: If no dataset has the domain, or the target does not exist.
        """
        if domain is not None and domain.lower() not in (name.lower() for name in self.domains):
            raise unknown("domain", domain, self.domains, hint="See: medimeta list")
        targets = Target.__args__  # type: ignore[attr-defined]
        if target is not None and target not in targets:
            raise unknown("target", target, targets, hint="See: medimeta list")
        return [
            task
            for card in self.values()
            if domain is None or card.domain.lower() == domain.lower()
            for task in card.tasks
            if target in (None, task.target)
        ]


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


def read_card(path: Path) -> DatasetCard:
    """Read and check one `cards/<id>.yaml`.

    Raises:
        CatalogueError: Naming the file, the key and what is wrong with it.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        facts = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506  a safe one
    except yaml.YAMLError as error:
        raise CatalogueError(
            f"{path.name}: not valid YAML: {error}. Mend the file; CONTRIBUTING.md shows one."
        ) from error
    if not isinstance(facts, dict):
        raise CatalogueError(f"{path.name}: expected a mapping of keys, found {type(facts).__name__}.")
    for position, task in enumerate(facts.get("tasks") or ()):
        if isinstance(task, dict):
            task |= {"dataset": facts.get("id"), "is_main": position == 0}
    try:
        card = TypeAdapter(DatasetCard).validate_python(facts)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r:.80})" for e in error.errors()]
        raise CatalogueError("\n".join([f"{path.name} has {len(lines)} wrong key(s):", *lines])) from None
    _check_card(card, path)
    return card


def _check_card(card: DatasetCard, path: Path) -> None:
    """What types alone cannot say."""

    def require(holds: bool, key: str, problem: str) -> None:
        if not holds:
            raise CatalogueError(f"{path.name}: {key}: {problem}")

    require(card.id == path.stem, "id", f"{card.id!r} differs from the file name {path.stem!r}")
    require(bool(card.tasks), "tasks", "a dataset needs at least one task")
    for task in card.tasks:
        key = f"tasks.{task.name}"
        require(len(set(task.labels)) == len(task.labels) >= 2, key, "labels must be two or more distinct names")
        require(
            (task.target == "ordinal") == (task.scores is not None), key, "ordinal tasks, and no others, have scores"
        )
        require(task.target != "binary" or len(task.labels) == 2, key, "a binary task has exactly two labels")
        if task.scores is not None:
            ascending = list(task.scores) == sorted(set(task.scores)) and len(task.scores) == len(task.labels)
            require(ascending, key, "scores must ascend, one per label")
    columns = ["image", *(t.column for t in card.tasks), "subject_id", "original_split", "original_filepath", "index"]
    columns += [a.column for a in card.annotations] + list(card.masks)
    twice = sorted({column for column in columns if columns.count(column) > 1})
    require(not twice, "annotations", f"columns named twice: {', '.join(twice)}")
    rule = card.splits
    require(card.total == sum(rule.original.values()), "splits", "official and original counts differ in total")
    require(set(rule.counts) <= set(SPLITS), "splits.counts", f"the splits are {', '.join(SPLITS)}")
    require(set(rule.original) <= {"train", "val", "test"}, "splits.original", "the parts are train, val, test")
    require(all(rule.counts.values()), "splits.counts", "a split without rows is never listed")
    random = rule.rule != "source"
    require(
        random == (rule.by is not None and rule.train is not None),
        "splits",
        "random rules, and no others, need by and train",
    )
    require(
        card.licence.commercial <= all(s.commercial for s in card.sources)
        and card.licence.redistribution <= all(s.redistribution for s in card.sources),
        "licence",
        "looser than a source's; state the stricter terms",
    )
    names = {task.name for task in card.tasks}
    for correction in card.corrections:
        require(correction.task is None or correction.task in names, "corrections", f"no task {correction.task!r}")


def _check_overlaps(card: DatasetCard, cards: Mapping[str, DatasetCard]) -> None:
    for key, others in (
        ("domain_overlaps", card.domain_overlaps),
        ("subject_overlaps", tuple(o.dataset for o in card.subject_overlaps)),
    ):
        for other in others:
            if other not in cards:
                raise CatalogueError(f"{card.id}.yaml: {key}: there is no dataset {other!r}")
            back = cards[other]
            theirs = back.domain_overlaps if key == "domain_overlaps" else [o.dataset for o in back.subject_overlaps]
            if card.id not in theirs:
                raise CatalogueError(f"{card.id}.yaml: {key}: names {other}, but {other}.yaml does not name {card.id}")


DATASETS = Catalogue(Path(__file__).parent)
