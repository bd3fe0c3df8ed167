"""Predictions in a file: from a table of probabilities, logits or labels to a `Result`.

A CSV or Parquet file has a row per image and these columns; others are ignored:

    index        the image's number, as in the column `index` of the dataset; without it, rows in the split's order
    <label>      a column per label of the task, called like it: its probability, or, said so, its logit
    probability  for binary tasks instead of those: the probability of the second label
    prediction   instead of probabilities: the predicted label, its name or its id; metrics that rank are left out

To evaluate episodes, a column `episode` says which one a row belongs to. A row per query image is wanted, with numbers
for the episode's classes; those of other labels may be empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError, some
from ..episodes.episode_set import EpisodeSet
from .metrics import evaluate_scores, probabilities
from .results import FULL_SUPERVISION, Result, few_shot_protocol

RANKING = ("auroc", "average_precision", "calibration_error")  # say nothing where only labels are predicted


@dataclass(frozen=True)
class Predictions:
    """A file of predictions for one task.

    Attributes:
        path: The file, for messages.
        table: Its rows.
        task: The task.
        logits: Whether the numbers are logits.
    """

    path: Path
    table: pd.DataFrame
    task: Task
    logits: bool = False

    @classmethod
    def read(cls, path: Path, task: Task, *, logits: bool = False) -> Predictions:
        """Read a file.

        Args:
            path: CSV, or Parquet if it is called so.
            task: The task that was predicted.
            logits: Whether the numbers are logits.

        Raises:
            MedIMetaError: If it cannot be read, or columns are missing.
        """
        try:
            table = pd.read_parquet(path) if path.suffix in (".parquet", ".pq") else pd.read_csv(path)
        except (OSError, ValueError) as error:
            why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read as a table ({error})"
            raise MedIMetaError(
                f"{path} {why}. Give a CSV or Parquet file with a row per image; its columns: medimeta evaluate --help"
            ) from error
        found = cls(path, table, task, logits)
        given = [label for label in task.labels if label in table.columns]
        lone = {"prediction"} if task.kind != "multilabel" else set()
        lone |= {"probability"} if task.kind == "binary" else set()
        if len(given) < len(task.labels) and not lone & set(table.columns):
            missing = [label for label in task.labels if label not in given]
            other = f", or one called {' or '.join(sorted(lone))}" if lone else ""
            raise found.wrong(f"needs a column per label of {task.name!r}{other}; missing: {some(missing)}")
        return found

    @property
    def only_labels(self) -> bool:
        """Whether there are no probabilities."""
        return "probability" not in self.table and not set(self.task.labels) <= set(self.table.columns)

    def of_split(self, rows: Dataset, **about: Any) -> Result:
        """The result of predictions for all rows of a split; `about` as for `Result.of_scores`.

        Raises:
            MedIMetaError: If a row has no prediction or several, or a value does not fit; it is named.
        """
        if "episode" in self.table:
            raise self.wrong("has a column episode. Name the episode set too: --episodes FILE")
        numbers = rows.select_columns(["index"]).with_format("numpy")[:]["index"]
        found = Result.of_scores(self.task, self.scores(numbers, self.table, self.task), rows, **about)
        return self._without_ranking(found)

    def of_episodes(self, episodes: EpisodeSet, rows: Dataset, **about: Any) -> Result:
        """The result of predictions for the query sets of episodes; `about` as for `Result.of_episodes`.

        Raises:
            MedIMetaError: As for `of_split`.
        """
        if not {"episode", "index"} <= set(self.table.columns):
            raise self.wrong("needs the columns episode and index to say which query image a row is about")
        numbers = rows.select_columns(["index"]).with_format("numpy")[:]["index"]
        parts: dict[Any, pd.DataFrame] = dict(list(self.table.groupby("episode")))
        if unknown := sorted(set(parts) - {episode.number for episode in episodes}):
            raise self.wrong(f"has predictions for episodes that are not in the set: {some(unknown)}")
        found: dict[str, list[float]] = {}
        for episode in episodes:
            if (part := parts.get(episode.number)) is None:
                raise self.wrong(f"has no predictions for episode {episode.number}")
            task = of_classes(self.task, episode.classes)
            where = f" of episode {episode.number}"
            scores = self.scores(numbers[episode.query], part, task, where)
            for name, value in evaluate_scores(task, scores, episode.query_labels).items():
                found.setdefault(name, []).append(value)
        del found["absent"]
        return self._without_ranking(Result.of_episodes(episodes, found, **about))

    def scores(self, numbers: np.ndarray, table: pd.DataFrame, task: Task, where: str = "") -> np.ndarray:
        """Probabilities in the order of some images.

        Args:
            numbers: The images' values of `index`, shape (N,).
            table: Rows of the file.
            task: The task, or what an episode asks of it.
            where: Which images these are, for messages.

        Returns:
            float64, shape (N, k).
        """
        table = self._in_order(numbers, table, where)
        if self.only_labels:
            return np.eye(len(task.labels))[[self._label(cell, row, task) for row, cell in table["prediction"].items()]]
        lone = not set(task.labels) <= set(table.columns)
        names = ["probability"] if lone else list(task.labels)
        values = np.stack([self._numbers(table[name], logits=self.logits) for name in names], axis=1)
        if self.logits:
            return probabilities(task, values[:, 0] if lone else values)
        if lone:
            return np.concatenate([1 - values, values], axis=1)
        if task.kind != "multilabel" and (off := np.flatnonzero(np.abs(values.sum(axis=1) - 1) > 0.01)).size:
            raise self.wrong(
                f"row {table.index[off[0]]}: the probabilities of {task.name!r} sum to {values[off[0]].sum():.4g}, "
                "not 1. If they are logits, say --logits"
            )
        return values

    def wrong(self, what: str) -> MedIMetaError:
        """An error about this file."""
        return MedIMetaError(f"{self.path} {what}.")

    def _in_order(self, numbers: np.ndarray, table: pd.DataFrame, where: str) -> pd.DataFrame:
        if "index" not in table:
            if len(table) != len(numbers):
                raise self.wrong(
                    f"has {len(table):,} rows for {len(numbers):,} images{where}. Add a column index, or a row for each"
                )
            return table
        given = pd.Series(self._numbers(table["index"], logits=True), index=table.index)
        for problem, rows in (
            ("is predicted twice", given[given.duplicated()]),
            (f"is no image{where or ' of the split'}", given[~given.isin(numbers)]),
        ):
            if len(rows):
                raise self.wrong(f"row {rows.index[0]}: index {rows.iloc[0]:g} {problem} ({len(rows):,} such row(s))")
        if len(missing := numbers[~np.isin(numbers, given)]):
            raise self.wrong(f"has no prediction for {len(missing):,} images{where}: index {some(missing.tolist())}")
        position = pd.Series(table.index, index=given.astype(int))
        return table.loc[position.loc[numbers]]

    def _numbers(self, column: pd.Series, *, logits: bool) -> np.ndarray:
        values = np.asarray(pd.to_numeric(column, errors="coerce"), np.float64)
        fits = np.isfinite(values) if logits else (values >= -1e-3) & (values <= 1 + 1e-3)
        if (off := np.flatnonzero(~fits)).size:
            row, cell = column.index[off[0]], column.tolist()[off[0]]
            wanted = "a number" if logits else "a probability, 0 to 1"
            hint = ". If these are logits, say --logits" if not logits and np.isfinite(values[off[0]]) else ""
            raise self.wrong(f"row {row}, column {column.name!r}: {cell!r} is not {wanted}{hint}")
        return values if logits else values.clip(0, 1)

    def _label(self, cell: Any, row: Any, task: Task) -> int:
        if isinstance(cell, str) and cell in task.labels:
            return task.labels.index(cell)
        known = self.task.labels  # an id is one of the whole task
        number = pd.to_numeric(cell, errors="coerce")
        if number in range(len(known)) and known[int(number)] in task.labels:
            return task.labels.index(known[int(number)])
        ids = f"0 to {len(known) - 1}"
        raise self.wrong(
            f"row {row}: prediction {cell!r} is neither an id, {ids}, nor one of: {', '.join(task.labels)}"
        )

    def _without_ranking(self, found: Result) -> Result:
        if not self.only_labels:
            return found
        return replace(found, metrics={name: v for name, v in found.metrics.items() if name not in RANKING})


def of_classes(task: Task, classes: Sequence[int]) -> Task:
    """What an episode asks: the same task with some of its labels, in the episode's order.

    Args:
        task: The task.
        classes: Ids of labels.
    """
    scores = None if task.scores is None else tuple(task.scores[label] for label in classes)
    return replace(task, labels=tuple(task.labels[label] for label in classes), scores=scores)


def read_result(
    path: Path,
    task: Task,
    rows: Dataset,
    *,
    split: str,
    episodes: Path | None = None,
    logits: bool = False,
    resamples: int,
    protocol: str | None = None,
    about: Mapping[str, Any],
) -> Result:
    """Evaluate a file of predictions.

    Args:
        path: The file, see the head of this module.
        task: The task.
        rows: The split, with all columns.
        split: Its name.
        episodes: A file of episodes, where their query sets were predicted.
        logits: Whether the numbers are logits.
        resamples: Of the bootstrap over subjects; unused for episodes.
        protocol: Its name; by default full supervision, or few-shot with the number of shots, as scripts call it.
        about: Method, model, seed, settings; see `Result`.

    Raises:
        MedIMetaError: If a file does not fit.
    """
    given = Predictions.read(path, task, logits=logits)
    if episodes is None:
        return given.of_split(rows, split=split, resamples=resamples, protocol=protocol or FULL_SUPERVISION, **about)
    drawn = EpisodeSet.load(episodes, rows)
    if (drawn.task.dataset, drawn.task.name) != (task.dataset, task.name):
        raise MedIMetaError(
            f"{episodes} holds episodes of {drawn.task.dataset} / {drawn.task.name}, not of {task.dataset} / "
            f"{task.name}."
        )
    return given.of_episodes(drawn, rows, protocol=protocol or few_shot_protocol(drawn), **about)
