"""The target of a few-shot command: its task, its rows and its episodes."""

from __future__ import annotations

import argparse

from datasets import Dataset

from ...cards.catalogue import DATASETS
from ...cards.facts import SPLITS, Task, split_name
from ...errors import MedIMetaError
from ..episodes.episode_set import EpisodeSet
from ..episodes.recipe import Recipe
from ..episodes.sampler import sample_episodes
from ..training.arguments import load_rows

MIN_IMAGES = 50  # of a class of the target, as published, where episodes are drawn from the whole dataset
MINIATURE = 100  # images per class that `--tiny` draws: a test split of 20 % then has 15 of every class


def load_target(args: argparse.Namespace) -> tuple[Task, Dataset, list[EpisodeSet]]:
    """Return the task, the rows of its split, and the episode sets of the files that are named.

    Call it in the main process first.

    Raises:
        UnknownName: If there is no such dataset, task or split.
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
    """Draw an episode set for each number of shots.

    Classes with fewer images than `--min-images` are left out: by default fewer than 50 in the whole dataset, as
    published, and in a single split, which has few images of rare classes, fewer than an episode takes.

    Raises:
        MedIMetaError: If they cannot be drawn.
    """
    split = _split(args)
    whole = set(split.split("+")) == set(SPLITS)
    least = MIN_IMAGES if whole and not args.tiny else max(args.shots) + args.queries
    if args.min_images is not None:
        least = args.min_images
    recipes = [
        Recipe(shots, args.queries, min_images=least, subject_disjoint=not args.share_subjects)
        for shots in dict.fromkeys(args.shots)
    ]
    return [sample_episodes(rows, task, recipe, n=args.n, seed=args.seed, split=split) for recipe in recipes]


def _split(args: argparse.Namespace) -> str:
    return "+".join(split_name(part.strip()) for part in args.split.split("+"))
