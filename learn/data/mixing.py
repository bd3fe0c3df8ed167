"""Batches of many tasks, each of one task: the order in which a mixed-task training sees its data.

Three ways to choose the task of the next batch:

* "proportional", as published (mm-PT): in proportion to its remaining batches, until none are left. Every row comes
  exactly once. Drawing so is the same as putting all batches of all tasks in random order, and is done that way.
* "temperature": in proportion to `batches ** (1 / temperature)`, for a fixed number of steps. 1 is proportional with
  replacement, larger evens out (as for languages in multilingual training: N. Arivazhagan et al., arXiv 1907.05019).
* "uniform": every task alike, for a fixed number of steps.

In the latter two a task goes through its rows in random order, each row once, and then starts again in a new order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal

import numpy as np

from ...cards.facts import Task
from ...errors import MedIMetaError, unknown
from .draws import Draws, Positions

CHOICES = ("proportional", "temperature", "uniform")
_FINE = 1 << 32  # weights are whole numbers up to this, so that the last bits of a power do not matter


@dataclass(frozen=True)
class MixedBatches:
    """The batches of one epoch; `batches[i]` is a pair of a task and row positions, or what `fetch` makes of them.

    It has a length and no state, so that it is a map-style dataset to torch: `DataLoader(batches, batch_size=None,
    num_workers=4)` gives every batch once and in this order. Each process of several takes its own `shard`.

    Attributes:
        sizes: Number of rows of each task, in the order of the pool.
        batch_size: Rows of a batch; the last of each pass through a task has fewer.
        choice: How the task of a batch is chosen; see the head of this file.
        temperature: For that choice, more than 0.
        steps: Number of batches for "temperature" and "uniform"; by default as many as "proportional" has.
        seed: 0 or more. Batches depend on it, the epoch, the sizes and nothing else.
        epoch: 0 or more; each has its own order.
        fetch: Makes a batch, called with a task and row positions (int64, shape (b,)); picklable where workers are
            spawned. By default they are returned.
        part: Which process this is, and of how many.

    Raises:
        MedIMetaError: If a number is out of range.
        UnknownName: If there is no such choice.
    """

    sizes: Mapping[Task, int]
    batch_size: int = 64
    choice: Literal["proportional", "temperature", "uniform"] = "proportional"
    temperature: float = 2.0
    steps: int | None = None
    seed: int = 0
    epoch: int = 0
    fetch: Callable[[Task, Positions], Any] | None = field(default=None, compare=False)
    part: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        if self.choice not in CHOICES:
            raise unknown("choice of tasks", self.choice, CHOICES, hint="Give choice= one of them.")
        if empty := [f"{task.dataset} / {task.name}" for task, size in self.sizes.items() if size < 1]:
            raise MedIMetaError(f"There are no rows of {', '.join(empty)}. Leave it out of the pool.")
        rank, world = self.part
        for holds, problem in (
            (self.sizes, "there are no tasks"),
            (self.batch_size >= 1, f"batch_size is {self.batch_size}; it must be 1 or more"),
            (self.temperature > 0, f"temperature is {self.temperature}; it must be more than 0"),
            (self.epoch >= 0, f"epoch is {self.epoch}; it must be 0 or more"),
            (self.steps is None or self.steps >= 1, f"steps is {self.steps}; it must be 1 or more"),
            (
                self.steps is None or self.choice != "proportional",
                "a proportional epoch ends by itself; leave out steps",
            ),
            (0 <= rank < world, f"there is no part {rank} of {world}; they count from 0"),
        ):
            if not holds:
                raise MedIMetaError(f"No mixed batches: {problem}.")

    def at(self, epoch: int) -> MixedBatches:
        """The batches of another epoch."""
        return replace(self, epoch=epoch)

    def shard(self, rank: int, world: int) -> MixedBatches:
        """Every `world`-th batch, from number `rank`: no batch is in two shards, and every one is in one.

        Lengths may differ by one. Where processes wait for each other after each batch, as in data-parallel training,
        stop at the shortest (`total // world`) or use `torch.distributed.algorithms.join.Join`.
        """
        return replace(self, part=(rank, world))

    @property
    def total(self) -> int:
        """Number of batches in all shards."""
        return len(self._plan)

    def __len__(self) -> int:
        rank, world = self.part
        return len(range(rank, self.total, world))

    def __getitem__(self, number: int) -> Any:
        rank, world = self.part
        number = range(rank, self.total, world)[number]
        place, turn = (int(value) for value in self._plan[number])
        task, batches = self._tasks[place], self._batches[place]
        start = turn % batches * self.batch_size
        rows = self._order(place, turn // batches)[start : start + self.batch_size]
        return (task, rows) if self.fetch is None else self.fetch(task, rows)

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    @cached_property
    def _tasks(self) -> list[Task]:
        return list(self.sizes)

    @cached_property
    def _batches(self) -> list[int]:
        """Batches of each task in one pass through it."""
        return [-(-size // self.batch_size) for size in self.sizes.values()]

    @cached_property
    def _plan(self) -> Positions:
        """Task and how often it came before, for every batch of the epoch, shape (total, 2)."""
        draws = Draws(self.seed, self.epoch)
        if self.choice == "proportional":
            places = np.repeat(np.arange(len(self._batches)), self._batches)
            places = places[draws.order(len(places))]
        else:
            power = 0.0 if self.choice == "uniform" else 1 / self.temperature
            largest = max(self._batches)
            bounds = list(accumulate(max(1, round(_FINE * (b / largest) ** power)) for b in self._batches))
            steps = sum(self._batches) if self.steps is None else self.steps
            drawn = [draws.below(bounds[-1]) for _ in range(steps)]
            places = np.searchsorted(bounds, drawn, side="right")
        turns = np.zeros(len(places), np.int64)
        for place in range(len(self._batches)):
            here = places == place
            turns[here] = np.arange(here.sum())
        return np.stack([places.astype(np.int64), turns], axis=1)

    @cached_property
    def _orders(self) -> dict[tuple[int, int], Positions]:
        return {}

    def _order(self, place: int, again: int) -> Positions:
        """Random order of a task's rows in its first, second, ... pass."""
        if (place, again) not in self._orders:
            size = self.sizes[self._tasks[place]]
            self._orders[place, again] = Draws(self.seed, self.epoch, place, again).order(size)
        return self._orders[place, again]
