"""Mixed-task batches: the order of batches in training on several tasks, where each batch holds rows of one task.

Three ways to choose the task of the next batch:

* "proportional", as published (mm-PT): in proportion to the remaining batches of each task, until none are left. Every
  row is served exactly once. This is equivalent to shuffling all batches of all tasks, which is how it is computed.
* "temperature": in proportion to `batches ** (1 / temperature)`, for a fixed number of steps. 1 is proportional with
  replacement; larger temperatures are more even (as for languages in N. Arivazhagan et al., arXiv 1907.05019).
* "uniform": all tasks with equal probability, for a fixed number of steps.

In the last two, a task serves each of its rows once in random order, and then starts again in a new order.
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
_FINE = 1 << 32  # weights are integers up to this, so that the last bits of a power do not matter


@dataclass(frozen=True)
class MixedBatches:
    """The batches of one epoch: `batches[i]` is a task and row positions, or what `fetch` returns for them.

    It has a length and no state, so it is a map-style dataset for torch: `DataLoader(batches, batch_size=None,
    num_workers=4)` returns every batch once and in this order. In training with several processes, each takes its own
    `shard`.

    Attributes:
        sizes: Number of rows of each task, in the order of the pool.
        batch_size: Rows per batch; the last batch of each pass through a task may have fewer.
        choice: How the task of a batch is chosen: "proportional", "temperature" or "uniform"; see the module.
        temperature: Temperature of that choice, more than 0.
        steps: Number of batches for "temperature" and "uniform"; by default as many as "proportional" has.
        seed: 0 or more. Batches depend only on seed, epoch and sizes.
        epoch: 0 or more; each has its own order.
        fetch: Function of a task and row positions (int64, shape (b,)) that returns a batch; it must be picklable for
            spawned workers. By default task and positions are returned.
        part: Rank of this process, and number of processes.

    Raises:
        MedIMetaError: If a number is out of range.
        UnknownName: If the choice does not exist.
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
            raise MedIMetaError(f"There are no rows of {', '.join(empty)}. Leave out tasks without rows.")
        rank, world = self.part
        for holds, problem in (
            (self.sizes, "there are no tasks"),
            (self.batch_size >= 1, f"batch_size is {self.batch_size}; it must be 1 or more"),
            (self.temperature > 0, f"temperature is {self.temperature}; it must be more than 0"),
            (self.epoch >= 0, f"epoch is {self.epoch}; it must be 0 or more"),
            (self.steps is None or self.steps >= 1, f"steps is {self.steps}; it must be 1 or more"),
            (
                self.steps is None or self.choice != "proportional",
                "steps is given, but a proportional epoch ends by itself; leave out steps",
            ),
            (0 <= rank < world, f"there is no part {rank} of {world}; ranks count from 0"),
        ):
            if not holds:
                raise MedIMetaError(f"MixedBatches: {problem}.")

    def at(self, epoch: int) -> MixedBatches:
        """Return the batches of another epoch."""
        return replace(self, epoch=epoch)

    def shard(self, rank: int, world: int) -> MixedBatches:
        """Return every `world`-th batch, starting with number `rank`; every batch is in exactly one shard.

        Lengths may differ by one. Where processes synchronise after each batch, as in data-parallel training, stop
        after `total // world` batches or use `torch.distributed.algorithms.join.Join`.
        """
        return replace(self, part=(rank, world))

    @property
    def total(self) -> int:
        """Number of batches of all shards together."""
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
        """Number of batches of each task in one pass through it."""
        return [-(-size // self.batch_size) for size in self.sizes.values()]

    @cached_property
    def _plan(self) -> Positions:
        """For every batch of the epoch, its task and how many batches of that task precede it, shape (total, 2)."""
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
            chosen = places == place
            turns[chosen] = np.arange(chosen.sum())
        return np.stack([places.astype(np.int64), turns], axis=1)

    @cached_property
    def _orders(self) -> dict[tuple[int, int], Positions]:
        return {}

    def _order(self, place: int, turn: int) -> Positions:
        """Return the random order of a task's rows in its first, second, ... pass."""
        if (place, turn) not in self._orders:
            size = self.sizes[self._tasks[place]]
            self._orders[place, turn] = Draws(self.seed, self.epoch, place, turn).order(size)
        return self._orders[place, turn]
