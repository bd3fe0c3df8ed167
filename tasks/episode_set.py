"""A set of episodes as data: one Parquet table that any library can read, tied to the rows it was drawn from.

A row of the table is an episode. `support` and `query` are positions of rows in the split, in the order in which
`medimeta.load_dataset(dataset, split=split)` gives them; `classes` are ids of the task's labels, and
`support_labels` and `query_labels` are places in `classes` (multilabel: a list per image, the labels present).
The schema's metadata hold the task, the split, the seed, the recipe, a SHA-256 of what was drawn from (per column),
and one of all this together, so that a changed file and changed data are both refused.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, load_dataset

from ..cards.catalogue import DATASETS, Task
from ..cards.errors import MedIMetaError, some
from ..upload.atomic import whole_file
from .draws import Rows
from .json_values import canonical
from .recipe import Episode, EpisodeBatch, Labels, Recipe
from .rows import columns_of, fingerprint, gatherer
from .views import multi_hot

VERSION = 1  # of the table and of the rule by which episodes are drawn
_DATASET = "The dataset"  # in messages, where there is no path


@dataclass(frozen=True, eq=False)
class EpisodeSet:
    """Episodes in order: `for support, query in episodes` gives their row positions, `episodes[3]` is an `Episode`.

    Attributes:
        table: One row per episode, see the head of this file.
        rows: The rows that the episodes were drawn from, where they are at hand; not saved.
    """

    table: pa.Table
    rows: Dataset | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls, drawn: Sequence[Episode], task: Task, rows: Dataset, recipe: Recipe, *, seed: int, split: str
    ) -> EpisodeSet:
        """Make a set of episodes.

        Args:
            drawn: The episodes.
            task: Their task.
            rows: What they were drawn from.
            recipe: How.
            seed: Their seed.
            split: What the rows are.
        """
        columns = {
            "episode": [episode.number for episode in drawn],
            "classes": [episode.classes for episode in drawn],
            "shots": [episode.shots for episode in drawn],
            "support": [episode.support for episode in drawn],
            "support_labels": [_listed(episode.support_labels) for episode in drawn],
            "query": [episode.query for episode in drawn],
            "query_labels": [_listed(episode.query_labels) for episode in drawn],
        }
        subjects = columns_of(rows, task)["subject_id"]
        about = {
            "version": VERSION,
            "task": {key: value for key, value in asdict(task).items() if key != "is_main"},
            "split": split,
            "seed": seed,
            "recipe": asdict(recipe),
            "rows": len(rows),
            "rows_with_subject": len(subjects) - subjects.null_count,
            "fingerprint": fingerprint(rows, task),
        }
        metadata = {b"medimeta": canonical(about)}
        return cls(pa.table(columns, _schema(task.target == "multilabel")).replace_schema_metadata(metadata), rows)

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the file says of itself: version, task, split, seed, recipe, rows and their fingerprint."""
        about: dict[str, Any] = json.loads(self.table.schema.metadata[b"medimeta"])
        return about

    @cached_property
    def task(self) -> Task:
        """The task, with the labels that it had when the episodes were drawn."""
        facts = self.about["task"]
        scores = None if facts["scores"] is None else tuple(facts["scores"])
        return Task(facts["name"], facts["target"], tuple(facts["labels"]), scores, facts["dataset"])

    @property
    def split(self) -> str:
        """The split that was drawn from."""
        return str(self.about["split"])

    @property
    def seed(self) -> int:
        """The seed."""
        return int(self.about["seed"])

    @cached_property
    def sha256(self) -> str:
        """Of everything in the set, written as JSON with sorted keys: the same on every machine."""
        return hashlib.sha256(canonical({"about": self.about, "episodes": self.table.to_pydict()})).hexdigest()

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: int) -> Episode:
        number = operator.index(number)
        row = {name: self.table[name][number] for name in self.table.column_names}
        classes = tuple(row["classes"].as_py())
        support, query = (_numbers(row[name].values) for name in ("support", "query"))
        names = ("support_labels", "query_labels")
        if self.task.target == "multilabel":
            labels = [multi_hot(row[name].values, len(classes)) for name in names]
        else:
            labels = [_numbers(row[name].values) for name in names]
        return Episode(row["episode"].as_py(), classes, row["shots"].as_py(), support, query, *labels)

    def __iter__(self) -> Iterator[Episode]:
        return (self[number] for number in range(len(self)))

    def summary(self) -> str:
        """What the set holds, in a sentence or two."""
        support, query = (self.table[name].combine_chunks().value_lengths().to_numpy() for name in ("support", "query"))
        used = sorted({label for classes in self.table["classes"].to_pylist() for label in classes})
        text = (
            f"{len(self):,} episodes of {self.task.dataset} / {self.task.name}, split {self.split}, seed {self.seed}: "
            f"{len(used)} of {len(self.task.labels)} classes, {support.min()} to {support.max()} "
            f"support and {query.min()} to {query.max()} query images."
        )
        if self.about["recipe"]["subject_disjoint"] and self.about["rows_with_subject"] == 0:
            text += " No subjects are known, so that none could be kept apart."
        return text

    def check(self, rows: Dataset) -> None:
        """Refuse rows that are not those the episodes were drawn from: same labels, subjects, numbers, files, order.

        Args:
            rows: The split as `medimeta.load_dataset` gives it, with all columns.

        Raises:
            MedIMetaError: Naming what differs.
        """
        here, there = fingerprint(rows, self.task), self.about["fingerprint"]
        different = [f"{column} differs" for column in there if here[column] != there[column]]
        if len(rows) != self.about["rows"]:
            different = [f"there are {len(rows):,} instead of {self.about['rows']:,}"]
        if different:
            raise MedIMetaError(
                f"These are not the rows that the episodes were drawn from ({self.task.dataset} / {self.task.name}, "
                f"split {self.split}): {', '.join(different)}. Load the same split of the same build (labels=, "
                "partial=, splits_from=), or draw new episodes."
            )

    def batches(self, images: Any = None) -> Iterator[EpisodeBatch]:
        """The episodes with their pixels.

        Args:
            images: Where the pixels of row positions come from. Rows of the split are checked, and decoded to uint8,
                shape (n, height, width, channels), by default those that the episodes were drawn from. Faster is
                `medimeta.tasks.pixels.pixels` or `PixelDataset` of the whole split; an array works, as does any
                function of row positions or an object with such a method `take`, `gather` or `__getitems__`.

        Raises:
            MedIMetaError: If there are no images, or they are of other rows.
        """
        images = self.rows if images is None else images
        if isinstance(images, Dataset):
            self.check(images)
        gather = gatherer(images, self.about["rows"])
        return (EpisodeBatch(gather(e.support), e.support_labels, gather(e.query), e.query_labels) for e in self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file, which appears, or is replaced, only when it is whole."""
        metadata = {**self.table.schema.metadata, b"medimeta.sha256": self.sha256.encode()}
        with whole_file(Path(path)) as partial:
            pq.write_table(self.table.replace_schema_metadata(metadata), partial)

    @classmethod
    def load(cls, path: str | os.PathLike[str], rows: Dataset | None = None) -> EpisodeSet:
        """Read what `save` wrote.

        Args:
            path: The file.
            rows: The rows that the episodes were drawn from, to be checked now and used by `batches`.

        Raises:
            MedIMetaError: If the file is missing, of another kind or version, or changed; or if the rows are others.
        """
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise _unusable(path, f"is no episode set ({error})") from error
        metadata = table.schema.metadata or {}
        if not {b"medimeta", b"medimeta.sha256"} <= set(metadata):
            raise _unusable(path, "is no episode set (its metadata are missing)")
        sha256 = metadata[b"medimeta.sha256"].decode()
        return cls._checked(str(path), table, metadata[b"medimeta"], sha256, rows)

    @classmethod
    def _checked(cls, what: str, table: pa.Table, about: bytes, sha256: str, rows: Dataset | None) -> EpisodeSet:
        """A set that was read, if it is unchanged and of these rows."""
        found = cls(table.replace_schema_metadata({b"medimeta": about}), rows)
        if found.about.get("version") != VERSION:
            raise _unusable(what, f"has version {found.about.get('version')}, not {VERSION}")
        if found.sha256 != sha256:
            raise _unusable(what, "was changed after it was written: its SHA-256 is another")
        if rows is not None:
            found.check(rows)
        return found

    def to_dataset(self) -> Dataset:
        """The table for `datasets`; task, split, seed, hash and all else that the set says of itself become columns."""
        task = self.task
        columns: dict[str, str | int] = {"dataset": task.dataset, "task": task.name, "target": task.target}
        columns |= {"split": self.split, "seed": self.seed, "queries": self.about["recipe"]["queries"]}
        columns |= {"sha256": self.sha256, "about": canonical(self.about).decode()}
        table = self.table.replace_schema_metadata(None)
        names = [[task.labels[label] for label in classes] for classes in table["classes"].to_pylist()]
        table = table.add_column(2, "class_names", pa.array(names, pa.list_(pa.string())))
        for name, value in columns.items():
            table = table.append_column(name, pa.array([value] * len(table)))
        return Dataset(table)

    @classmethod
    def from_dataset(cls, dataset: Dataset, rows: Dataset | None = None) -> EpisodeSet:
        """Read what `to_dataset` gave, wherever it has been since.

        Args:
            dataset: All episodes of the set, in their order.
            rows: As for `load`.

        Raises:
            MedIMetaError: If it is of another kind or version, or changed; or if the rows are others.
        """
        what = _DATASET
        table = dataset.with_format("arrow")[:]
        if not {*_schema(False).names, "about", "sha256"} <= set(table.column_names) or not len(table):
            raise _unusable(what, "is no episode set (columns are missing, or there are no rows)")
        about, sha256 = table["about"].unique().to_pylist(), table["sha256"].unique().to_pylist()
        if len(about) > 1 or len(sha256) > 1:
            raise _unusable(what, "is more than one episode set")
        try:
            schema = _schema(json.loads(about[0])["task"]["target"] == "multilabel")
            table = table.select(schema.names).cast(schema)
        except (ValueError, LookupError, TypeError, pa.ArrowException) as error:
            raise _unusable(what, f"is no episode set ({error})") from error
        return cls._checked(what, table, about[0].encode(), sha256[0], rows)

    def push(
        self,
        repo: str,
        name: str | None = None,
        *,
        token: str | None = None,
        private: bool | None = None,
        revision: str | None = None,
    ) -> str:
        """Publish the set on the Hub, best in the repository of the data, as a config of its own, in one commit.

        Anyone reads it with `EpisodeSet.pull`, or with `datasets.load_dataset(repo, name)`. A later `medimeta push`
        leaves it as it is; a set of the same name is replaced.

        Args:
            repo: Name of the dataset repository, "<namespace>/<name>"; made when it is not there.
            name: Of the config; by default `episodes_<dataset>_<task column>_<shots>shot`.
            token: By default the one that `hf auth login` stored.
            private: Whether a new repository is only for its owner.
            revision: Branch to commit to, `main` by default.

        Returns:
            The config's name.

        Raises:
            MedIMetaError: If the name is that of a dataset, or no name.
            HfHubHTTPError: If the Hub does not accept it.
        """
        if name is None:
            shots = self.about["recipe"]["shots"]
            shots = "-".join(map(str, shots)) if isinstance(shots, Sequence) else shots
            name = f"episodes_{self.task.dataset}_{self.task.column}_{shots}shot"
        if name in DATASETS or not re.fullmatch(r"\w[\w.-]*", name):
            why = "is a dataset, whose rows it would replace" if name in DATASETS else "is no name for a config"
            raise MedIMetaError(f"{name!r} {why}. Take letters, digits, _ and -, such as 'episodes_{name or 'bus'}'.")
        split = re.sub(r"\W", "_", self.split)  # "train+validation" would be no name for a split
        DatasetDict({split: self.to_dataset()}).push_to_hub(
            repo,
            name,
            data_dir=f"episodes/{name}",
            commit_message=f"Publish {name}: {len(self):,} episodes, SHA-256 {self.sha256}",
            token=token,
            private=private,
            revision=revision,
        )
        return name

    @classmethod
    def pull(
        cls,
        repo: str,
        name: str,
        rows: Dataset | None = None,
        *,
        token: str | None = None,
        revision: str | None = None,
    ) -> EpisodeSet:
        """Read what `push` published.

        Args:
            repo: Name of the dataset repository.
            name: Of the config.
            rows: As for `load`.
            token: By default the one that `hf auth login` stored.
            revision: Branch, tag or commit, `main` by default.

        Raises:
            MedIMetaError: If it is of another kind or version, or changed; or if the rows are others.
            DatasetNotFoundError, ValueError: If there is no such repository or config.
        """
        parts = load_dataset(repo, name, token=token, revision=revision)
        if len(parts) != 1:
            raise MedIMetaError(
                f"{name} of {repo} has the splits {some(list(parts))}, so it is no set that `push` published."
            )
        return cls.from_dataset(next(iter(parts.values())), rows)


def _schema(multilabel: bool) -> pa.Schema:
    numbers = pa.list_(pa.int32())
    labels = pa.list_(numbers) if multilabel else numbers
    fields = {"episode": pa.int32(), "classes": numbers, "shots": pa.int32(), "support": numbers}
    return pa.schema(fields | {"support_labels": labels, "query": numbers, "query_labels": labels})


def _listed(labels: Labels) -> list[Any]:
    """Labels as numbers; vectors as lists of the labels present."""
    return [np.flatnonzero(vector).tolist() for vector in labels] if labels.ndim == 2 else labels.tolist()


def _numbers(values: pa.Array) -> Rows:
    numbers: Rows = values.to_numpy().astype(np.int64)
    return numbers


def _unusable(what: str | os.PathLike[str], why: str) -> MedIMetaError:
    path = "FILE" if what == _DATASET else what
    return MedIMetaError(f"{what} {why}. Draw the set again: medimeta episodes ID [TASK] --out {path}")
