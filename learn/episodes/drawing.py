"""`medimeta.episodes`: load a split and draw few-shot episodes of one of its tasks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ...builders.loading import load_dataset
from ...cards.catalogue import DATASETS, TaskLike
from ...cards.facts import Task
from ...cards.split_names import join_splits
from ..data.exclusion.copies import excluded
from ..data.exclusion.ledger import Ledger
from .episode_set import EpisodeSet
from .recipe import Recipe, whole_number
from .rows import pool_sizes
from .sampler import sample_episodes


def episodes(
    dataset: TaskLike,
    task: str | Task | None = None,
    *,
    shots: int | tuple[int, int] | str = 5,
    queries: int = 10,
    n: int = 100,
    seed: int = 0,
    split: str = "test",
    ways: int | Literal["random"] | None = None,
    min_images: int | Literal["published"] | None = None,
    classes: Sequence[str] | None = None,
    subject_disjoint: bool = True,
    exclude_leaks: Ledger | str | os.PathLike[str] | bool | None = None,
    workers: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> EpisodeSet:
    """Draw few-shot episodes of one task.

        episodes = medimeta.episodes("bus", shots=5)
        support, query = episodes[0]  # positions in episodes.rows
        images = episodes.rows.select(support)["image"]

    Positions are row numbers within `split`, whose rows are in `EpisodeSet.rows`; they do not apply to other splits.

    The published evaluation is `shots=5, queries=10, n=100, min_images=50, subject_disjoint=False,
    split="train+validation+test"`: classes are selected and episodes drawn over whole datasets, regardless of subjects.
    With another split, `min_images="published"` selects the same classes as far as the split has enough images. The
    published meta-training is `shots=(1, 10), queries=10, ways="random", n=1000, min_images=40`.

    Args:
        dataset: Id of the dataset, e.g. "bus", or its task as well: a `Task`, "bus/malignancy" or
            ("bus", "malignancy").
        task: Name or column of the task, in any case, or a `Task`; the main task by default.
        shots: Support images per class; (a, b) or "a-b" draws a number from a to b for each episode. Multilabel: the
            least number of positives, and of negatives, per label.
        queries: Query images per class; multilabel as for `shots`.
        n: Number of episodes.
        seed: Seed, 0 or more; the same seed gives the same episodes with any number of workers and on any machine.
        split: "train", "validation" (or "val"), "test", or several joined with "+".
        ways: Number of classes, drawn at random for each episode; "random" draws the number as well. By default all.
        min_images: Leave out classes with fewer images in the split; by default those that cannot fill the largest
            episode. "published" leaves out classes with fewer than 50 images in the whole dataset. See
            `EpisodeSet.excluded` for the classes left out.
        classes: Names of the classes to use; each must have enough images.
        subject_disjoint: Whether support and query share no subject, where subjects are known, and no copies of one
            image, where a ledger ships for the dataset.
        exclude_leaks: Draw without rows that share an image or subject with a later split that is not drawn from; as
            for `medimeta.load_task`.
        workers: Number of processes that draw; 0 draws in this process.
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        **options: Further arguments of `medimeta.load_dataset`, e.g. `partial=True`.

    Returns:
        The episodes, with the rows that they were drawn from.

    Raises:
        UnknownName: If the dataset, task, split, class or option does not exist.
        SourceNotFound: If there are no data.
        MedIMetaError: If a class has too few images or subjects, or a value is out of range.
    """
    chosen = DATASETS.find_task(dataset, task)
    split = join_splits(split)
    recipe = Recipe(shots, queries, ways, min_images, classes, subject_disjoint)  # type: ignore[arg-type]
    settings = {"n": whole_number("n", n, 1), "seed": whole_number("seed", seed, 0)}
    rows = load_dataset(chosen.dataset, split=split, data_dir=data_dir, **options)
    if leaked := excluded(exclude_leaks, chosen.dataset, split, data_dir=data_dir, **options):
        rows = rows.select(np.flatnonzero(~np.isin(rows.with_format("numpy")["index"][:], leaked)))
    totals = None
    if recipe.min_images == "published":
        whole = load_dataset(chosen.dataset, data_dir=data_dir, **options)
        totals = np.sum([pool_sizes(part, chosen) for part in whole.values()], axis=0)
    return sample_episodes(rows, chosen, recipe, split=split, workers=workers, totals=totals, **settings)
