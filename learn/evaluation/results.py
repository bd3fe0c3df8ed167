"""Results: metrics, with the data and settings they were measured with, in one JSON schema for all protocols.

A script that evaluates a test split writes its result like this:

    rows = medimeta.load_dataset("bus", split="test")  # all columns: they identify the data
    task = medimeta.DATASETS["bus"].task("case category")
    result = Result.of_scores(
        task, probabilities, rows, split="test", protocol=FULL_SUPERVISION, method="fine-tuning",
        model="vit-base", seed=0, settings={"lr": 1e-4, "batch_size": 64},
    )
    result.save(folder / "result.json")  # and result.predictions.parquet

and one that evaluates few-shot episodes, with the probabilities of each query set:

    episodes = medimeta.EpisodeSet.load("bus.parquet", rows)
    result = Result.of_episode_scores(
        episodes, probabilities, protocol=few_shot_protocol(episodes), method="IM-PT", model="resnet18", seed=0,
        settings={"lr": 1e-3, "steps": 50},
    )

Anything else that a protocol measures (a training history, times) goes into `extra`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict, Unpack

import numpy as np
import pyarrow as pa
from datasets import Dataset
from pydantic import AliasChoices, Field

from ...cards.display import html_table
from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.atomic import is_special, whole_file
from ...files.json_values import plain, read_as
from ..episodes.episode_set import EpisodeSet
from . import measuring, stored
from .measures.bootstrap import RESAMPLES
from .measures.intervals import Measured
from .measuring import Copies
from .versions import versions

FILE = "result.json"
FULL_SUPERVISION = "full supervision"  # only results whose protocols have the same name are compared
# Earlier versions are still read: 1 called `kind` "target", without classes, confusion and values per episode; 2 had no
# copies.
SCHEMA = 3


class About(TypedDict):
    """Fields of `Result` that a script gives in addition to the predictions."""

    protocol: str
    method: str
    model: str
    seed: NotRequired[int | None]
    settings: NotRequired[Mapping[str, Any] | None]
    extra: NotRequired[Mapping[str, Any] | None]


def few_shot_protocol(episodes: EpisodeSet) -> str:
    """Return the name of the protocol of an episode set: "few-shot, 5 shots"."""
    return f"few-shot, {episodes.shots} shots"


@dataclass(frozen=True, repr=False)
class Result:
    """The result of one method on one task.

    Attributes:
        dataset: Id of the dataset.
        task: Name of the task.
        kind: Kind of task: "binary", "multiclass", "multilabel", "ordinal".
        split: The split that was evaluated.
        protocol: `FULL_SUPERVISION`, the name from `few_shot_protocol`, or another name. Only results of one protocol
            are compared.
        method: Name of the method, as tables show it.
        model: Name of the checkpoint, or a description of the network.
        metrics: The measured numbers with their intervals, by name.
        interval: Description of how the intervals were computed.
        images: Number of evaluated images; for episodes, the size of the split that they were drawn from.
        fingerprint: SHA-256 of labels, subjects, numbers and files of the split, per column; see `rows.fingerprint`.
        episodes: SHA-256 of the episode set; None where there are no episodes.
        seed: Seed of training; None where nothing is random.
        settings: Other settings that decide the numbers: learning rate, steps, augmentation.
        classes: Per class or label that was evaluated: "auroc" (against the rest), "average_precision", "recall",
            "precision" and "support" (rows with the label; of episodes, query images). Recall and precision are those
            of the most probable class; multilabel: of a probability over 0.5.
        confusion: Rows of each class (outer list) that were predicted as each class (inner list), in the order of the
            task's labels. None for multilabel tasks and episodes.
        per_episode: The value of each metric in each episode, in order; None where it is not defined.
        versions: Versions of Python and the packages.
        extra: Anything else that is worth keeping, ready for JSON.
        copies: Number of images that have a copy in another split, and the metrics without them; None for episodes, and
            where no ledger ships for the dataset.
        schema: Version of this schema.
        predictions: The probabilities, in the form of `stored`; only until `save` has written them into a file.
    """

    __pydantic_config__ = {  # noqa: RUF012
        "extra": "forbid",
        "ser_json_inf_nan": "null",
        "arbitrary_types_allowed": True,
    }
    dataset: str
    task: str
    kind: Annotated[
        Literal["binary", "multiclass", "multilabel", "ordinal"], Field(validation_alias=AliasChoices("kind", "target"))
    ]
    split: str
    protocol: str
    method: str
    model: str
    metrics: dict[str, Measured]
    interval: str
    images: int
    fingerprint: dict[str, str]
    episodes: str | None = None
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, dict[str, Measured]] = field(default_factory=dict)
    confusion: list[list[int]] | None = None
    per_episode: dict[str, list[float | None]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)
    extra: dict[str, Any] = field(default_factory=dict)
    copies: Copies | None = None
    schema: Literal[1, 2, 3] = 3
    predictions: pa.Table | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", SCHEMA)

    def __repr__(self) -> str:
        first = next(iter(self.metrics), None)
        value = "" if first is None else f": {first} {self.metrics[first]}"
        return f"<Result {self.method} on {self.dataset}/{self.task}, {self.split}{value}>"

    def _repr_html_(self) -> str:
        rows = [(name, str(measured)) for name, measured in self.metrics.items()]
        caption = f"{self.method} on {self.dataset}/{self.task}, {self.split}. Intervals: {self.interval}"
        return html_table(caption, ("metric", "value"), rows)

    @classmethod
    def of_scores(
        cls,
        task: Task,
        scores: np.ndarray,
        rows: Dataset,
        *,
        split: str,
        resamples: int = RESAMPLES,
        **about: Unpack[About],
    ) -> Result:
        """Evaluate predictions of a split: all metrics, with bootstrap intervals over its subjects.

        Args:
            task: The task.
            scores: Probabilities of every row, as for `evaluate_scores`; rows without a known label are left out.
            rows: The split as `medimeta.load_dataset` gives it, with all columns.
            split: Name of the split.
            resamples: Number of resamples of the bootstrap; 0 leaves the intervals out.
            **about: `protocol`, `method`, `model`, and where there are some `seed`, `settings` and `extra`, as in
                `Result`. "absent" is added to `extra`: the labels that no row has, if any.

        Raises:
            MedIMetaError: If the scores do not fit the rows.
        """
        measured, notes = measuring.split(task, scores, rows, name=split, resamples=resamples)
        return cls._of(task, about, notes, split=split, **measured)

    @classmethod
    def of_episode_scores(
        cls,
        episodes: EpisodeSet,
        scores: Sequence[np.ndarray],
        rows: Dataset | None = None,
        **about: Unpack[About],
    ) -> Result:
        """Evaluate predictions of the query sets of episodes: means over episodes, with intervals and classes.

        Args:
            episodes: The episodes.
            scores: Probabilities of each query set, in order, for the classes of the episode; see `evaluate_scores`.
            rows: The split from which the episodes were drawn, with all columns; by default `episodes.rows`. Without
                it predictions are not stored.
            **about: As for `of_scores`. "undefined" is added to `extra`: the number of episodes without a value per
                metric, if any.

        Raises:
            MedIMetaError: If scores do not fit the episodes.
        """
        values, classes, checked = measuring.query_sets(episodes, scores)
        rows = episodes.rows if rows is None else rows
        predictions = None if rows is None else stored.table_of_episodes(episodes, checked, rows)
        return replace(cls.of_episodes(episodes, values, **about), classes=classes, predictions=predictions)

    @classmethod
    def of_episodes(
        cls, episodes: EpisodeSet, values: Mapping[str, Sequence[float] | np.ndarray], **about: Unpack[About]
    ) -> Result:
        """Return the result of values measured on query sets: means over episodes, +- 1.96 standard errors.

        Prefer `of_episode_scores`, which also keeps predictions and measures each class.

        Args:
            episodes: The episodes.
            values: Per metric, a number for each of them in order; NaN where it is not defined.
            **about: As for `of_episode_scores`.

        Raises:
            MedIMetaError: If there is not one number per episode.
        """
        measured, notes = measuring.episodes(episodes, values)
        return cls._of(episodes.task, about, notes, split=episodes.split, **measured)

    @classmethod
    def _of(cls, task: Task, about: About, notes: Mapping[str, Any], **measured: Any) -> Result:
        given: dict[str, Any] = {**about, "settings": dict(about.get("settings") or {})}
        given["extra"] = {**notes, **(about.get("extra") or {})}
        return cls(dataset=task.dataset, task=task.name, kind=task.kind, **measured, **given)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as it is saved: plain values, None for what is not a finite number."""
        content: dict[str, Any] = plain(asdict(replace(self, predictions=None)))
        del content["predictions"]
        return content

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the result as JSON, and before it its predictions, if it has some, as Parquet; each file atomically.

        Args:
            path: The JSON file; predictions get its name with the ending .predictions.parquet.

        Raises:
            MedIMetaError: If `settings` or `extra` hold a value that cannot be written as JSON.
        """
        path = Path(path)
        try:
            text = json.dumps(self.as_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        except TypeError as error:
            raise MedIMetaError(f"The result cannot be written as JSON: {error}. Put plain values into it.") from error
        if self.predictions is not None and not is_special(path):  # next to /dev/stdout is no place for a file
            stored.write(self.predictions, stored.path_next_to(path))
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """Return the result in a file written by `save`, in this or an earlier version.

        Raises:
            MedIMetaError: If the file cannot be read; the message names the keys that are missing, unknown or wrong.
        """
        return read_as(cls, path, f"result of schema {SCHEMA}")


def results(paths: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, Result]]:
    """Return the results in files and folders.

    Args:
        paths: Files, and folders that are searched for files called result.json, at any depth.

    Returns:
        Each file once, with its result, in the order of the paths, then of file names.

    Raises:
        MedIMetaError: If a folder has no result, or a file is unusable.
    """
    loaded: dict[Path, Result] = {}
    for path in map(Path, paths):
        files = sorted(path.rglob(FILE)) if path.is_dir() else [path]
        if not files:
            raise MedIMetaError(f"{path} has no {FILE}. Name the files, or the folder that a script wrote to.")
        loaded |= {file: Result.load(file) for file in files if file not in loaded}
    return list(loaded.items())
