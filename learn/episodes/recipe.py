"""What an episode is made of, and what comes of it: rows, and in the end pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import MedIMetaError
from ..data.draws import Positions

Labels = NDArray[np.int64] | NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """What an episode is made of.

    Attributes:
        shots: Support images per class; multilabel: positives, and negatives, per label at least. A pair (a, b) draws
            a number from a to b for each episode.
        queries: The same for the query set.
        ways: Number of classes, drawn at random for each episode; "random" draws the number too, from 2 to all; None
            takes all. A binary task has two.
        min_images: Leave out classes with fewer images (multilabel: positives or negatives); by default those with
            fewer than the most shots and the queries together. The published settings: 50 for targets, 40 for source
            tasks. A binary task is never left with one class: too few images are an error.
        classes: Names of the classes to use; each must have enough images.
        subject_disjoint: Whether support and query may share no subject; images without one count as of their own.

    Raises:
        MedIMetaError: If a number is out of range.
    """

    shots: int | tuple[int, int] = 5
    queries: int = 10
    ways: int | Literal["random"] | None = None
    min_images: int | None = None
    classes: tuple[str, ...] | None = None
    subject_disjoint: bool = True

    def __post_init__(self) -> None:
        low, high = self.shot_range
        if not 1 <= low <= high:
            raise MedIMetaError(f"shots is {self.shots}; it must be 1 or more, or a pair (a, b) with 1 <= a <= b.")
        if self.queries < 1:
            raise MedIMetaError(f"queries is {self.queries}; it must be 1 or more.")
        if self.ways not in (None, "random") and not (isinstance(self.ways, int) and self.ways >= 2):
            raise MedIMetaError(f'ways is {self.ways!r}; it must be 2 or more, "random", or None for all classes.')

    @property
    def shot_range(self) -> tuple[int, int]:
        """Fewest and most shots."""
        return (self.shots, self.shots) if isinstance(self.shots, int) else self.shots

    @property
    def need(self) -> int:
        """Images of a class that the largest episode takes."""
        return self.shot_range[1] + self.queries


@dataclass(frozen=True)
class Episode:
    """One few-shot problem; unpacks as `support, query`.

    Attributes:
        number: Its number in the set.
        classes: Ids of its classes in the task, ascending; their places here are the labels of the episode.
        shots: Support images of every class; multilabel: every label has at least so many positives and negatives.
        support: Positions of rows in the split, int64, shape (s,); by class, in the order drawn.
        query: The same, shape (q,). No row, and with `subject_disjoint` no subject, is in both.
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

    def __iter__(self) -> Iterator[Positions]:
        yield self.support
        yield self.query


class EpisodeBatch(NamedTuple):
    """The pixels of one episode, as the image provider gives them, with the labels of `Episode`."""

    support: Any
    support_labels: Labels
    query: Any
    query_labels: Labels
