"""Predictions in a file: from a table of probabilities, logits or labels to a `Result`.

A CSV, Parquet or Excel file has a row per image and these columns; others are ignored:

    index        the image's number, as in the column `index` of the dataset; without it, rows in the split's order
    <label>      a column per label, with the label's name: its probability, or with --logits its logit
    probability  instead of these columns, for binary tasks: the probability of the second label
    prediction   instead of probabilities: name or id of the predicted label; AUROC and the like are then left out

CSV cells may be separated by commas, semicolons, tabs or bars, and numbers may have a decimal comma.

To evaluate episodes, add a column `episode` with the number of the episode that a row belongs to. There is a row per
query image, with values for the classes of the episode; cells of other labels may be empty. The predictions stored
with results have this format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError, some
from ..episodes.episode_set import EpisodeSet
from ..episodes.recipe import task_of
from ..episodes.rows import labels_and_subjects
from .measures.calibration import scaled, temperature
from .measures.metrics import RANKING
from .measures.scores import first_without_sum_one, probabilities
from .results import FULL_SUPERVISION, Result, few_shot_protocol
from .tables import SEPARATORS, numbers, read_table


@dataclass(frozen=True)
class Predictions:
    """A file of predictions for one task.

    Attributes:
        path: The file, for messages.
        table: Its rows.
        task: The task.
        logits: Whether the numbers are logits.
        temperature: Temperature that logits (or the logits of probabilities) are divided by; None leaves predictions
            as they are.
    """

    path: Path
    table: pd.DataFrame
    task: Task
    logits: bool = False
    temperature: float | None = None

    @classmethod
    def read(cls, path: Path, task: Task, *, logits: bool = False) -> Predictions:
        """Read a file.

        Args:
            path: CSV, Parquet or Excel, by its name; see `read_table`.
            task: The task that was predicted.
            logits: Whether the numbers are logits.

        Raises:
            MedIMetaError: If it cannot be read, or columns are missing.
        """
        table = read_table(path, (*task.labels, "index", "episode", "prediction", "probability"))
        given = cls(path, table, task, logits)
        missing = [label for label in task.labels if label not in table.columns]
        alone = ["prediction"] if task.kind != "multilabel" else []
        alone += ["probability"] if task.kind == "binary" else []
        if missing and not set(alone) & set(table.columns):
            other = f", or one called {' or '.join(alone)}" if alone else ""
            hint = ""
            if len(table.columns) == 1:
                hint = f". It has one column: separate cells by {', '.join(SEPARATORS.values())}"
            raise given.wrong(f"needs a column per label of {task.name!r}{other}; missing: {some(missing)}{hint}")
        return given

    @property
    def only_labels(self) -> bool:
        """Whether there are no probabilities."""
        return "probability" not in self.table and not set(self.task.labels) <= set(self.table.columns)

    def result(
        self,
        rows: Dataset,
        *,
        split: str,
        episodes: Path | None = None,
        resamples: int,
        protocol: str | None = None,
        about: Mapping[str, Any],
    ) -> Result:
        """Evaluate the predictions.

        Args:
            rows: The split, with all columns.
            split: Its name.
            episodes: A file of episodes, if their query sets were predicted.
            resamples: Of the bootstrap over subjects; unused for episodes.
            protocol: Its name; by default full supervision, or few-shot with the number of shots, as scripts call it.
            about: Method, model, seed, settings; see `Result`.

        Raises:
            MedIMetaError: If a row has no prediction or several, or a value does not fit; it is named.
        """
        if episodes is None:
            return self.of_split(rows, split=split, resamples=resamples, protocol=protocol or FULL_SUPERVISION, **about)
        drawn = EpisodeSet.load(episodes, rows)
        names = [f"{task.dataset} / {task.name}" for task in (drawn.task, self.task)]
        if names[0] != names[1]:
            raise MedIMetaError(f"{episodes} holds episodes of {names[0]}, not of {names[1]}.")
        return self.of_episodes(drawn, rows, protocol=protocol or few_shot_protocol(drawn), **about)

    def calibrated(self, held_out: Predictions, rows: Dataset) -> Predictions:
        """Return the predictions with the temperature that fits others; see `measures.calibration`.

        Args:
            held_out: Predictions of the validation split by the same model.
            rows: The validation split, with all columns.

        Raises:
            MedIMetaError: If a row has no prediction or several, a value does not fit, or there are no probabilities.
        """
        if self.only_labels or held_out.only_labels:
            raise self.wrong("or the predictions of validation hold labels only; calibration needs probabilities")
        scores = held_out.scores(_indices(rows), held_out.table, self.task)
        return replace(self, temperature=temperature(self.task, scores, labels_and_subjects(rows, self.task)[0]))

    def of_split(self, rows: Dataset, **about: Any) -> Result:
        """Evaluate predictions for all rows of a split; `about` as for `Result.of_scores`.

        Raises:
            MedIMetaError: If a row has no prediction or several, or a value does not fit; it is named.
        """
        if "episode" in self.table:
            raise self.wrong("has a column episode. Name the episode set too: --episodes FILE")
        scores = self.scores(_indices(rows), self.table, self.task)
        if self.temperature is not None:
            scores = scaled(self.task, scores, self.temperature)
        result = Result.of_scores(self.task, scores, rows, **about)
        return self._without_ranking(result)

    def of_episodes(self, episodes: EpisodeSet, rows: Dataset, **about: Any) -> Result:
        """Evaluate predictions for the query sets of episodes; `about` as for `Result.of_episode_scores`.

        Raises:
            MedIMetaError: As for `of_split`.
        """
        if not {"episode", "index"} <= set(self.table.columns):
            raise self.wrong("needs the columns episode and index, which identify the query image of a row")
        indices = _indices(rows)
        parts: dict[Any, pd.DataFrame] = dict(
            list(self.table.groupby(self._numbers(self.table["episode"], logits=True)))
        )
        if unknown := sorted(set(parts) - {episode.number for episode in episodes}):
            raise self.wrong(
                f"has predictions for episodes that are not in the set: {some([f'{n:g}' for n in unknown])}"
            )
        scores = []
        for episode in episodes:
            if (part := parts.get(episode.number)) is None:
                raise self.wrong(f"has no predictions for episode {episode.number}")
            asked = task_of(self.task, episode.classes)
            scores.append(self.scores(indices[episode.query], part, asked, f" of episode {episode.number}"))
        return self._without_ranking(Result.of_episode_scores(episodes, scores, rows, **about))

    def scores(self, indices: np.ndarray, table: pd.DataFrame, task: Task, where: str = "") -> np.ndarray:
        """Return probabilities in the order of some images.

        Args:
            indices: The images' values of `index`, shape (N,).
            table: Rows of the file.
            task: The task, or what an episode asks of it.
            where: Which images these are, for messages.

        Returns:
            float64, shape (N, k).
        """
        table = self._in_order(indices, table, where)
        if self.only_labels:
            return np.eye(len(task.labels))[[self._label(cell, row, task) for row, cell in table["prediction"].items()]]
        lone = not set(task.labels) <= set(table.columns)
        names = ["probability"] if lone else list(task.labels)
        values = np.stack([self._numbers(table[name], logits=self.logits) for name in names], axis=1)
        if self.logits:
            return probabilities(task, values[:, 0] if lone else values)
        if lone:
            return np.concatenate([1 - values, values], axis=1)
        if (row := first_without_sum_one(task, values)) is not None:
            raise self.wrong(
                f"row {table.index[row]}: the probabilities of {task.name!r} sum to {values[row].sum():.4g}, not 1. "
                "If they are logits, add --logits"
            )
        return values

    def wrong(self, what: str) -> MedIMetaError:
        """Return an error about this file."""
        return MedIMetaError(f"{self.path} {what}.")

    def _in_order(self, indices: np.ndarray, table: pd.DataFrame, where: str) -> pd.DataFrame:
        if "index" not in table:
            if len(table) != len(indices):
                raise self.wrong(
                    f"has {len(table):,} rows for {len(indices):,} images{where}. Add a column index, or a row for each"
                )
            return table
        given = pd.Series(self._numbers(table["index"], logits=True), index=table.index)
        for problem, rows in (
            ("is predicted twice", given[given.duplicated()]),
            (f"is not an image{where or ' of the split'}", given[~given.isin(indices)]),
        ):
            if len(rows):
                raise self.wrong(f"row {rows.index[0]}: index {rows.iloc[0]:g} {problem} ({len(rows):,} such row(s))")
        if len(missing := indices[~np.isin(indices, given)]):
            raise self.wrong(f"has no prediction for {len(missing):,} images{where}: index {some(missing.tolist())}")
        position = pd.Series(table.index, index=given.astype(int))
        return table.loc[position.loc[indices]]

    def _numbers(self, column: pd.Series, *, logits: bool) -> np.ndarray:
        values = numbers(column)
        fits = np.isfinite(values) if logits else (values >= -1e-3) & (values <= 1 + 1e-3)
        if (off := np.flatnonzero(~fits)).size:
            row, cell = column.index[off[0]], _shown(column.tolist()[off[0]])
            wanted = "a number" if logits else "a probability, 0 to 1"
            hint = ". If these are logits, add --logits" if not logits and np.isfinite(values[off[0]]) else ""
            raise self.wrong(f"row {row}, column {column.name!r}: {cell} is not {wanted}{hint}")
        return values if logits else values.clip(0, 1)

    def _label(self, cell: Any, row: Any, task: Task) -> int:
        if isinstance(cell, str) and cell in task.labels:
            return task.labels.index(cell)
        known = self.task.labels  # an id is one of the whole task
        number = numbers(pd.Series([cell]))[0]
        if number in range(len(known)) and known[int(number)] in task.labels:
            return task.labels.index(known[int(number)])
        ids = f"0 to {len(known) - 1}"
        raise self.wrong(
            f"row {row}: prediction {_shown(cell)} is neither an id, {ids}, nor one of: {', '.join(task.labels)}"
        )

    def _without_ranking(self, result: Result) -> Result:
        """Leave out the metrics that need probabilities if there are only predicted labels."""
        if not self.only_labels:
            return result

        def kept(values: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in values.items() if name not in RANKING}

        return replace(
            result,
            metrics=kept(result.metrics),
            per_episode=kept(result.per_episode),
            classes={label: kept(of_class) for label, of_class in result.classes.items()},
            copies=result.copies and replace(result.copies, without=kept(result.copies.without)),
        )


def _shown(cell: Any) -> str:
    """Return a cell for a message: shortened, quoted unless it is a number."""
    text = str(cell)
    if pd.isna(cell):
        return "an empty cell"
    if np.isfinite(numbers(pd.Series([cell]))[0]):
        return text
    return repr(text) if len(text) <= 40 else f"{text[:20]!r}... ({len(text)} characters)"


def _indices(rows: Dataset) -> np.ndarray:
    return np.asarray(rows.select_columns(["index"]).with_format("numpy")[:]["index"])
