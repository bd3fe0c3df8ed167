"""The benchmark file `eval.yaml`, by which the Hub makes a dataset repository a benchmark with leaderboards.

Fields as documented at https://huggingface.co/docs/hub/eval-results: a name, a description, an evaluation framework,
and tasks, each with its own leaderboard.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from ..errors import MedIMetaError, unknown
from ..files.yaml_values import read_yaml
from .card import Config
from .catalogue import DATASETS
from .facts import Task

BENCHMARK = "eval.yaml"
FRAMEWORK: Literal["mteb"] = "mteb"
SPLIT = "test"
_STRICT: Any = {"extra": "forbid", "strict": True}


def task_id(task: Task) -> str:
    """Return the id of a task's leaderboard: "bus.malignancy". It never changes, or results would be lost."""
    return f"{task.dataset}.{task.column}"


def task_of(name: str) -> Task:
    """Return the task of a leaderboard.

    Raises:
        UnknownName: If there is none.
    """
    ids = {task_id(task): task for card in DATASETS.values() for task in card.tasks}
    if name not in ids:
        raise unknown("leaderboard", name, list(ids))
    return ids[name]


def render_benchmark(configs: Sequence[Config], version: str) -> str:
    """Return the text of eval.yaml: a task for every task of the datasets that have a test split.

    Args:
        configs: The datasets of the folder, in order.
        version: Version of this project; not used, since the file should change only with its tasks.
    """
    tasks = [
        {"id": task_id(task), "config": config.card.id, "split": SPLIT}
        for config in configs
        if SPLIT in config.sizes
        for task in config.card.tasks
    ]
    content = {
        "name": "MedIMeta",
        "description": "Classification of medical images of 224x224 pixels: one task per dataset and label column, "
        "evaluated on its test split. The value of a task is the AUROC, from 0 to 1, averaged over classes.",
        "evaluation_framework": FRAMEWORK,
        "tasks": tasks,
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


@dataclass(frozen=True)
class _Entry:
    """One task; `field_spec`, `solvers` and `scorers` belong to inspect-ai."""

    __pydantic_config__ = _STRICT
    id: Annotated[str, Field(min_length=1)]
    config: str = "default"
    split: str = SPLIT
    field_spec: dict[str, Any] | None = None
    solvers: list[dict[str, Any]] | None = None
    scorers: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class _File:
    __pydantic_config__ = _STRICT
    name: Annotated[str, Field(min_length=1)]
    description: Annotated[str, Field(min_length=1)]
    evaluation_framework: Literal["mteb", "inspect-ai"]
    tasks: Annotated[list[_Entry], Field(min_length=1)]


def check_benchmark(text: bytes | str) -> list[str]:
    """Check the text of an eval.yaml against the documented fields.

    Returns:
        The ids of its tasks.

    Raises:
        MedIMetaError: Naming the first field that is wrong, or an id that occurs twice.
    """
    try:
        file = TypeAdapter(_File).validate_json(json.dumps(read_yaml(text), default=str))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise MedIMetaError(f"{BENCHMARK}: {place}: {first['msg']}. Write it again: medimeta card HUBDIR") from None
    except ValueError as error:
        raise MedIMetaError(f"{BENCHMARK} is not valid YAML: {error}") from error
    ids = [task.id for task in file.tasks]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise MedIMetaError(f"{BENCHMARK} has the task(s) {', '.join(twice)} twice.")
    if file.evaluation_framework != "inspect-ai" and any(t.field_spec or t.solvers or t.scorers for t in file.tasks):
        raise MedIMetaError(f"{BENCHMARK}: field_spec, solvers and scorers are for the framework inspect-ai only.")
    return ids
