"""Draw episodes: choose which images of a split are support and which are query.

One rule serves all kinds of tasks. A *pool* holds all images of a class, or, for a multilabel task, all positives or
all negatives of a label. Every pool that an episode uses must give `shots` images to the support set and `queries` to
the query set. Pools are filled one after the other, the smallest first (ties: the lower label first; multilabel: all
positives before all negatives). To fill a pool, go through it in random order:

* An image whose subject is new to the episode goes to support or query with probabilities proportional to the places
  still open there in this pool, e.g. 5 to 10. Its subject stays on that side for the whole episode.
* An image whose subject already has a side goes there if a place is open; otherwise it is skipped.
* Stop when both sides are full. A multilabel image counts for all pools that it is in.

If a pool runs out of images first, the whole draw is discarded and the episode starts again, up to 1,000 times.

Consequences for the distribution:

* Binary, multiclass and ordinal tasks without subjects (none known, or `subject_disjoint=False`), or with one image
  per subject: every pair of disjoint support and query sets is equally likely, as published.
* With several images per subject, no sampler can keep all images equally likely. For example, if a class has one
  subject with 9 images and one with a single image, one shot and one query always include the single image. Here the
  images of a class are equally likely except for those skipped, which are further images of a subject whose side is
  full. Images of one subject occur together more often than by chance. Subjects with the same labels are treated alike.
* Multilabel: an image with several labels can enter through several pools, and those of rare labels are drawn first,
  so images are not equally likely. Labels share images, so sets are small, but not the smallest possible: with labels
  like those of cxr, 5 shots and 10 queries, there are 37 support and 73 query images. The published sampler, which
  draws more images and then removes those it can spare, gives 36 and 67 there, with other probabilities.
* Draws that cannot be finished are discarded, so all of these distributions are conditional on finished draws.

Episode `i` depends only on the seed, on `i`, and on the labels and subjects; see `draws`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.parallel import ordered_map, pool
from ..data.draws import Draws, Positions
from .episode_set import EpisodeSet
from .pools import Pools, advice
from .recipe import Episode, Labels, Recipe, whole_number
from .rows import labels_and_subjects

TRIES = 1000


def sample_episodes(
    rows: Dataset,
    task: Task,
    recipe: Recipe,
    *,
    n: int = 100,
    seed: int = 0,
    split: str = "",
    workers: int = 0,
    totals: np.ndarray | None = None,
) -> EpisodeSet:
    """Return episodes drawn from rows that are already loaded; see `medimeta.episodes`.

    Args:
        rows: Rows of a dataset with the columns of its task, `subject_id`, `index` and `original_filepath`.
        task: The task.
        recipe: Sizes, classes and rules of the episodes.
        n: Number of episodes, 1 or more.
        seed: Seed, 0 or more.
        split: Name of the split, as it is written into the set.
        workers: Number of processes that draw; 0 draws in this process.
        totals: Images of each pool in the whole dataset (`pool_sizes`), for `min_images="published"`.

    Raises:
        UnknownName: If the recipe names a class that does not exist.
        MedIMetaError: If a class has too few images or subjects, or a value is out of range.
    """
    n, seed = whole_number("n", n, 1), whole_number("seed", seed, 0)
    workers = whole_number("workers", workers, 0)
    sampler = EpisodeSampler(task, *labels_and_subjects(rows, task), recipe, split, totals)
    numbers = range(n)
    if workers < 1:
        episodes = [sampler.sample(seed, number) for number in numbers]
    else:
        share = -(-n // workers)
        work = [(sampler, seed, numbers[start : start + share]) for start in range(0, n, share)]
        with pool(workers, at_once=True) as (executor, _):
            episodes = [episode for part in ordered_map(_sample, work, executor, window=workers) for episode in part]
    return EpisodeSet.of(episodes, task, rows, recipe, seed=seed, split=split)


def _sample(work: tuple[EpisodeSampler, int, range]) -> list[Episode]:
    sampler, seed, numbers = work
    return [sampler.sample(seed, number) for number in numbers]


class EpisodeSampler:
    """A sampler of the episodes of one task, from the labels and subjects of a split.

    Args:
        task: The task.
        labels: Ids, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape (N, k).
        subjects: Subject ids, None where unknown, length N.
        recipe: Sizes, classes and rules of the episodes.
        split: Name of the split, for messages.
        totals: As for `sample_episodes`.

    Attributes:
        classes: Ids of the classes that episodes can have.

    Raises:
        UnknownName: If the recipe names a class that does not exist.
        MedIMetaError: If a class has too few images or subjects.
    """

    def __init__(
        self,
        task: Task,
        labels: np.ndarray,
        subjects: Sequence[str | None],
        recipe: Recipe,
        split: str = "",
        totals: np.ndarray | None = None,
    ) -> None:
        self.recipe = recipe
        where = f"{task.dataset} / {task.name}" + (f", split {split}" if split else "")
        self.pools = Pools(task, labels, subjects if recipe.subject_disjoint else [None] * len(labels), where)
        self.classes = self.pools.choose(recipe, totals)

    def sample(self, seed: int, number: int) -> Episode:
        """Return one episode, drawn by the rule in the docstring of this module.

        Args:
            seed: Seed of the set, 0 or more.
            number: Number of the episode, 0 or more.

        Raises:
            MedIMetaError: If no draw can be finished, because of too few subjects or strongly correlated labels.
        """
        random = Draws(seed, number)
        recipe, pools = self.recipe, self.pools
        low, high = recipe.shot_range
        shots = low + random.below(high - low + 1)
        classes = self._draw_classes(random)
        short: Counter[int] = Counter()
        for _ in range(TRIES):
            sides = self._draw(random, pools.of(classes), (shots, recipe.queries), short)
            if sides is not None:
                support, query = (self._labelled(rows, classes) for rows in sides)
                return Episode(number, classes, shots, support[0], query[0], support[1], query[1])
        scarce = short.most_common(1)[0][0]
        disjoint = " whose support and query share no subject" if recipe.subject_disjoint else ""
        raise MedIMetaError(
            f"{pools.describe(scarce)}; it ran short most often in {TRIES:,} attempts at episode {number} with "
            f"{shots} shots and {recipe.queries} queries of {len(classes)} classes{disjoint}. {advice(recipe)}"
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
        """Fill all pools once. If one runs short, count it in `short` and return None."""
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
        """Return rows and their labels in the episode, sorted by class if each has one."""
        rows = np.array(taken, np.int64)
        chosen = self.pools.member[rows][:, classes]
        if self.pools.multilabel:
            return rows, chosen.astype(np.float32)
        labels = chosen.argmax(axis=1).astype(np.int64)
        order = np.argsort(labels, kind="stable")
        return rows[order], labels[order]
