"""What a benchmark evaluates: which tasks, by which protocols, with which settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError, unknown
from ..episodes.recipe import Recipe, whole_number

PROTOCOLS = ("probe", "knn", "prototype", "few-shot")
EVERY = ("main", "all")


@dataclass(frozen=True)
class Plan:
    """What is evaluated of each encoder.

    Attributes:
        tasks: The tasks, grouped by dataset.
        protocols: Some of `PROTOCOLS`.
        shots: Support images per class of few-shot episodes.
        seeds: A set of episodes is drawn with each.
        episodes: Number of episodes in a set.
        queries: Query images per class.
        min_images: As for `Recipe`.

    Raises:
        UnknownName: If there is no such protocol.
        MedIMetaError: If there is nothing to evaluate, or a number is out of range.
    """

    tasks: tuple[Task, ...]
    protocols: tuple[str, ...] = PROTOCOLS
    shots: tuple[int, ...] = (1, 2, 5, 10)
    seeds: tuple[int, ...] = (0,)
    episodes: int = 100
    queries: int = 10
    min_images: int | str | None = "published"

    def __post_init__(self) -> None:
        for protocol in self.protocols:
            if protocol not in PROTOCOLS:
                raise unknown("protocol", protocol, PROTOCOLS)
        for name in ("tasks", "protocols", *(("shots", "seeds") if "few-shot" in self.protocols else ())):
            if not getattr(self, name):
                raise MedIMetaError(f"{name} is empty. Give at least one.")
        whole_number("episodes", self.episodes, 1)
        for seed in self.seeds:
            whole_number("seed", seed, 0)
        for shots in self.shots:
            self.recipe(shots)

    @property
    def datasets(self) -> dict[str, list[Task]]:
        """The tasks of each dataset, in order."""
        grouped: dict[str, list[Task]] = {}
        for task in self.tasks:
            grouped.setdefault(task.dataset, []).append(task)
        return grouped

    def recipe(self, shots: int) -> Recipe:
        """Return what an episode consists of."""
        return Recipe(shots, self.queries, min_images=self.min_images)  # type: ignore[arg-type]

    def summary(self, encoders: Sequence[str]) -> str:
        """Say what will be evaluated, in lines for people."""
        images = sum(DATASETS[dataset].total for dataset in self.datasets)
        few = ""
        if "few-shot" in self.protocols:
            shots, seeds = (", ".join(map(str, values)) for values in (self.shots, self.seeds))
            few = f" ({self.episodes} episodes each of {shots} shots, seeds {seeds})"
        lines = {
            "encoders": ", ".join(encoders),
            "tasks": ", ".join(f"{task.dataset}/{task.column}" for task in self.tasks),
            "protocols": ", ".join(self.protocols) + few,
            "images": f"{images:,} in {len(self.datasets)} complete dataset(s); each encoder sees them once, and none "
            "whose features are in the cache",
        }
        return "\n".join(f"{name:<10} {text}" for name, text in lines.items())


def chosen_tasks(names: str | Task | Iterable[str | Task]) -> tuple[Task, ...]:
    """Return tasks by name, each once, grouped by dataset.

    Args:
        names: "main" (the main task of each dataset), "all", the id of a dataset (all its tasks), "id/task",
            "domain:NAME" (all tasks of a domain), a `Task`, or several of these.

    Raises:
        UnknownName: If there is no such dataset, task or domain.
    """
    several = [names] if isinstance(names, str | Task) else list(names)
    tasks = list(dict.fromkeys(task for name in several for task in _named(name)))
    order = list(dict.fromkeys(task.dataset for task in tasks))
    return tuple(sorted(tasks, key=lambda task: order.index(task.dataset)))


def _named(name: str | Task) -> Iterator[Task]:
    if isinstance(name, Task) or "/" in name:
        yield DATASETS.find_task(name)
    elif name in EVERY:
        for card in DATASETS.values():
            yield from card.tasks[:1] if name == "main" else card.tasks
    elif name.startswith("domain:"):
        yield from DATASETS.tasks(domain=name.removeprefix("domain:"))
    elif name in DATASETS:
        yield from DATASETS[name].tasks
    else:
        raise unknown("dataset", name, [*EVERY, *DATASETS], hint="A task is ID/TASK, a domain domain:NAME.")
