"""Results: what was measured, on what, by whom, in one schema for all protocols, as JSON.

A script that evaluates a test split writes its result like this:

    rows = medimeta.load_dataset("bus", split="test")  # all columns: they identify the data
    task = medimeta.DATASETS["bus"].task("case category")
    found = Result.of_scores(
        task, probabilities, rows, split="test", protocol="supervised", method="fine-tuning", model="vit-base", seed=0,
        settings={"lr": 1e-4, "batch_size": 64},
    )
    found.save(folder / "result.json")

and one that evaluates few-shot episodes, with a number per episode:

    episodes = medimeta.EpisodeSet.load("bus.parquet", rows)
    found = Result.of_episodes(
        episodes, {"auroc": aurocs, "accuracy": accuracies}, protocol="few-shot", method="IM-PT", model="resnet18",
        seed=0, settings={"lr": 1e-3, "steps": 50},
    )

What a protocol has besides (a training history, times) goes into `extra`.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from datasets import Dataset

import medimeta

from ..cards.catalogue import Task
from ..cards.errors import MedIMetaError
from ..upload.atomic import whole_file
from .episode_set import EpisodeSet
from .intervals import RESAMPLES, Measured, bootstrap, groups, mean_interval
from .metrics import absent_labels, check_scores, evaluate_scores
from .rows import fingerprint, labels_and_subjects

FILE = "result.json"
SCHEMA = 1
_PACKAGES = ("datasets", "numpy", "scikit-learn", "torch", "transformers", "accelerate")


@dataclass(frozen=True)
class Result:
    """What one method measured on one task.

    Attributes:
        dataset: Id of the dataset.
        task: Name of the task.
        target: Its kind: "binary", "multiclass", "multilabel", "ordinal".
        split: The split that was evaluated.
        protocol: By which rules, e.g. "supervised" or "few-shot"; only results of one protocol are compared.
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
    versions: dict[str, str] = field(default_factory=lambda: versions())
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
        protocol: str,
        method: str,
        model: str,
        seed: int | None = None,
        settings: Mapping[str, Any] | None = None,
        resamples: int = RESAMPLES,
        extra: Mapping[str, Any] | None = None,
    ) -> Result:
        """Evaluate predictions of a split: all metrics, with bootstrap intervals over its subjects.

        Args:
            task: The task.
            scores: Probabilities of every row, as for `evaluate_scores`; rows without a known label are left out.
            rows: The split as `medimeta.load_dataset` gives it, with all columns.
            split: Its name.
            protocol: See `Result`.
            method: See `Result`.
            model: See `Result`.
            seed: See `Result`.
            settings: See `Result`.
            resamples: Of the bootstrap; 0 leaves the intervals out.
            extra: See `Result`; "absent" is added, the labels that no row has, where there are any.

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
        return cls(
            dataset=task.dataset,
            task=task.name,
            target=task.target,
            split=split,
            protocol=protocol,
            method=method,
            model=model,
            metrics={name: Measured(value, *ends.get(name, (None, None))) for name, value in found.items()},
            interval=_bootstrap_in_words(subjects, resamples),
            images=len(labels),
            fingerprint=fingerprint(rows, task),
            seed=seed,
            settings=dict(settings or {}),
            extra={**({"absent": absent} if absent else {}), **(extra or {})},
        )

    @classmethod
    def of_episodes(
        cls,
        episodes: EpisodeSet,
        values: Mapping[str, Sequence[float] | np.ndarray],
        *,
        protocol: str,
        method: str,
        model: str,
        seed: int | None = None,
        settings: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Result:
        """Sum up what was measured on the query sets of episodes: means over episodes, +- 1.96 standard errors.

        Args:
            episodes: The episodes.
            values: Per metric, a number for each of them in order; NaN where it is not defined.
            protocol: See `Result`.
            method: See `Result`.
            model: See `Result`.
            seed: See `Result`.
            settings: See `Result`.
            extra: See `Result`; "undefined" is added, the number of episodes without a value per metric, if any.

        Raises:
            MedIMetaError: If there is not one number per episode.
        """
        for name, given in values.items():
            if len(given) != len(episodes):
                raise MedIMetaError(f"{len(given)} values of {name} for {len(episodes)} episodes. Give one for each.")
        undefined = {name: int(np.isnan(given).sum()) for name, given in values.items() if np.isnan(given).any()}
        task = episodes.task
        return cls(
            dataset=task.dataset,
            task=task.name,
            target=task.target,
            split=episodes.split,
            protocol=protocol,
            method=method,
            model=model,
            metrics={name: mean_interval(given) for name, given in values.items()},
            interval=f"95 %, mean +- 1.96 standard errors over {len(episodes):,} episodes",
            images=episodes.about["rows"],
            fingerprint=episodes.about["fingerprint"],
            episodes=episodes.sha256,
            seed=seed,
            settings=dict(settings or {}),
            extra={**({"undefined": undefined} if undefined else {}), **(extra or {})},
        )

    def as_dict(self) -> dict[str, Any]:
        """The result as it is saved: plain values, None for what is not a finite number."""
        found: dict[str, Any] = _plain(asdict(self))
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
        from pydantic import TypeAdapter, ValidationError

        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MedIMetaError(f"{path} cannot be read: {error}.") from error
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            lines = [f"  {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
            raise MedIMetaError(
                "\n".join([f"{path} is no result of schema {SCHEMA}; {len(lines)} key(s) do not fit:", *lines])
            ) from None


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


def versions() -> dict[str, str]:
    """The versions of Python, medimeta and the packages that numbers may depend on, where they are installed."""
    found = {"python": platform.python_version(), "medimeta": medimeta.__version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _bootstrap_in_words(subjects: Sequence[str | None], resamples: int) -> str:
    if not resamples:
        return "none"
    units = int(groups(subjects, len(subjects)).max()) + 1
    alone = sum(subject is None for subject in subjects)
    what = f"{units:,} images" if alone == len(subjects) else f"{units - alone:,} subjects"
    if 0 < alone < len(subjects):
        what += f" and {alone:,} images without a known subject"
    return f"95 %, percentile bootstrap over {what}, {resamples:,} resamples"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value
