"""The table of an episode set: a row per episode, in a Parquet file or as a dataset.

`support` and `query` are positions of rows in the split, in the order in which
`medimeta.load_dataset(dataset, split=split)` gives them; `classes` are ids of the task's labels, and `support_labels`
and `query_labels` are places in `classes` (multilabel: a list per image, the labels present). In a file the schema's
metadata hold what the set says of itself and a SHA-256 of both together; in a dataset, which has no metadata that
survive everywhere, columns do.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ...files.json_values import canonical
from ..data.draws import Positions
from ..data.labels import multi_hot
from .recipe import Episode, Labels, Recipe
from .rows import columns_of, fingerprint

VERSION = 1  # of the table and of the rule by which episodes are drawn
ABOUT, SHA256 = b"medimeta", b"medimeta.sha256"  # keys of the metadata
_DATASET = "The dataset"  # in messages, where there is no path


class Stored(NamedTuple):
    """What was read, and not yet checked.

    Attributes:
        what: Where it was, for messages.
        table: One row per episode.
        about: What it says of itself, as JSON.
        sha256: Of both, when they were written.
    """

    what: str
    table: pa.Table
    about: bytes
    sha256: str


def to_table(drawn: Sequence[Episode], *, multilabel: bool) -> pa.Table:
    """The episodes, one per row."""
    columns = {
        "episode": [episode.number for episode in drawn],
        "classes": [episode.classes for episode in drawn],
        "shots": [episode.shots for episode in drawn],
        "support": [episode.support for episode in drawn],
        "support_labels": [_listed(episode.support_labels) for episode in drawn],
        "query": [episode.query for episode in drawn],
        "query_labels": [_listed(episode.query_labels) for episode in drawn],
    }
    return pa.table(columns, _schema(multilabel))


def describe(task: Task, rows: Dataset, recipe: Recipe, *, seed: int, split: str) -> dict[str, Any]:
    """What a set says of itself, ready for JSON; `EpisodeSet.of` says what it is made of."""
    subjects = columns_of(rows, task)["subject_id"]
    return {
        "version": VERSION,
        # The format of the file calls the kind of task "target".
        "task": {"target" if key == "kind" else key: value for key, value in asdict(task).items() if key != "is_main"},
        "split": split,
        "seed": seed,
        "recipe": asdict(recipe),
        "rows": len(rows),
        "rows_with_subject": len(subjects) - subjects.null_count,
        "fingerprint": fingerprint(rows, task),
    }


def episode_of(table: pa.Table, number: int, *, multilabel: bool) -> Episode:
    """The episode in a row.

    Raises:
        IndexError: If there is no such row.
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
    """SHA-256 of everything in a set, written as JSON with sorted keys: the same on every machine."""
    return hashlib.sha256(canonical({"about": about, "episodes": table.to_pydict()})).hexdigest()


def write(path: Path, table: pa.Table, about: Mapping[str, Any], sha256: str) -> None:
    """Write a Parquet file, which appears, or is replaced, only when it is whole."""
    with whole_file(path) as partial:
        pq.write_table(table.replace_schema_metadata({ABOUT: canonical(about), SHA256: sha256.encode()}), partial)


def read(path: str | os.PathLike[str]) -> Stored:
    """Read what `write` wrote.

    Raises:
        MedIMetaError: If there is no such file, or it is of another kind.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise unusable(path, f"is no episode set ({error})") from error
    metadata = table.schema.metadata or {}
    if not {ABOUT, SHA256} <= set(metadata):
        raise unusable(path, "is no episode set (its metadata are missing)")
    return Stored(str(path), table.replace_schema_metadata(None), metadata[ABOUT], metadata[SHA256].decode())


def to_dataset(table: pa.Table, about: Mapping[str, Any], sha256: str, task: Task) -> Dataset:
    """The table for `datasets`, with names of classes, and columns for what the set says of itself."""
    columns: dict[str, str | int] = {"dataset": task.dataset, "task": task.name, "target": task.kind}
    columns |= {"split": about["split"], "seed": about["seed"], "queries": about["recipe"]["queries"]}
    columns |= {"sha256": sha256, "about": canonical(about).decode()}
    names = [[task.labels[label] for label in classes] for classes in table["classes"].to_pylist()]
    table = table.add_column(2, "class_names", pa.array(names, pa.list_(pa.string())))
    for name, value in columns.items():
        table = table.append_column(name, pa.array([value] * len(table)))
    return Dataset(table)


def from_dataset(dataset: Dataset) -> Stored:
    """Read what `to_dataset` gave.

    Raises:
        MedIMetaError: If it is of another kind, or more than one set.
    """
    table = dataset.with_format("arrow")[:]
    if not {*_schema(False).names, "about", "sha256"} <= set(table.column_names) or not len(table):
        raise unusable(_DATASET, "is no episode set (columns are missing, or there are no rows)")
    about, sha256 = table["about"].unique().to_pylist(), table["sha256"].unique().to_pylist()
    if len(about) > 1 or len(sha256) > 1:
        raise unusable(_DATASET, "is more than one episode set")
    try:
        schema = _schema(json.loads(about[0])["task"]["target"] == "multilabel")
        table = table.select(schema.names).cast(schema)
    except (ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise unusable(_DATASET, f"is no episode set ({error})") from error
    return Stored(_DATASET, table, about[0].encode(), sha256[0])


def unusable(what: str | os.PathLike[str], why: str) -> MedIMetaError:
    """The error for what is no usable set."""
    path = "FILE" if what == _DATASET else what
    return MedIMetaError(f"{what} {why}. Draw the set again: medimeta episodes ID [TASK] --out {path}")


def _schema(multilabel: bool) -> pa.Schema:
    numbers = pa.list_(pa.int32())
    labels = pa.list_(numbers) if multilabel else numbers
    fields = {"episode": pa.int32(), "classes": numbers, "shots": pa.int32(), "support": numbers}
    return pa.schema(fields | {"support_labels": labels, "query": numbers, "query_labels": labels})


def _listed(labels: Labels) -> list[Any]:
    """Labels as numbers; vectors as lists of the labels present."""
    return [np.flatnonzero(vector).tolist() for vector in labels] if labels.ndim == 2 else labels.tolist()


def _numbers(values: pa.Array) -> Positions:
    numbers: Positions = values.to_numpy().astype(np.int64)
    return numbers
