"""The target of a few-shot script: the arguments that name it, its rows and its episodes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from datasets import Dataset

from ...builders.dataset import load_dataset
from ...cards.catalogue import DATASETS
from ...cards.facts import Task, split_name
from ...errors import MedIMetaError
from ..episodes.episode_set import EpisodeSet
from ..episodes.recipe import Recipe
from ..episodes.sampler import sample_episodes
from ..training.arguments import data_options

MIN_IMAGES = 50  # of a class of the target, as published
MINIATURE = 100  # images per class that `--tiny` draws: a test split of 20 % then has 15 of every class


def add_target(wanted: argparse.ArgumentParser) -> None:
    """The task that is evaluated."""
    add = wanted.add_argument
    add("--dataset", required=True, help="id of the target dataset, e.g. pbc")
    add("--task", help="name of the task; the main task if not given")
    add("--split", default="test", help="that is evaluated (%(default)s); published: train+validation+test")
    add("--episodes", nargs="+", metavar="FILE", help="episodes that `medimeta episodes` wrote")


def add_recipe(wanted: argparse.ArgumentParser, *, shots: Sequence[int]) -> None:
    """How episodes are drawn where no file has them."""
    add = wanted.add_argument
    add("--shots", type=int, nargs="+", default=list(shots), help="support images per class; one or several numbers")
    add("--queries", type=int, default=10, help="query images per class (%(default)s)")
    add("-n", type=int, default=100, help="episodes for each number of shots (%(default)s)")
    add(
        "--min-images",
        type=int,
        help=f"leave out classes with fewer ({MIN_IMAGES}; with --tiny, what episodes need), for all numbers of shots",
    )
    add("--share-subjects", action="store_true", help="support and query may show the same subject, as published")


def load_target(args: argparse.Namespace) -> tuple[Task, Dataset, list[EpisodeSet]]:
    """The task, the rows of its split, and the episode sets of the files that are named.

    Call it in the main process first.

    Raises:
        UnknownName: If there is no such dataset, task or split.
        SourceNotFound: If there are no data.
        MedIMetaError: If a file holds no episodes of these rows.
    """
    card = DATASETS[args.dataset]
    task = card.tasks[0] if args.task is None else card.task(args.task)
    sets = [EpisodeSet.load(path) for path in args.episodes or ()]
    split = sets[0].split if sets else "+".join(split_name(part.strip()) for part in args.split.split("+"))
    for path, found in zip(args.episodes or (), sets, strict=True):
        theirs, ours = ((one.dataset, one.name, at) for one, at in ((found.task, found.split), (task, split)))
        if theirs != ours:
            there, here = ("{} / {}, split {}".format(*names) for names in (theirs, ours))
            raise MedIMetaError(f"{path} holds episodes of {there}, not of {here}. Give files of one task and split.")
    rows = load_dataset(card.id, split=split, **data_options(args, card.id, per_class=MINIATURE))
    for found in sets:
        found.check(rows)
    return task, rows, sets


def draw_episodes(args: argparse.Namespace, task: Task, rows: Dataset) -> list[EpisodeSet]:
    """An episode set for each number of shots.

    Raises:
        MedIMetaError: If they cannot be drawn.
    """
    split = "+".join(split_name(part.strip()) for part in args.split.split("+"))
    least = max(args.shots) + args.queries if args.tiny else MIN_IMAGES
    if args.min_images is not None:
        least = args.min_images
    recipes = [
        Recipe(shots, args.queries, min_images=least, subject_disjoint=not args.share_subjects)
        for shots in dict.fromkeys(args.shots)
    ]
    return [sample_episodes(rows, task, recipe, n=args.n, seed=args.seed, split=split) for recipe in recipes]
