"""Source pools of the cross-domain protocols: the tasks that may be used in training for a given target.

The published rule leaves out the target's dataset, datasets of its domain and datasets that share subjects with it.
Subject overlaps that this project found (see `SubjectOverlap.published`) count like published ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

from ...cards.catalogue import DATASETS, TaskLike
from ...cards.display import html_table
from ...cards.facts import DatasetCard, Task
from ...errors import MedIMetaError, unknown


class LeakyPool(MedIMetaError):
    """A source pool that shares a dataset, a domain or subjects with its targets."""


@dataclass(frozen=True, repr=False)
class SourcePool(Sequence[Task]):
    """The tasks to train on, in catalogue order, as a sequence.

    Attributes:
        targets: Ids of the datasets to evaluate on.
        tasks: Tasks of other datasets that share no domain and no known subject with the targets.
        left_out: Datasets that are neither targets nor in the pool, with the reason for each.

    Raises:
        LeakyPool: If a task shares a dataset, a domain or subjects with a target.
    """

    targets: tuple[str, ...]
    tasks: tuple[Task, ...]
    left_out: Mapping[str, str]

    def __post_init__(self) -> None:
        for target in self.targets:
            for dataset in self.datasets:
                if reason := _overlap(DATASETS[target], DATASETS[dataset]):
                    raise LeakyPool(f"{dataset} is in the source pool of {target}, but {reason}. Leave it out.")

    def __repr__(self) -> str:
        counts = f"{len(self.tasks)} tasks of {len(self.datasets)} datasets"
        left_out = f"; left out: {', '.join(self.left_out)}" if self.left_out else ""
        return f"<SourcePool for {', '.join(self.targets)}: {counts}{left_out}>"

    def _repr_html_(self) -> str:
        rows = [(name, ", ".join(task.name for task in self.tasks if task.dataset == name)) for name in self.datasets]
        rows += [(name, f"left out: {reason}") for name, reason in self.left_out.items()]
        return html_table(f"Source pool for {', '.join(self.targets)}", ("dataset", "tasks"), rows)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Ids of the datasets in the pool."""
        return tuple(dict.fromkeys(task.dataset for task in self.tasks))

    def __len__(self) -> int:
        return len(self.tasks)

    @overload
    def __getitem__(self, place: int) -> Task: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Task, ...]: ...
    def __getitem__(self, place: int | slice) -> Task | tuple[Task, ...]:
        return self.tasks[place]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)


def cross_domain(target: TaskLike, *, main_only: bool = False) -> SourcePool:
    """Return the source pool of one target dataset, as published.

        >>> cross_domain("oct", main_only=True).left_out
        {}
        >>> cross_domain("skinl_photo").left_out
        {'skinl_derm': 'it shows subjects of skinl_photo'}

    Args:
        target: The dataset to evaluate on: its id, or one of its tasks, however it is named.
        main_only: Take only the main task of each dataset.

    Raises:
        UnknownName: If the dataset or task does not exist.
    """
    return _pool((DATASETS.find_task(target).dataset,), main_only)


def leave_domain_out(domain: str, *, main_only: bool = False) -> SourcePool:
    """Return the source pool for which all datasets of a domain are targets.

        >>> leave_domain_out("Dermatoscopy").targets
        ('derm', 'skinl_derm')

    Args:
        domain: An imaging domain, in any case.
        main_only: Take only the main task of each dataset.

    Raises:
        UnknownName: If no dataset has the domain.
    """
    targets = tuple(card.id for card in DATASETS.values() if card.domain.lower() == domain.strip().lower())
    if not targets:
        raise unknown("domain", domain, DATASETS.domains, hint="See: medimeta list")
    return _pool(targets, main_only)


def _pool(targets: tuple[str, ...], main_only: bool) -> SourcePool:
    tasks: list[Task] = []
    left_out: dict[str, str] = {}
    for card in DATASETS.values():
        if card.id in targets:
            continue
        reasons = [reason for target in targets if (reason := _named_overlap(DATASETS[target], card))]
        if reasons:
            left_out[card.id] = reasons[0]
        else:
            tasks += card.tasks[:1] if main_only else card.tasks
    return SourcePool(targets, tuple(tasks), left_out)


def _named_overlap(target: DatasetCard, other: DatasetCard) -> str | None:
    """Return why the target's card leaves out a dataset, or None if it does not."""
    if other.id in (overlap.dataset for overlap in target.subject_overlaps):
        return f"it shows subjects of {target.id}"
    return f"it is of the domain of {target.id}" if other.id in target.domain_overlaps else None


def _overlap(target: DatasetCard, other: DatasetCard) -> str | None:
    """Return what two datasets have in common according to either card: a check of the lists that make the pool."""
    if target.id == other.id:
        return "that is the target itself"
    if target.domain == other.domain:
        return f"both are {target.domain}"
    named = _named_overlap(target, other) or _named_overlap(other, target)
    return named and f"their cards overlap: {named}"
