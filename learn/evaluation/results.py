"""Results: what was measured, on what, by whom, in one schema for all protocols, as JSON.

A script that evaluates a test split writes its result like this:

    rows = medimeta.load_dataset("bus", split="test")  # all columns: they identify the data
    task = medimeta.DATASETS["bus"].task("case category")
    found = Result.of_scores(
        task, probabilities, rows, split="test", protocol=FULL_SUPERVISION, method="fine-tuning",
        model="vit-base", seed=0, settings={"lr": 1e-4, "batch_size": 64},
    )
    found.save(folder / "result.json")

and one that evaluates few-shot episodes, with a number per episode:

    episodes = medimeta.EpisodeSet.load("bus.parquet", rows)
    found = Result.of_episodes(
        episodes, {"auroc": aurocs, "accuracy": accuracies}, protocol=few_shot_protocol(episodes), method="IM-PT",
        model="resnet18", seed=0, settings={"lr": 1e-3, "steps": 50},
    )

What a protocol has besides (a training history, times) goes into `extra`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, Unpack

import numpy as np
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ...files.json_values import plain, read_as
from ..episodes.episode_set import EpisodeSet
from ..episodes.rows import fingerprint, labels_and_subjects
from .intervals import RESAMPLES, Measured, bootstrap, bootstrap_in_words, mean_interval
from .metrics import absent_labels, check_scores, evaluate_scores
from .versions import versions

FILE = "result.json"
FULL_SUPERVISION = "full supervision"  # results are compared when their protocols are called the same
SCHEMA = 1


class About(TypedDict):
    """What a script knows of its result, besides the numbers; the keys are those of `Result`."""

    protocol: str
    method: str
    model: str
    seed: NotRequired[int | None]
    settings: NotRequired[Mapping[str, Any] | None]
    extra: NotRequired[Mapping[str, Any] | None]


def few_shot_protocol(episodes: EpisodeSet) -> str:
    """The name of the protocol of an episode set: "few-shot, 5 shots"."""
    return f"few-shot, {episodes.shots} shots"


@dataclass(frozen=True)
class Result:
    """What one method measured on one task.

    Attributes:
        dataset: Id of the dataset.
        task: Name of the task.
        target: Its kind: "binary", "multiclass", "multilabel", "ordinal".
        split: The split that was evaluated.
        protocol: By which rules: `FULL_SUPERVISION`, what `few_shot_protocol` gives, or another name. Only results of
            one protocol are compared.
        method: What is compared: the name that tables show.
        model: The network, a checkpoint's name or a description.
        metrics: The measured numbers with their intervals, by name.
        interval: How the intervals were made, in words.
        images: Number of images that were evaluated; of episodes, of the split that they were drawn from.
        fingerprint: SHA-256 of labels, subjects, numbers and files of the split, per column; see `rows.fingerprint`.
        episodes: SHA-256 of the episode set; None where there are no episodes.
        seed: Of training; None where nothing is random.
        settings: What else decides the numbers: learning rate, steps, augmentation.
        versions: Of Python and the packages.
        extra: Anything else that is worth keeping, ready for JSON.
        schema: Version of this schema.
    """

    __pydantic_config__ = {"extra": "forbid", "ser_json_inf_nan": "null"}  # noqa: RUF012
    dataset: str
    task: str
    target: Literal["binary", "multiclass", "multilabel", "ordinal"]
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
    versions: dict[str, str] = field(default_factory=versions)
    extra: dict[str, Any] = field(default_factory=dict)
    schema: Literal[1] = 1

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
            split: Its name.
            resamples: Of the bootstrap; 0 leaves the intervals out.
            **about: `protocol`, `method`, `model`, and where there are some `seed`, `settings` and `extra`, as in
                `Result`. To `extra` "absent" is added, the labels that no row has, if any.

        Raises:
            MedIMetaError: If the scores do not fit the rows.
        """
        labels, subjects = labels_and_subjects(rows, task)
        scores = check_scores(scores, task, len(labels))
        known = ~np.isnan(labels).all(axis=1) if labels.ndim == 2 else labels >= 0
        if not known.any():
            raise MedIMetaError(f"No row of {task.dataset}, split {split}, has a known label of {task.name!r}.")
        scores, labels = scores[known], labels[known]
        subjects = [subject for subject, here in zip(subjects, known, strict=True) if here]
        found = evaluate_scores(task, scores, labels)
        del found["absent"]
        ends = bootstrap(task, scores, labels, subjects, resamples=resamples) if resamples else {}
        absent = absent_labels(task, labels)
        return cls._of(
            task,
            about,
            {"absent": absent} if absent else {},
            split=split,
            metrics={name: Measured(value, *ends.get(name, (None, None))) for name, value in found.items()},
            interval=bootstrap_in_words(subjects, resamples),
            images=len(labels),
            fingerprint=fingerprint(rows, task),
        )

    @classmethod
    def of_episodes(
        cls, episodes: EpisodeSet, values: Mapping[str, Sequence[float] | np.ndarray], **about: Unpack[About]
    ) -> Result:
        """Sum up what was measured on the query sets of episodes: means over episodes, +- 1.96 standard errors.

        Args:
            episodes: The episodes.
            values: Per metric, a number for each of them in order; NaN where it is not defined.
            **about: As for `of_scores`. To `extra` "undefined" is added, the number of episodes without a value per
                metric, if any.

        Raises:
            MedIMetaError: If there is not one number per episode.
        """
        for name, given in values.items():
            if len(given) != len(episodes):
                raise MedIMetaError(f"{len(given)} values of {name} for {len(episodes)} episodes. Give one for each.")
        undefined = {name: int(np.isnan(given).sum()) for name, given in values.items() if np.isnan(given).any()}
        return cls._of(
            episodes.task,
            about,
            {"undefined": undefined} if undefined else {},
            split=episodes.split,
            metrics={name: mean_interval(given) for name, given in values.items()},
            interval=f"95 %, mean +- 1.96 standard errors over {len(episodes):,} episodes",
            images=episodes.about["rows"],
            fingerprint=episodes.about["fingerprint"],
            episodes=episodes.sha256,
        )

    @classmethod
    def _of(cls, task: Task, about: About, found: Mapping[str, Any], **measured: Any) -> Result:
        """A result: its task, what was measured, what is said about it, and what was found for the extras."""
        told: dict[str, Any] = {**about, "settings": dict(about.get("settings") or {})}
        told["extra"] = {**found, **(about.get("extra") or {})}
        return cls(dataset=task.dataset, task=task.name, target=task.kind, **measured, **told)

    def as_dict(self) -> dict[str, Any]:
        """The result as it is saved: plain values, None for what is not a finite number."""
        found: dict[str, Any] = plain(asdict(self))
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, in a file that appears, or is replaced, only when it is whole.

        Raises:
            MedIMetaError: If `settings` or `extra` hold what JSON has no form for.
        """
        try:
            text = json.dumps(self.as_dict(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        except TypeError as error:
            raise MedIMetaError(f"The result cannot be written as JSON: {error}. Put plain values into it.") from error
        with whole_file(Path(path)) as partial:
            partial.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """Read what `save` wrote.

        Raises:
            MedIMetaError: Naming the file and the keys that are missing, unknown or wrong.
        """
        return read_as(cls, path, f"result of schema {SCHEMA}")


def results(paths: Iterable[str | os.PathLike[str]]) -> list[tuple[Path, Result]]:
    """Read many results.

    Args:
        paths: Files, and folders that are searched for files called result.json, at any depth.

    Returns:
        Each file, once, with its result, in the order of the paths, then of file names.

    Raises:
        MedIMetaError: If there is none in a folder, or one is unusable.
    """
    found: dict[Path, Result] = {}
    for path in map(Path, paths):
        files = sorted(path.rglob(FILE)) if path.is_dir() else [path]
        if not files:
            raise MedIMetaError(f"{path} holds no {FILE}. Name the files, or the folder that a script wrote to.")
        found |= {file: Result.load(file) for file in files if file not in found}
    return list(found.items())
