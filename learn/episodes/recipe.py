"""Recipes, which set the sizes of episodes, and episodes: row positions, or pixels, with labels."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...cards.facts import Task
from ...errors import MedIMetaError
from ..data.draws import Positions

Labels = NDArray[np.int64] | NDArray[np.float32]
PUBLISHED = 50  # images that a class of a target has in the whole dataset, as published


@dataclass(frozen=True)
class Recipe:
    """The sizes, classes and rules of an episode.

    Attributes:
        shots: Support images per class; multilabel: the least number of positives, and of negatives, per label. A pair
            (a, b), or "a-b", draws a number from a to b for each episode.
        queries: Query images per class; multilabel as for `shots`.
        ways: Number of classes, drawn at random for each episode. "random" draws the number as well, from 2 to all;
            None takes all classes. A binary task always has two.
        min_images: Leave out classes with fewer images (multilabel: positives or negatives) in the split. By default
            those that cannot fill the largest episode, with the most shots and the queries. "published" is the rule of
            the published targets: leave out classes with fewer than 50 images in the whole dataset, and of the others
            those that cannot fill an episode from this split. The classes of a binary task are never left out: too few
            images are an error.
        classes: Names of the classes to use; each must have enough images.
        subject_disjoint: Whether support and query share no subject. Each image without a known subject counts as its
            own subject.

    Raises:
        MedIMetaError: If a value is out of range.
    """

    shots: int | tuple[int, int] = 5
    queries: int = 10
    ways: int | Literal["random"] | None = None
    min_images: int | Literal["published"] | None = None
    classes: Sequence[str] | None = None
    subject_disjoint: bool = True

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "shots", _shots(self.shots))
        set_field(self, "queries", whole_number("queries", self.queries, 1))
        if self.ways not in (None, "random"):
            choices = ', or "random", or None for all classes'
            set_field(self, "ways", whole_number("ways", self.ways, 2, choices))
        if self.min_images not in (None, "published"):
            set_field(self, "min_images", whole_number("min_images", self.min_images, 0, ', or "published"'))
        if self.classes is not None:
            set_field(self, "classes", (self.classes,) if isinstance(self.classes, str) else tuple(self.classes))
        if not isinstance(self.subject_disjoint, bool):
            raise MedIMetaError(f"subject_disjoint is {self.subject_disjoint!r}; it must be True or False.")

    @property
    def shot_range(self) -> tuple[int, int]:
        """Smallest and largest number of shots."""
        return (self.shots, self.shots) if isinstance(self.shots, int) else self.shots

    @property
    def need(self) -> int:
        """Number of images per class in the largest episode."""
        return self.shot_range[1] + self.queries


@dataclass(frozen=True, repr=False)
class Episode:
    """One few-shot problem. It unpacks as `support, query`.

    Attributes:
        number: Its number in the set.
        classes: Ids of its classes in the task, ascending. The labels of the episode are indices into this tuple.
        shots: Support images per class; multilabel: least number of positives, and of negatives, per label.
        support: Positions of support rows in the split, int64, shape (s,); by class, in the order drawn.
        query: Positions of query rows, int64, shape (q,). No row, and with `subject_disjoint` no subject, is in both.
        support_labels: int64 from 0 to `len(classes) - 1`, shape (s,); multilabel: float32 of 0 and 1, shape
            (s, len(classes)).
        query_labels: The same for the query set.
    """

    number: int
    classes: tuple[int, ...]
    shots: int
    support: Positions
    query: Positions
    support_labels: Labels
    query_labels: Labels

    def __repr__(self) -> str:
        sizes = f"{len(self.support)} support and {len(self.query)} query images"
        return f"<Episode {self.number}: {len(self.classes)}-way {self.shots}-shot, {sizes}>"

    def __iter__(self) -> Iterator[Positions]:
        yield self.support
        yield self.query


class EpisodeBatch(NamedTuple):
    """The pixels of one episode, as the image provider returns them, with the labels of `Episode`."""

    support: Any
    support_labels: Labels
    query: Any
    query_labels: Labels


def whole_number(name: str, value: Any, least: int, choices: str = "") -> int:
    """Return an argument that must be a whole number, after checking it; a string of digits is converted.

    Args:
        name: Name of the argument, for messages.
        value: Its value.
        least: Smallest value allowed.
        choices: Other allowed values, for messages.

    Raises:
        MedIMetaError: If it is not a whole number, or less than `least`.
    """
    try:
        number = int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        number = least - 1
    if number < least or isinstance(value, bool | np.bool_):
        raise MedIMetaError(f"{name} is {value!r}; it must be a whole number, {least} or more{choices}.")
    return number


def _shots(shots: Any) -> int | tuple[int, int]:
    if isinstance(shots, str) and (bounds := re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", shots)):
        shots = bounds.groups()
    if not isinstance(shots, tuple | list):
        return whole_number("shots", shots, 1, ", or a pair (a, b)")
    try:
        low, high = (whole_number("shots", number, 1) for number in shots)
    except ValueError:  # a number out of range, or more or fewer than two
        low, high = 1, 0
    if low > high:
        raise MedIMetaError(f"shots is {shots!r}; a pair must be (a, b) with whole numbers 1 <= a <= b.")
    return low, high


def task_of(task: Task, classes: Sequence[int]) -> Task:
    """Return the task restricted to the classes of an episode, numbered as in the episode.

        >>> import medimeta
        >>> task_of(medimeta.DATASETS["oct"].task("disease class"), (1, 3)).labels
        ('DME', 'NORMAL')

    Args:
        task: The whole task.
        classes: Ids of the classes, ascending.
    """
    scores = None if task.scores is None else tuple(task.scores[label] for label in classes)
    return replace(task, labels=tuple(task.labels[label] for label in classes), scores=scores)
