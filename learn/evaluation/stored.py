"""Predicted probabilities as a table, stored next to their result.

A result in `result.json` has its predictions in `result.predictions.parquet`: a row per image (for episodes, per query
image), with the image's `index`, its `subject_id`, the true `label` (an id; for multilabel tasks `labels`, a list of
ids, null where they are unknown), and a column per label of the task, with the label's name, that holds its
probability. Where copies of images are known, the bootstrap draws rows with the same `unit` together. Predictions of
episodes also have the number of the `episode`, and no value for labels that the episode does not have. `medimeta
evaluate` reads this format, so that other metrics and subgroups need no second run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Dataset

from ...builders.shard_files import UNREADABLE_PARQUET
from ...cards.facts import Task
from ...errors import MedIMetaError, some
from ...files.atomic import whole_file
from ..data.exclusion.copies import shipped
from ..data.labels import multi_hot
from ..episodes.episode_set import EpisodeSet
from ..episodes.rows import columns_of, units_of
from .measures.metrics import Scored

UNIT = "unit"


def table_of_split(task: Task, scores: np.ndarray, rows: Dataset) -> pa.Table:
    """Return the predictions for all rows of a split.

    Args:
        task: The task.
        scores: Checked probabilities, shape (N, k).
        rows: The split, with all columns.
    """
    return pa.table({**_identity(task, rows), **dict(zip(task.labels, scores.T, strict=True))})


def table_of_episodes(episodes: EpisodeSet, scores: Sequence[np.ndarray], rows: Dataset) -> pa.Table:
    """Return the predictions for the query images of episodes.

    Args:
        episodes: The episodes.
        scores: Checked probabilities of each query set, shape (q, classes of the episode).
        rows: The split from which they were drawn, with all columns.
    """
    task = episodes.task
    drawn = list(episodes)
    values = np.full((sum(len(one) for one in scores), len(task.labels)), np.nan)
    first = 0
    for episode, of_queries in zip(drawn, scores, strict=True):
        values[first : first + len(of_queries), list(episode.classes)] = of_queries
        first += len(of_queries)
    numbers = np.repeat([episode.number for episode in drawn], [len(episode.query) for episode in drawn])
    queries = pa.table(_identity(task, rows)).take(np.concatenate([episode.query for episode in drawn]))
    for label, column in zip(task.labels, values.T, strict=True):
        queries = queries.append_column(label, pa.array(column, from_pandas=True))
    return queries.add_column(0, "episode", pa.array(numbers))


def path_next_to(result: Path) -> Path:
    """Return the path of the predictions that belong to a result file."""
    return result.with_suffix(".predictions.parquet")


def read(task: Task, path: Path) -> tuple[Scored, pa.Table]:
    """Read the predictions of a split.

    Args:
        task: The task.
        path: A file written by `write`.

    Returns:
        Rows with a known label, and the table of the same rows.

    Raises:
        MedIMetaError: If the file cannot be read, or is of another task or of episodes.
    """
    try:
        table = pq.read_table(path)
    except UNREADABLE_PARQUET as error:
        raise MedIMetaError(f"{path} cannot be read as stored predictions: {error}") from error
    label = "labels" if task.kind == "multilabel" else "label"
    if missing := [name for name in ("index", "subject_id", label, *task.labels) if name not in table.column_names]:
        raise MedIMetaError(f"{path} holds no predictions of {task.dataset} / {task.name}: it lacks {some(missing)}.")
    if "episode" in table.column_names:
        raise MedIMetaError(f"{path} holds predictions of episodes, not of a split.")
    table = table.filter(pc.is_valid(table[label]))
    return scored(task, table), table


def scored(task: Task, table: pa.Table) -> Scored:
    """Return the predictions of a split as `Scored`; all rows must have a known label."""
    labels = multi_hot(table["labels"], len(task.labels)) if task.kind == "multilabel" else table["label"].to_numpy()
    return Scored(task, np.stack([table[name].to_numpy() for name in task.labels], axis=1), labels)


def units(table: pa.Table) -> list[str | None]:
    """Return the unit of each row, which the bootstrap draws as a whole: its subject, joined with those of copies."""
    column: list[str | None] = table[UNIT if UNIT in table.column_names else "subject_id"].to_pylist()
    return column


def write(table: pa.Table, path: Path) -> None:
    """Write a table of predictions atomically."""
    with whole_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def _identity(task: Task, rows: Dataset) -> dict[str, Any]:
    columns = columns_of(rows, task)
    label = "labels" if task.kind == "multilabel" else "label"
    known = {"index": columns["index"], "subject_id": columns["subject_id"], label: columns["labels"]}
    return known if shipped(task.dataset) is None else {**known, UNIT: pa.array(units_of(columns, task), pa.string())}
