"""From predictions to the measured part of a result: metrics, intervals, classes, and the identity of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ..data.exclusion.copies import copied
from ..episodes.episode_set import EpisodeSet
from ..episodes.recipe import task_of
from ..episodes.rows import fingerprint, labels_and_subjects
from . import stored
from .measures.bootstrap import bootstrap, describe, interval, number_of
from .measures.intervals import Measured, episodes_interval
from .measures.metrics import Scored, absent_labels, flat
from .measures.scores import check_scores


@dataclass(frozen=True)
class Copies:
    """Evaluated images that have a copy in another split, which a model may have seen in training.

    Attributes:
        images: Their number, by the ledger that ships with this package; see `copies.copied`.
        without: The metrics of the other images, with their intervals, by name.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    images: int
    without: dict[str, Measured] = field(default_factory=dict)


Classes = dict[str, dict[str, Measured]]


def split(
    task: Task, scores: np.ndarray, rows: Dataset, *, name: str, resamples: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure predictions of a split; see `Result.of_scores`.

    Returns:
        Fields of the result, and entries of its `extra`.

    Raises:
        MedIMetaError: If the scores do not fit the rows, or no row has a known label.
    """
    labels, subjects = labels_and_subjects(rows, task)
    scores = check_scores(scores, task, len(labels))
    known = np.asarray(~np.isnan(labels).all(axis=1) if labels.ndim == 2 else labels >= 0)
    if not known.any():
        raise MedIMetaError(f"No row of {task.dataset}, split {name}, has a known label of {task.name!r}.")
    scored = Scored(task, scores[known], labels[known])
    subjects = [subject for subject, here in zip(subjects, known, strict=True) if here]
    measured = scored.measure()
    resampled = bootstrap(scored, subjects, resamples=resamples) if resamples else None
    units = number_of(subjects)

    metrics = {
        metric: interval(metric, value[0], None if resampled is None else resampled.overall[metric], units)
        for metric, value in measured.overall.items()
    }
    classes: Classes = {label: {} for label in task.labels}
    for metric, values in measured.per_label.items():
        samples = None if resampled is None or metric == "support" else resampled.per_label[metric]
        for j, of_class in enumerate(classes.values()):
            of_class[metric] = interval(metric, values[j, 0], None if samples is None else samples[j], units)
    absent = absent_labels(task, labels[known])
    fields = {
        "metrics": metrics,
        "interval": describe(subjects, resamples),
        "images": len(subjects),
        "fingerprint": fingerprint(rows, task),
        "classes": classes,
        "confusion": None if measured.confusion is None else measured.confusion[..., 0].astype(int).tolist(),
        "predictions": stored.table_of_split(task, scores, rows),
        "copies": _without_copies(scored, subjects, rows, known, resamples=resamples),
    }
    return fields, {"absent": absent} if absent else {}


def _without_copies(
    scored: Scored, subjects: list[str | None], rows: Dataset, known: np.ndarray, *, resamples: int
) -> Copies | None:
    """Measure the rows that have no copy in another split."""
    have = copied(scored.task.dataset, list(rows.with_format(None)["original_filepath"]))
    if have is None:
        return None
    others = ~have[known]
    if not others.any():
        return Copies(int((~others).sum()))
    rest = Scored(scored.task, scored.scores[others], scored.labels[others])
    resampled = None
    kept = [subject for subject, here in zip(subjects, others, strict=True) if here]
    if resamples:
        resampled = bootstrap(rest, kept, resamples=resamples).overall
    metrics = {
        metric: interval(metric, value[0], None if resampled is None else resampled[metric], number_of(kept))
        for metric, value in rest.measure().overall.items()
    }
    return Copies(int((~others).sum()), metrics)


def query_sets(
    episodes: EpisodeSet, scores: Sequence[np.ndarray]
) -> tuple[dict[str, list[float]], Classes, list[np.ndarray]]:
    """Measure predictions of the query sets of episodes; see `Result.of_episode_scores`.

    Returns:
        The value of each metric in each episode; means over the episodes of a class, per class of the task that some
        episode has; and the checked probabilities, a column per class of the episode.

    Raises:
        MedIMetaError: If scores do not fit the episodes.
    """
    if len(scores) != len(episodes):
        raise MedIMetaError(f"Predictions for {len(scores)} of {len(episodes)} episodes. Give those of each.")
    values: dict[str, list[float]] = {}
    of_classes: dict[int, dict[str, list[float]]] = {}
    checked = []
    for episode, given in zip(episodes, scores, strict=True):
        asked = task_of(episodes.task, episode.classes)
        scored = Scored(asked, given, episode.query_labels)
        checked.append(scored.scores)
        measured = scored.measure()
        for metric, value in flat(asked, measured).items():
            values.setdefault(metric, []).append(value)
        for metric, of_labels in measured.per_label.items():
            for label, value in zip(episode.classes, of_labels[:, 0].tolist(), strict=True):
                of_classes.setdefault(label, {}).setdefault(metric, []).append(value)
    del values["absent"]
    classes = {
        episodes.task.labels[label]: {
            metric: Measured(sum(given)) if metric == "support" else episodes_interval(given)
            for metric, given in of_classes[label].items()
        }
        for label in sorted(of_classes)
    }
    return values, classes, checked


def episodes(
    drawn: EpisodeSet, values: Mapping[str, Sequence[float] | np.ndarray]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sum up values per episode; see `Result.of_episodes`.

    Returns:
        Fields of the result, and entries of its `extra`.

    Raises:
        MedIMetaError: If there is not one number per episode.
    """
    for name, given in values.items():
        if len(given) != len(drawn):
            raise MedIMetaError(f"{len(given)} values of {name} for {len(drawn)} episodes. Give one for each.")
    undefined = {name: int(np.isnan(given).sum()) for name, given in values.items() if np.isnan(given).any()}
    fields = {
        "metrics": {name: episodes_interval(given) for name, given in values.items()},
        "interval": f"95 %, mean +- 1.96 standard errors over {len(drawn):,} episodes",
        "images": drawn.about["rows"],
        "fingerprint": drawn.about["fingerprint"],
        "episodes": drawn.sha256,
        "per_episode": {
            name: [float(value) if np.isfinite(value) else None for value in given] for name, given in values.items()
        },
    }
    return fields, {"undefined": undefined} if undefined else {}
