"""The target of a few-shot command: its task, its rows and its episodes."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from datasets import Dataset

from ...cards.catalogue import DATASETS
from ...cards.facts import SPLITS, Task
from ...cards.split_names import join_splits
from ...errors import MedIMetaError
from ..episodes.episode_set import EpisodeSet
from ..episodes.recipe import Recipe
from ..episodes.rows import pool_sizes
from ..episodes.sampler import sample_episodes
from ..training.arguments import load_rows

MINIATURE = 100  # images per class that `--tiny` draws: a test split of 20 % then has 15 of every class


def load_target(args: argparse.Namespace) -> tuple[Task, Dataset, list[EpisodeSet]]:
    """Return the task, the rows of its split, and the episode sets in the files of `--episodes`.

    Call this in the main process first.

    Raises:
        UnknownName: If the dataset, task or split does not exist.
        SourceNotFound: If there are no data.
        MedIMetaError: If a file holds no episodes of these rows.
    """
    task = DATASETS.find_task(args.dataset, args.task)
    sets = [EpisodeSet.load(path) for path in args.episodes or ()]
    split = sets[0].split if sets else _split(args)
    for path, episodes in zip(args.episodes or (), sets, strict=True):
        theirs, ours = ((one.dataset, one.name, at) for one, at in ((episodes.task, episodes.split), (task, split)))
        if theirs != ours:
            there, here = ("{} / {}, split {}".format(*names) for names in (theirs, ours))
            raise MedIMetaError(f"{path} holds episodes of {there}, not of {here}. Give files of one task and split.")
    rows = load_rows(args, task.dataset, split, per_class=MINIATURE)
    for episodes in sets:
        episodes.check(rows)
    return task, rows, sets


def draw_episodes(args: argparse.Namespace, task: Task, rows: Dataset) -> list[EpisodeSet]:
    """Return an episode set for each number of shots.

    Classes with fewer images than `--min-images` are left out. By default the classes of the published protocol are
    used, which have 50 images or more in the whole dataset, as far as the split has enough images for an episode.

    Raises:
        MedIMetaError: If episodes cannot be drawn.
    """
    split = _split(args)
    least: Any = args.min_images
    if least is None:
        least = max(args.shots) + args.queries if args.tiny else "published"
    totals = None
    if least == "published":
        parts = [load_rows(args, task.dataset, name, per_class=MINIATURE) for name in SPLITS]
        totals = np.sum([pool_sizes(part, task) for part in parts], axis=0)
    recipes = [
        Recipe(shots, args.queries, min_images=least, subject_disjoint=not args.share_subjects)
        for shots in dict.fromkeys(args.shots)
    ]
    common: Any = {"n": args.n, "seed": args.seed, "split": split, "totals": totals}
    return [sample_episodes(rows, task, recipe, **common) for recipe in recipes]


def _split(args: argparse.Namespace) -> str:
    return join_splits(args.split)
