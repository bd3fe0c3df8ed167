"""Solve whole sets of episodes, in units of work that processes share and that are each recorded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from ...cards.facts import Task
from ..data.augmentation.augment import Augmentation
from ..data.pixels import PixelProvider
from ..encoders.network import Network, pixel_values
from ..encoders.transform import ImageTransform
from ..episodes.episode_set import EpisodeSet
from ..episodes.recipe import Episode, task_of
from .adapt import Context, fine_tune, linear_probes, passed, prototypes
from .problems import outputs_of, packed, probabilities

TOGETHER = 50  # episodes whose heads are trained at once


class Key(NamedTuple):
    """The key of a record; with `episode` 0 also that of a table cell."""

    method: str
    set: int  # place in the list of episode sets
    lr: float
    steps: int
    episode: int  # place in the set


class Unit(NamedTuple):
    """A piece of work for one process."""

    method: str
    set: int
    lr: float
    episodes: tuple[int, ...]


@dataclass
class Solver:
    """A backbone, the episodes to solve with it, and the grid of settings.

    "probe" and "prototype" need fixed features: call `cache_features` first.

    Attributes:
        network: The backbone; fine-tuning starts from its weights as they are now.
        preprocessing: Preprocessing of the backbone.
        images: Pixels of the split.
        sets: The episode sets, all of one task.
        lrs: Learning rates.
        steps: Numbers of steps after which query sets are predicted.
        seed: Seed of dropout and augmentation.
        augmentation: Whether fine-tuning augments the support set in each step.
        chunk: Images per pass.
        autocast: As `Accelerator.autocast`.
    """

    network: Network
    preprocessing: ImageTransform
    images: PixelProvider
    sets: Sequence[EpisodeSet]
    lrs: Sequence[float]
    steps: Sequence[int]
    seed: int = 0
    augmentation: bool = False
    chunk: int = 64
    autocast: Context = nullcontext
    features: torch.Tensor = field(init=False)
    places: dict[int, int] = field(init=False)  # row of `features` by row of the split

    def __post_init__(self) -> None:
        self.start = {name: tensor.clone() for name, tensor in self.network.model.state_dict().items()}

    @property
    def task(self) -> Task:
        """The task of all episodes."""
        return self.sets[0].task

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        device: torch.device = self.network.model.device
        return device

    def units(self, methods: Iterable[str]) -> list[Unit]:
        """Return all work, in a fixed order."""
        units = []
        for method in methods:
            size = 1 if method == "finetune" else TOGETHER
            for number, episodes in enumerate(self.sets):
                for lr in [0.0] if method == "prototype" else self.lrs:
                    for first in range(0, len(episodes), size):
                        part = range(first, min(first + size, len(episodes)))
                        units.append(Unit(method, number, lr, tuple(part)))
        return units

    def keys(self, unit: Unit) -> list[Key]:
        """Return the keys of the records of a unit."""
        steps = [0] if unit.method == "prototype" else sorted(set(self.steps))
        return [Key(unit.method, unit.set, unit.lr, step, number) for number in unit.episodes for step in steps]

    def solve(self, unit: Unit) -> list[tuple[Key, dict[str, Any]]]:
        """Solve the episodes of a unit.

        Returns:
            The probabilities of the query set, as `packed` writes them, for each of `keys(unit)`.
        """
        episodes = [self.sets[unit.set][number] for number in unit.episodes]
        if unit.method == "finetune":
            answers = self._fine_tuned(unit, episodes)
        elif unit.method == "probe":
            probes = linear_probes(self.task, episodes, self.features, self.places, lr=unit.lr, steps=self.steps)
            answers = {steps: list(logits) for steps, logits in probes.items()}
        else:
            answers = {0: [prototypes(self.task, episode, self.features, self.places) for episode in episodes]}
        return [
            (
                Key(unit.method, unit.set, unit.lr, steps, number),
                packed(probabilities(task_of(self.task, episode.classes), answer)),
            )
            for steps, logits in answers.items()
            for number, episode, answer in zip(unit.episodes, episodes, logits, strict=True)
        ]

    def cache_features(
        self,
        rank: int,
        world: int,
        total: Callable[[torch.Tensor], torch.Tensor],
        progress: Callable[[list[int]], Iterable[int]] = iter,
    ) -> None:
        """Compute the features of all rows that episodes use; each process computes its share.

        Processes take whole blocks of `chunk` images, so that their number does not change a bit of the result. Call
        this before anything is fine-tuned.

        Args:
            rank: Rank of this process.
            world: Number of processes.
            total: Function that sums a tensor over all processes.
            progress: Function that wraps a list in a progress bar.
        """
        used = sorted(
            {row for episodes in self.sets for episode in episodes for part in episode for row in part.tolist()}
        )
        self.places = {row: place for place, row in enumerate(used)}
        features = torch.zeros(len(used), self.network.width, device=self.device)
        for first in progress(list(range(0, len(used), self.chunk))[rank::world]):
            block = slice(first, first + self.chunk)
            features[block] = passed(self.network.features, self._pixels(used[block]), 0, self.autocast)
        self.features = total(features)  # every row comes from one process, and is zero in the others

    def _fine_tuned(self, unit: Unit, episodes: Sequence[Episode]) -> dict[int, list[torch.Tensor]]:
        answers: dict[int, list[torch.Tensor]] = {steps: [] for steps in sorted(set(self.steps))}
        for number, episode in zip(unit.episodes, episodes, strict=True):
            task = task_of(self.task, episode.classes)
            self.network.model.load_state_dict(self.start)
            self.network.new_head(outputs_of(task))
            torch.manual_seed(self.seed + number)  # for dropout
            logits = fine_tune(
                self.network,
                task,
                self._support(episode, (self.seed, unit.set, number)),
                torch.from_numpy(episode.support_labels).to(self.device),
                self._pixels(episode.query),
                lr=unit.lr,
                steps=self.steps,
                chunk=self.chunk,
                autocast=self.autocast,
            )
            for steps, answer in logits.items():
                answers[steps].append(answer)
        return answers

    def _support(self, episode: Episode, seed: Sequence[int]) -> Callable[[int], torch.Tensor]:
        if not self.augmentation:
            fixed = self._pixels(episode.support)
            return lambda step: fixed

        def augmented(step: int) -> torch.Tensor:
            return self._pixels(episode.support, Augmentation().draw(len(episode.support), *seed, step))

        return augmented

    def _pixels(self, rows: Sequence[int] | np.ndarray, draws: torch.Tensor | None = None) -> torch.Tensor:
        return pixel_values(self.images.take(rows), self.preprocessing, self.device, draws=draws)
