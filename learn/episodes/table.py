"""The table of an episode set: one row per episode, as a Parquet file or as a dataset.

`support` and `query` are positions of rows in the split, in the order of
`medimeta.load_dataset(dataset, split=split)`. `classes` are ids of the task's labels. `support_labels` and
`query_labels` are indices into `classes`; for multilabel tasks there is one list of the labels present per image. A
file stores the description of the set, and a SHA-256 of table and description, in the metadata of its schema. A dataset
stores them in columns, because other tools may drop metadata.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from ...cards.facts import Task
from ...files.atomic import whole_file
from ...files.json_values import canonical
from ..data.draws import Positions
from ..data.labels import multi_hot
from .recipe import Episode, Labels, Recipe
from .rows import columns_of, fingerprint

VERSION = 1  # raised when the table or the rule by which episodes are drawn changes
ABOUT, SHA256 = b"medimeta", b"medimeta.sha256"  # keys of the metadata


def schema(*, multilabel: bool) -> pa.Schema:
    """Return the schema of the table: names and types of its columns."""
    numbers = pa.list_(pa.int32())
    labels = pa.list_(numbers) if multilabel else numbers
    fields = {"episode": pa.int32(), "classes": numbers, "shots": pa.int32(), "support": numbers}
    return pa.schema(fields | {"support_labels": labels, "query": numbers, "query_labels": labels})


def to_table(episodes: Sequence[Episode], *, multilabel: bool) -> pa.Table:
    """Return the episodes as a table, one per row."""
    columns = {
        "episode": [episode.number for episode in episodes],
        "classes": [episode.classes for episode in episodes],
        "shots": [episode.shots for episode in episodes],
        "support": [episode.support for episode in episodes],
        "support_labels": [_listed(episode.support_labels) for episode in episodes],
        "query": [episode.query for episode in episodes],
        "query_labels": [_listed(episode.query_labels) for episode in episodes],
    }
    return pa.table(columns, schema(multilabel=multilabel))


def describe(task: Task, rows: Dataset, recipe: Recipe, *, seed: int, split: str) -> dict[str, Any]:
    """Return the description of a set, ready for JSON; for the arguments see `EpisodeSet.of`."""
    subjects = columns_of(rows, task)["subject_id"]
    return {
        "version": VERSION,
        # The file format calls the kind of task "target".
        "task": {"target" if key == "kind" else key: value for key, value in asdict(task).items() if key != "is_main"},
        "split": split,
        "seed": seed,
        "recipe": asdict(recipe),
        "rows": len(rows),
        "rows_with_subject": len(subjects) - subjects.null_count,
        "fingerprint": fingerprint(rows, task),
    }


def episode_of(table: pa.Table, number: int, *, multilabel: bool) -> Episode:
    """Return the episode in a row of the table.

    Raises:
        IndexError: If the row does not exist.
    """
    row = {name: table[name][number] for name in table.column_names}
    classes = tuple(row["classes"].as_py())
    support, query = (_numbers(row[name].values) for name in ("support", "query"))
    names = ("support_labels", "query_labels")
    if multilabel:
        labels = [multi_hot(row[name].values, len(classes)) for name in names]
    else:
        labels = [_numbers(row[name].values) for name in names]
    return Episode(row["episode"].as_py(), classes, row["shots"].as_py(), support, query, *labels)


def digest(table: pa.Table, about: Mapping[str, Any]) -> str:
    """Return the SHA-256 of table and description, written as JSON with sorted keys: the same on every machine."""
    return hashlib.sha256(canonical({"about": about, "episodes": table.to_pydict()})).hexdigest()


def write(path: Path, table: pa.Table, about: Mapping[str, Any], sha256: str) -> None:
    """Write a Parquet file atomically."""
    with whole_file(path) as partial:
        pq.write_table(table.replace_schema_metadata({ABOUT: canonical(about), SHA256: sha256.encode()}), partial)


def to_dataset(table: pa.Table, about: Mapping[str, Any], sha256: str, task: Task) -> Dataset:
    """Return the table as a dataset, with class names and with columns for the description."""
    columns: dict[str, str | int] = {"dataset": task.dataset, "task": task.name, "target": task.kind}
    columns |= {"split": about["split"], "seed": about["seed"], "queries": about["recipe"]["queries"]}
    columns |= {"sha256": sha256, "about": canonical(about).decode()}
    names = [[task.labels[label] for label in classes] for classes in table["classes"].to_pylist()]
    table = table.add_column(2, "class_names", pa.array(names, pa.list_(pa.string())))
    for name, value in columns.items():
        table = table.append_column(name, pa.array([value] * len(table)))
    return Dataset(table)


def _listed(labels: Labels) -> list[Any]:
    """Return labels as numbers, and vectors as lists of the labels present."""
    return [np.flatnonzero(vector).tolist() for vector in labels] if labels.ndim == 2 else labels.tolist()


def _numbers(values: pa.Array) -> Positions:
    numbers: Positions = values.to_numpy().astype(np.int64)
    return numbers
