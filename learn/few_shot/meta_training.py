"""The episodes of the source pool for meta-training, in an order fixed by a seed, and their pixels."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from ..data.augmentation.augment import Augmentation
from ..data.draws import Draws
from ..data.pixels import PixelProvider, pixels
from ..encoders.network import pixel_values
from ..encoders.transform import ImageTransform
from ..episodes.episode_set import EpisodeSet
from ..episodes.recipe import Recipe, task_of
from ..episodes.rows import fingerprint
from ..episodes.sampler import sample_episodes
from ..training.arguments import load_rows
from .maml import Problem
from .targets import MINIATURE


@dataclass(frozen=True)
class SourceEpisodes:
    """The episodes of all source tasks of one split.

    Attributes:
        sets: An episode set per task, all of one length.
        images: Pixels of the rows that each set was drawn from.
        left_out: Reasons why tasks have no episodes, by "dataset / task".
    """

    sets: Sequence[EpisodeSet]
    images: Sequence[PixelProvider]
    left_out: Mapping[str, str]

    def __len__(self) -> int:
        return sum(map(len, self.sets))

    @property
    def sha256(self) -> dict[str, str]:
        """SHA-256 of each episode set, by "dataset / task"."""
        return {f"{one.task.dataset} / {one.task.name}": one.sha256 for one in self.sets}

    def problem(
        self,
        number: int,
        preprocessing: ImageTransform,
        device: torch.device | str,
        augmentation_seed: Sequence[int] | None = None,
    ) -> Problem:
        """Return the tensors of an episode.

        Args:
            number: 0 to `len(self) - 1`, task by task.
            preprocessing: Preprocessing of the model.
            device: Device of the tensors.
            augmentation_seed: Seed of augmentation, for training episodes, all of whose images are augmented.
        """
        place, number = divmod(number, len(self.sets[0]))
        episode, images = self.sets[place][number], self.images[place]
        draws: list[torch.Tensor | None] = [None, None]
        if augmentation_seed is not None:
            parts = enumerate(episode)
            draws = [Augmentation().draw(len(rows), *augmentation_seed, part) for part, rows in parts]
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
    """Return episodes of each task, drawn or loaded from those of an earlier run in `<output-dir>/episodes`.

    Args:
        args: Arguments of the run: data, seed and output folder.
        tasks: The source tasks.
        split: "train" for training, or "validation" for early stopping.
        recipe: Recipe of the episodes.
        n: Episodes per task.

    Raises:
        MedIMetaError: If no task has episodes.
        SourceNotFound: If there are no data of a dataset.
    """
    folder = args.output_dir / "episodes"
    folder.mkdir(parents=True, exist_ok=True)
    sets, images, left_out = [], [], {}
    for task in tasks:
        rows = load_rows(args, task.dataset, split, per_class=MINIATURE)
        path = folder / f"{task.dataset}.{task.column}.{split}.parquet"
        episodes = _earlier(path, rows, task, recipe, n, args.seed)
        if episodes is None:
            try:
                episodes = sample_episodes(rows, task, recipe, n=n, seed=args.seed, split=split)
            except MedIMetaError as error:
                left_out[f"{task.dataset} / {task.name}"] = str(error)
                continue
            episodes.save(path)
        sets.append(episodes)
        images.append(pixels(rows, store=not args.no_store))
    if not sets:
        reasons = "".join(f"\n  {reason}" for reason in left_out.values())
        raise MedIMetaError(f"No source task has episodes in split {split}:{reasons}")
    return SourceEpisodes(sets, images, left_out)


def _earlier(path: Path, rows: Dataset, task: Task, recipe: Recipe, n: int, seed: int) -> EpisodeSet | None:
    """Return the episodes of an earlier run if they equal those that would be drawn (drawing 50,000 takes minutes)."""
    if not path.exists():
        return None
    episodes = EpisodeSet.load(path)
    theirs = [episodes.about["recipe"], episodes.seed, len(episodes), episodes.about["fingerprint"]]
    return episodes if canonical(theirs) == canonical([asdict(recipe), seed, n, fingerprint(rows, task)]) else None


def outer_batch(step: int, episodes: int, *, size: int, seed: int) -> list[int]:
    """Return the episodes of an outer step: pass after pass through all of them, each in its own random order.

    Args:
        step: Number of the step, from 0.
        episodes: Number of episodes.
        size: Episodes per step.
        seed: Seed of the orders.
    """
    places = range(step * size, (step + 1) * size)
    orders = {turn: Draws(seed, turn).order(episodes) for turn in {place // episodes for place in places}}
    return [int(orders[place // episodes][place % episodes]) for place in places]
