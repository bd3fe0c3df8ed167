"""Drawing episodes: which images of a split are support, and which are query.

One rule serves all kinds of target. A *pool* is all images of a class, or, for a multilabel task, all positives or all
negatives of a label; every pool that an episode uses owes the support set `shots` images and the query set `queries`.
The pools are filled one after the other, the smallest first (of equal ones the lower label first; multilabel: all
positives before all negatives). To fill one, walk through it in random order:

* an image whose subject is new to the episode goes to support or query with odds of the places still open in this
  pool, e.g. 5 to 10, and its subject stays on that side for the whole episode;
* an image whose subject has a side goes there if a place is open, else it is passed over;
* stop when both sides are full. A multilabel image counts at once for all pools it is in.

When a pool runs out of images first, everything drawn is thrown away and the episode starts again, up to 1,000 times.

What that means for the distribution:

* Binary, multiclass and ordinal tasks without subjects (none known, or `subject_disjoint=False`), or with an image per
  subject: every pair of disjoint support and query sets is equally likely, as published.
* With subjects that have several images: no sampler can keep all images equally likely (a class of two subjects with 9
  images and 1, one shot and one query, always has that 1). Here the images of a class are equally likely but for those
  that are passed over, further images of a subject whose side is full. Images of one subject come together more often
  than by chance. Subjects with the same labels are treated alike.
* Multilabel: an image with several labels has several ways in, and those of rare labels are drawn first, so images are
  not equally likely. Labels go together, so that sets are small, but not the smallest possible ones: with labels like
  those of cxr, 5 shots and 10 queries, 37 and 73 images. The published sampler, which draws more and then strikes out
  what it can spare, gives 36 and 67 there, and other probabilities.
* Throwing away a draw that cannot be finished conditions all of this on draws that can.

Episode `i` depends on the seed, on `i`, on the labels and subjects, and on nothing else; see `draws`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from datasets import Dataset

from ...builders.dataset import load_dataset
from ...cards.catalogue import DATASETS
from ...cards.facts import Task, split_name
from ...errors import MedIMetaError
from ...files.parallel import ordered_map, pool
from ..data.draws import Draws, Positions
from .episode_set import EpisodeSet
from .pools import Pools, advice
from .recipe import Episode, Labels, Recipe
from .rows import labels_and_subjects

TRIES = 1000


def episodes(
    dataset: str,
    task: str | None = None,
    *,
    shots: int | tuple[int, int] = 5,
    queries: int = 10,
    n: int = 100,
    seed: int = 0,
    split: str = "test",
    ways: int | Literal["random"] | None = None,
    min_images: int | None = None,
    classes: Sequence[str] | None = None,
    subject_disjoint: bool = True,
    workers: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> EpisodeSet:
    """Draw few-shot episodes of one task.

    The published evaluation is `shots=5, queries=10, n=100, min_images=50`; the published meta-training is
    `split="train", shots=(1, 10), queries=10, ways="random", n=1000, min_images=40`. Both were drawn without regard to
    subjects, from whole datasets (`subject_disjoint=False, split="train+validation+test"`).

    Args:
        dataset: Id of the dataset.
        task: Name or column of the task, in any case; the main task by default.
        shots: See `Recipe`, as for `queries`, `ways`, `min_images`, `classes` and `subject_disjoint`.
        queries: Query images per class.
        n: Number of episodes.
        seed: The same seed gives the same episodes, with any number of workers and on any machine.
        split: "train", "validation" (or "val"), "test", or several, "train+validation".
        ways: Classes per episode.
        min_images: Images that a class needs.
        classes: Names of the classes to use.
        subject_disjoint: Whether support and query may share no subject.
        workers: Processes that draw; 0 draws here.
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        **options: Further arguments of `medimeta.load_dataset`, e.g. `partial=True`.

    Raises:
        UnknownName: If there is no such dataset, task, split, class or option.
        SourceNotFound: If there are no data.
        MedIMetaError: If a class has too few images or subjects, or a number is out of range.
    """
    card = DATASETS[dataset]
    wanted = card.tasks[0] if task is None else card.task(task)
    split = "+".join(split_name(part.strip()) for part in split.split("+"))
    recipe = Recipe(shots, queries, ways, min_images, None if classes is None else tuple(classes), subject_disjoint)
    rows = load_dataset(dataset, split=split, data_dir=data_dir, **options)
    return sample_episodes(rows, wanted, recipe, n=n, seed=seed, split=split, workers=workers)


def sample_episodes(
    rows: Dataset, task: Task, recipe: Recipe, *, n: int = 100, seed: int = 0, split: str = "", workers: int = 0
) -> EpisodeSet:
    """Draw episodes from rows that are already loaded; see `episodes`.

    Args:
        rows: Rows of a dataset with the columns of its task, `subject_id`, `index` and `original_filepath`.
        task: The task.
        recipe: What an episode is made of.
        n: Number of episodes, 1 or more.
        seed: 0 or more.
        split: What the rows are, as it is written into the set.
        workers: Processes that draw; 0 draws here.
    """
    if n < 1:
        raise MedIMetaError(f"n is {n}; ask for 1 episode or more.")
    sampler = EpisodeSampler(task, *labels_and_subjects(rows, task), recipe, split)
    numbers = range(n)
    if workers < 1:
        drawn = [sampler.sample(seed, number) for number in numbers]
    else:
        share = -(-n // workers)
        work = [(sampler, seed, numbers[start : start + share]) for start in range(0, n, share)]
        with pool(workers, at_once=True) as (executor, _):
            drawn = [episode for part in ordered_map(_sample, work, executor, window=workers) for episode in part]
    return EpisodeSet.of(drawn, task, rows, recipe, seed=seed, split=split)


def _sample(work: tuple[EpisodeSampler, int, range]) -> list[Episode]:
    sampler, seed, numbers = work
    return [sampler.sample(seed, number) for number in numbers]


class EpisodeSampler:
    """Draws the episodes of one task from the labels and subjects of a split.

    Args:
        task: The task.
        labels: Ids, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape (N, k).
        subjects: Subject ids, None where there is none, length N.
        recipe: What an episode is made of.
        split: What the rows are, for messages.

    Attributes:
        classes: Ids of the classes that episodes may have.

    Raises:
        UnknownName: If the recipe names a class that does not exist.
        MedIMetaError: If a class has too few images or subjects.
    """

    def __init__(
        self, task: Task, labels: np.ndarray, subjects: Sequence[str | None], recipe: Recipe, split: str = ""
    ) -> None:
        self.recipe = recipe
        where = f"{task.dataset} / {task.name}" + (f", split {split}" if split else "")
        self.pools = Pools(task, labels, subjects if recipe.subject_disjoint else [None] * len(labels), where)
        self.classes = self.pools.choose(recipe)

    def sample(self, seed: int, number: int) -> Episode:
        """Draw one episode, by the rule at the head of this file.

        Args:
            seed: Seed of the set, 0 or more.
            number: Number of the episode, 0 or more.

        Raises:
            MedIMetaError: If no draw can be finished: too few subjects, or labels that go too much together.
        """
        random = Draws(seed, number)
        recipe, pools = self.recipe, self.pools
        low, high = recipe.shot_range
        shots = low + random.below(high - low + 1)
        classes = self._draw_classes(random)
        short: Counter[int] = Counter()
        for _ in range(TRIES):
            drawn = self._draw(random, pools.of(classes), (shots, recipe.queries), short)
            if drawn is not None:
                support, query = (self._labelled(rows, classes) for rows in drawn)
                return Episode(number, classes, shots, support[0], query[0], support[1], query[1])
        scarce = short.most_common(1)[0][0]
        apart = " whose support and query share no subject" if recipe.subject_disjoint else ""
        raise MedIMetaError(
            f"{pools.describe(scarce)}; it ran short most often in {TRIES:,} attempts at episode {number} with "
            f"{shots} shots and {recipe.queries} queries of {len(classes)} classes{apart}. {advice(recipe)}"
        )

    def _draw_classes(self, random: Draws) -> tuple[int, ...]:
        ways = self.recipe.ways
        if ways is None:
            return self.classes
        count = 2 + random.below(len(self.classes) - 1) if ways == "random" else ways
        walk = random.walk(len(self.classes))
        return tuple(sorted(self.classes[next(walk)] for _ in range(count)))

    def _draw(
        self, random: Draws, pools: Sequence[int], need: tuple[int, int], short: Counter[int]
    ) -> tuple[list[int], list[int]] | None:
        """Fill all pools once; None, and a count for the pool that ran short, if that cannot be."""
        member, subjects = self.pools.member, self.pools.subjects
        have = np.zeros((2, member.shape[1]), np.int64)
        taken: tuple[list[int], list[int]] = ([], [])
        used: set[int] = set()
        side_of: dict[int, int] = {}
        for number in pools:
            rows = self.pools.rows[number]
            places = [max(0, need[side] - int(have[side, number])) for side in (0, 1)]
            walk = random.walk(len(rows))
            while any(places):
                if (place := next(walk, None)) is None:
                    short[number] += 1
                    return None
                row = int(rows[place])
                if row in used:
                    continue
                subject = int(subjects[row])
                if (side := side_of.get(subject, -1)) < 0:
                    side = side_of[subject] = int(random.below(sum(places)) >= places[0])
                if places[side]:
                    places[side] -= 1
                    used.add(row)
                    taken[side].append(row)
                    have[side] += member[row]
        return taken

    def _labelled(self, taken: list[int], classes: tuple[int, ...]) -> tuple[Positions, Labels]:
        """Rows and their labels in the episode; by class where they have one."""
        rows = np.array(taken, np.int64)
        chosen = self.pools.member[rows][:, classes]
        if self.pools.multilabel:
            return rows, chosen.astype(np.float32)
        labels = chosen.argmax(axis=1).astype(np.int64)
        order = np.argsort(labels, kind="stable")
        return rows[order], labels[order]
