"""The plan of a benchmark: tasks, protocols and settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError, unknown
from ..data.corruptions.registry import CORRUPTIONS, SEVERITIES, corruptions
from ..episodes.recipe import Recipe, whole_number

PROTOCOLS = ("probe", "knn", "prototype", "few-shot", "label-efficiency", "zero-shot", "retrieval")
DEFAULT = PROTOCOLS[:4]
EVERY = ("main", "all")
RETRIEVAL_METRIC = "mean_average_precision"
SHOTS = (1, 2, 5, 10)
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)  # of the training rows, for label efficiency
PUBLISHED: dict[str, Any] = {  # the follow-up study, arXiv 2408.08058
    "protocols": ("few-shot", "zero-shot"),
    "shots": (1, 2, 3, 5, 7, 10, 15, 20, 25, 30),
    "solvers": ("published probe",),
}
SHORTCUTS = ("shortcut: mean colour", "shortcut: colour histogram", "shortcut: size", "shortcut: file type")
SIZE = "original_image_size"
TINY_ENCODER = "tiny random ViT"
TINY: dict[str, Any] = {"shots": (1, 2), "queries": 1, "episodes": 20}  # fits miniatures


@dataclass(frozen=True)
class Plan:
    """The tasks, protocols and settings that each encoder is evaluated with.

    Attributes:
        tasks: The tasks, grouped by dataset.
        protocols: Some of `PROTOCOLS`.
        shots: Support images per class of few-shot episodes.
        seeds: Seeds; a set of episodes, and for label efficiency an order of training subjects, is drawn with each.
        episodes: Number of episodes in a set.
        queries: Query images per class.
        min_images: As for `Recipe`.
        solvers: Methods that solve episodes, some of `few_shot.SETTINGS`.
        fractions: Fractions of the training split for label efficiency, above 0 and at most 1.
        prompts: Prompt file for zero-shot; those of the datasets by default.
        exclude_leaks: As for `medimeta.load_task`; True leaves the datasets for which no ledger ships complete.
        corruptions: Also evaluate test images with those of these corruptions that suit the dataset; None for no
            corruption, an empty tuple for all.
        severities: Severities of the corruptions.

    Raises:
        UnknownName: If the protocol does not exist.
        MedIMetaError: If there is nothing to evaluate, or a number is out of range.
    """

    tasks: tuple[Task, ...]
    protocols: tuple[str, ...] = DEFAULT
    shots: tuple[int, ...] = SHOTS
    seeds: tuple[int, ...] = (0,)
    episodes: int = 100
    queries: int = 10
    min_images: int | str | None = "published"
    solvers: tuple[str, ...] = ("prototype", "logistic regression")
    fractions: tuple[float, ...] = FRACTIONS
    prompts: str | None = None
    exclude_leaks: str | bool | None = None
    corruptions: tuple[str, ...] | None = None
    severities: tuple[int, ...] = SEVERITIES

    def __post_init__(self) -> None:
        for name in self.corruptions or ():
            if name not in CORRUPTIONS:
                raise unknown("corruption", name, CORRUPTIONS, hint="See: medimeta corruptions ID")
        for severity in self.severities:
            if severity not in SEVERITIES:
                raise unknown("severity", severity, map(str, SEVERITIES))
        for protocol in self.protocols:
            if protocol not in PROTOCOLS:
                raise unknown("protocol", protocol, (*PROTOCOLS, "published"))
        drawn = {"few-shot", "label-efficiency"} & set(self.protocols)
        few = ("shots", "solvers") if "few-shot" in self.protocols else ()
        for name in ("tasks", "protocols", *few, *(("seeds",) if drawn else ())):
            if not getattr(self, name):
                raise MedIMetaError(f"{name} is empty. Give at least one.")
        whole_number("episodes", self.episodes, 1)
        for seed in self.seeds:
            whole_number("seed", seed, 0)
        for shots in self.shots:
            self.recipe(shots)
        for fraction in self.fractions:
            if not 0 < fraction <= 1:
                raise MedIMetaError(f"A fraction is {fraction}; it must be above 0 and at most 1.")

    @classmethod
    def of(cls, tasks: Any, protocols: str | Sequence[str], *, tiny: bool = False, **settings: Any) -> Plan:
        """Return the plan for names of tasks and protocols.

        Args:
            tasks: As for `chosen_tasks`.
            protocols: Some of `PROTOCOLS`, or "published" for the follow-up study.
            tiny: Whether episodes have to fit miniatures.
            **settings: Other attributes of a plan. None means the default, except for `min_images`.

        Raises:
            UnknownName: If the task or protocol does not exist.
            MedIMetaError: If there is nothing to evaluate, or a number is out of range.
        """
        names = (protocols,) if isinstance(protocols, str) else tuple(dict.fromkeys(protocols))
        preset = dict(PUBLISHED) if names == ("published",) else {"protocols": names}
        given = {
            name: tuple(dict.fromkeys(value)) if isinstance(value, list | tuple) else value
            for name, value in settings.items()
            if value is not None or name == "min_images"
        }
        if tiny:
            preset |= TINY
            given["min_images"] = None if given.get("min_images") == "published" else given.get("min_images")
        return cls(chosen_tasks(tasks), **{**preset, **given})

    @property
    def datasets(self) -> dict[str, list[Task]]:
        """The tasks of each dataset, in order."""
        grouped: dict[str, list[Task]] = {}
        for task in self.tasks:
            grouped.setdefault(task.dataset, []).append(task)
        return grouped

    def corrupted(self, dataset: str) -> list[tuple[str, int]]:
        """Return the corruptions of a dataset to evaluate, each with each severity."""
        if self.corruptions is None:
            return []
        suitable = [name for name in corruptions(dataset) if name in (self.corruptions or CORRUPTIONS)]
        return [(name, severity) for name in suitable for severity in self.severities]

    def recipe(self, shots: int) -> Recipe:
        """Return the recipe of episodes with a number of shots."""
        return Recipe(shots, self.queries, min_images=self.min_images)  # type: ignore[arg-type]

    def summary(self, encoders: Sequence[str], *, drawn: bool = False) -> str:
        """Return a summary of the plan, in lines of text.

        Args:
            encoders: Names of the encoders.
            drawn: Whether the data are miniatures of phantoms.
        """
        images = sum(DATASETS[dataset].total for dataset in self.datasets)
        data = f"{images:,} in {len(self.datasets)} complete dataset(s)"
        data = f"miniatures of {len(self.datasets)} dataset(s), drawn here" if drawn else data
        shots, seeds = (", ".join(map(str, values)) for values in (self.shots, self.seeds))
        parts = ", ".join(f"{100 * fraction:g} %" for fraction in self.fractions)
        solvers = " and ".join(self.solvers)
        details = {
            "few-shot": f"{self.episodes} episodes each of {shots} shots, seeds {seeds}, by {solvers}",
            "label-efficiency": f"{parts} of train, seeds {seeds}",
        }
        protocols = [f"{name} ({details[name]})" if name in details else name for name in self.protocols]
        lines = {
            "encoders": ", ".join(encoders),
            "tasks": f"{len(self.tasks)}: " + ", ".join(f"{task.dataset}/{task.column}" for task in self.tasks),
            "protocols": ", ".join(protocols),
            "images": f"{data}; each encoder encodes them once, except those whose features are in the cache",
        }
        return "\n".join(f"{name:<10} {text}" for name, text in lines.items())


def chosen_tasks(names: str | Task | Iterable[str | Task]) -> tuple[Task, ...]:
    """Return tasks by name, each once, grouped by dataset.

    Args:
        names: "main" (the main task of each dataset), "all", the id of a dataset (all its tasks), "id/task",
            "domain:NAME" (all tasks of a domain), a `Task`, or several of these.

    Raises:
        UnknownName: If the dataset, task or domain does not exist.
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
