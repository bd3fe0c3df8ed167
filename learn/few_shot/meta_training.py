"""What meta-training draws on: the episodes of the source pool, in an order that a seed fixes, and their pixels."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset

from ...builders.dataset import load_dataset
from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from ..data.augment import DRAWS
from ..data.draws import Draws
from ..data.pixels import PixelProvider, pixels
from ..encoders.backbones import pixel_values
from ..encoders.models import Preprocessing
from ..episodes.episode_set import EpisodeSet
from ..episodes.recipe import Recipe
from ..episodes.rows import fingerprint
from ..episodes.sampler import sample_episodes
from ..training.arguments import data_options
from .maml import Problem
from .problems import task_of
from .targets import MINIATURE


@dataclass(frozen=True)
class SourceEpisodes:
    """The episodes of all source tasks of one split.

    Attributes:
        sets: An episode set per task, equally long.
        images: Pixels of the rows that each was drawn from.
        left_out: Why tasks have no episodes, by "dataset / task".
    """

    sets: Sequence[EpisodeSet]
    images: Sequence[PixelProvider]
    left_out: Mapping[str, str]

    def __len__(self) -> int:
        return sum(map(len, self.sets))

    @property
    def sha256(self) -> dict[str, str]:
        """Of each episode set, by "dataset / task"."""
        return {f"{found.task.dataset} / {found.task.name}": found.sha256 for found in self.sets}

    def problem(
        self,
        number: int,
        preprocessing: Preprocessing,
        device: torch.device | str,
        augmentation_seed: Sequence[int] | None = None,
    ) -> Problem:
        """The tensors of an episode.

        Args:
            number: 0 to `len(self) - 1`, task by task.
            preprocessing: That of the model.
            device: Where they lie.
            augmentation_seed: For episodes to train on, all of whose images are augmented.
        """
        place, number = divmod(number, len(self.sets[0]))
        episode, images = self.sets[place][number], self.images[place]
        draws: list[torch.Tensor | None] = [None, None]
        if augmentation_seed is not None:
            random = np.random.default_rng(augmentation_seed)
            draws = [torch.from_numpy(random.random((len(rows), DRAWS))) for rows in episode]
        support, query = (
            pixel_values(images.take(rows), preprocessing, device, draws=drawn)
            for rows, drawn in zip(episode, draws, strict=True)
        )
        truths = (torch.from_numpy(labels).to(device) for labels in (episode.support_labels, episode.query_labels))
        support_labels, query_labels = truths
        task = task_of(self.sets[place].task, episode.classes)
        return Problem(task, support, support_labels, query, query_labels)


def source_episodes(
    args: argparse.Namespace, tasks: Iterable[Task], split: str, recipe: Recipe, *, n: int
) -> SourceEpisodes:
    """Draw the episodes of each task, or find those of an earlier run in `<output-dir>/episodes`.

    Args:
        args: Say where the data are, the seed and the output folder.
        tasks: The source pool.
        split: "train" to learn from, "validation" to stop by; never more than the one.
        recipe: What an episode is made of.
        n: Episodes per task.

    Raises:
        MedIMetaError: If there is not a task that has episodes.
        SourceNotFound: If there are no data of a dataset.
    """
    folder = args.output_dir / "episodes"
    folder.mkdir(parents=True, exist_ok=True)
    sets, images, left_out = [], [], {}
    for task in tasks:
        rows = load_dataset(task.dataset, split=split, **data_options(args, task.dataset, per_class=MINIATURE))
        path = folder / f"{task.dataset}.{task.column}.{split}.parquet"
        found = _earlier(path, rows, task, recipe, n, args.seed)
        if found is None:
            try:
                found = sample_episodes(rows, task, recipe, n=n, seed=args.seed, split=split)
            except MedIMetaError as error:
                left_out[f"{task.dataset} / {task.name}"] = str(error)
                continue
            found.save(path)
        sets.append(found)
        images.append(pixels(rows, store=not args.no_store))
    if not sets:
        reasons = "".join(f"\n  {reason}" for reason in left_out.values())
        raise MedIMetaError(f"No source task has episodes in split {split}:{reasons}")
    return SourceEpisodes(sets, images, left_out)


def _earlier(path: Path, rows: Dataset, task: Task, recipe: Recipe, n: int, seed: int) -> EpisodeSet | None:
    """The episodes that an earlier run drew, if they are the ones wanted: to draw fifty thousand takes minutes."""
    if not path.exists():
        return None
    found = EpisodeSet.load(path)
    theirs = [found.about["recipe"], found.seed, len(found), found.about["fingerprint"]]
    return found if canonical(theirs) == canonical([asdict(recipe), seed, n, fingerprint(rows, task)]) else None


def outer_batch(step: int, episodes: int, *, size: int, seed: int) -> list[int]:
    """The episodes of an outer step: passes through all of them follow each other, each in a random order of its own.

    Args:
        step: Number of the step, from 0.
        episodes: How many there are.
        size: Episodes per step.
        seed: Of the orders.
    """
    places = range(step * size, (step + 1) * size)
    orders = {turn: Draws(seed, turn).order(episodes) for turn in {place // episodes for place in places}}
    return [int(orders[place // episodes][place % episodes]) for place in places]
