"""Pools: the images of each class that episodes are drawn from, and checks that they suffice for a recipe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...cards.facts import Task
from ...errors import MedIMetaError, unknown
from ..data.draws import Positions
from .recipe import PUBLISHED, Recipe


def memberships(task: Task, labels: np.ndarray) -> np.ndarray:
    """Return which pools each row is in.

    Args:
        task: The task.
        labels: Ids, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape (N, k). Rows with
            unknown labels are in no pool.

    Returns:
        bool, shape (N, pools): one pool per class; multilabel: the positives of each label, then the negatives.
    """
    if task.kind == "multilabel":
        return np.hstack([labels == 1, labels == 0])
    return np.asarray(labels[:, None] == np.arange(len(task.labels)))


class Pools:
    """The rows of a split by class; multilabel: the positives and the negatives of each label.

    Args:
        task: The task.
        labels: As for `memberships`.
        subjects: Subject ids, None where unknown, length N.
        where: Description of the rows for messages, e.g. "crc / tissue class, split test".

    Attributes:
        member: The pools that each row is in: bool, shape (N, pools); see `memberships`.
        rows: Row positions of each pool, ascending.
        subjects: A number per row, int64, shape (N,), equal for rows of one subject.
    """

    def __init__(self, task: Task, labels: np.ndarray, subjects: Sequence[str | None], where: str) -> None:
        self.names = task.labels
        self.where = where
        self.multilabel = task.kind == "multilabel"
        self._binary = task.kind == "binary"
        self.member = memberships(task, labels)
        self.rows = [np.flatnonzero(column).astype(np.int32) for column in np.asfortranarray(self.member).T]
        codes = pd.factorize(np.asarray(subjects, dtype=object))[0].astype(np.int64)
        self.subjects: Positions = np.where(codes < 0, len(codes) + np.arange(len(codes)), codes)
        self._any_subject = bool((codes >= 0).any())

    def of(self, classes: Sequence[int]) -> list[int]:
        """Return the pools of some classes in the order in which they are filled: positives first, smallest first."""

        def by_size(pools: Sequence[int]) -> list[int]:
            return sorted(pools, key=lambda pool: (len(self.rows[pool]), pool))

        negatives = [len(self.names) + label for label in classes] if self.multilabel else []
        return by_size(classes) + by_size(negatives)

    def choose(self, recipe: Recipe, totals: np.ndarray | None = None) -> tuple[int, ...]:
        """Return the ids of the classes that a recipe can use, ascending.

        Args:
            recipe: The recipe.
            totals: Images of each pool in the whole dataset, for `min_images="published"`.

        Raises:
            UnknownName: If the recipe names a class that does not exist.
            MedIMetaError: If a class that must be used, or that passes `min_images`, has too few images or subjects,
                if fewer classes are left than an episode takes, or if `totals` are needed and not given.
        """
        least = recipe.min_images if isinstance(recipe.min_images, int) else recipe.need
        every = range(len(self.names))
        fixed = recipe.classes is not None or self._binary
        named = sorted(set(every if recipe.classes is None else map(self._class, recipe.classes)))
        sizes = {label: min(len(self.rows[pool]) for pool in self.of([label])) for label in every}
        chosen = [label for label in named if fixed or sizes[label] >= least]
        if recipe.min_images == "published" and not fixed:
            if totals is None:
                raise MedIMetaError('min_images="published" counts images of the whole dataset, which are not given.')
            chosen = [label for label in chosen if min(totals[pool] for pool in self.of([label])) >= PUBLISHED]
        ways = recipe.ways if isinstance(recipe.ways, int) else 2
        if len(chosen) < ways:
            counts = ", ".join(f"{self.names[label]!r} {sizes[label]:,}" for label in named)
            enough = "are given" if fixed else f"have {least} images or more"
            raise MedIMetaError(
                f"{self.where}: an episode takes {ways} classes, but {len(chosen)} {enough}. Images per class: "
                f"{counts}. Ask for fewer shots, queries or ways, for other classes, or for a larger split, such as "
                "train+validation+test."
            )
        for pool in self.of(chosen):
            self._check(pool, recipe, least if fixed else recipe.need)
        return tuple(chosen)

    def describe(self, pool: int) -> str:
        """Return text such as "crc / tissue class, split test: class 'mucus' has 7 images of 4 subjects"."""
        rows = self.rows[pool]
        what = "images" if not self.multilabel else "positives" if pool < len(self.names) else "negatives"
        subjects = f" of {len(np.unique(self.subjects[rows])):,} subjects" if self._any_subject else ""
        return f"{self.where}: class {self.names[pool % len(self.names)]!r} has {len(rows):,} {what}{subjects}"

    def _class(self, name: str) -> int:
        lower = [label.lower() for label in self.names]
        if str(name).strip().lower() not in lower:
            raise unknown(f"class of {self.where}", name, self.names, hint="All labels: medimeta info ID")
        return lower.index(name.strip().lower())

    def _check(self, pool: int, recipe: Recipe, least: int) -> None:
        images, shots, queries = len(self.rows[pool]), recipe.shot_range[1], recipe.queries
        reason = f"{shots} shots and {queries} queries need {recipe.need}"
        if recipe.need <= images < least:
            reason = f"min_images is {least}"
        elif images >= recipe.need and recipe.subject_disjoint:
            reason += ", and support and query may share no subject"
            counts = np.unique(self.subjects[self.rows[pool]], return_counts=True)[1].tolist()
            if len(counts) >= recipe.need or _divisible(counts, shots, queries):
                return
        elif images >= least:
            return
        raise MedIMetaError(f"{self.describe(pool)}; {reason}. {advice(recipe)}")


def advice(recipe: Recipe) -> str:
    """Return the advice of error messages about too few images."""
    sharing = ", or subject_disjoint=False" if recipe.subject_disjoint else ""
    return f"Ask for fewer shots or queries, for other classes=[...], for a larger split{sharing}."


def _divisible(counts: Sequence[int], shots: int, queries: int) -> bool:
    """Return whether subjects with these numbers of images can be divided into at least `shots` and `queries` images.

    Dynamic programming over subjects: for each number of support images so far (capped at `shots`), keep the largest
    possible number of query images.
    """
    most = {0: 0}
    for count in counts:
        step: dict[int, int] = {}
        for support, query in most.items():
            more = min(shots, support + count)
            step[more] = max(step.get(more, 0), query)
            step[support] = max(step.get(support, 0), query + count)
        most = step
    return most.get(shots, 0) >= queries
