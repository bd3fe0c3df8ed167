"""A set of episodes as data: one Parquet table that any library can read, tied to the rows it was drawn from.

`episode_table` says what is in it. With the table go the task, the split, the seed, the recipe, a SHA-256 of what was
drawn from (per column), and one of all this together, so that a changed file and changed data are both refused.
"""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from . import hub as episode_hub
from . import table as episode_table
from .recipe import Episode, EpisodeBatch, Recipe
from .rows import fingerprint, gatherer


@dataclass(frozen=True, eq=False)
class EpisodeSet:
    """Episodes in order: `for support, query in episodes` gives their row positions, `episodes[3]` is an `Episode`.

    Attributes:
        table: One row per episode, see the head of `episode_table`.
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
        about = episode_table.describe(task, rows, recipe, seed=seed, split=split)
        table = episode_table.to_table(drawn, multilabel=task.kind == "multilabel")
        return cls(table.replace_schema_metadata({episode_table.ABOUT: canonical(about)}), rows)

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the file says of itself: version, task, split, seed, recipe, rows and their fingerprint."""
        about: dict[str, Any] = json.loads(self.table.schema.metadata[episode_table.ABOUT])
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

    @property
    def shots(self) -> str:
        """Support images per class: "5", or "1-10" where the number was drawn."""
        shots = self.about["recipe"]["shots"]
        return "-".join(map(str, shots)) if isinstance(shots, list) else str(shots)

    @cached_property
    def sha256(self) -> str:
        """Of everything in the set, written as JSON with sorted keys: the same on every machine."""
        return episode_table.digest(self.table, self.about)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: int) -> Episode:
        return episode_table.episode_of(self.table, operator.index(number), multilabel=self.task.kind == "multilabel")

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
        episode_table.write(Path(path), self.table, self.about, self.sha256)

    @classmethod
    def load(cls, path: str | os.PathLike[str], rows: Dataset | None = None) -> EpisodeSet:
        """Read what `save` wrote.

        Args:
            path: The file.
            rows: The rows that the episodes were drawn from, to be checked now and used by `batches`.

        Raises:
            MedIMetaError: If the file is missing, of another kind or version, or changed; or if the rows are others.
        """
        return cls._checked(episode_table.read(path), rows)

    @classmethod
    def _checked(cls, stored: episode_table.Stored, rows: Dataset | None) -> EpisodeSet:
        """A set that was read, if it is unchanged and of these rows."""
        found = cls(stored.table.replace_schema_metadata({episode_table.ABOUT: stored.about}), rows)
        if (version := found.about.get("version")) != episode_table.VERSION:
            raise episode_table.unusable(stored.what, f"has version {version}, not {episode_table.VERSION}")
        if found.sha256 != stored.sha256:
            raise episode_table.unusable(stored.what, "was changed after it was written: its SHA-256 is another")
        if rows is not None:
            found.check(rows)
        return found

    def to_dataset(self) -> Dataset:
        """The table for `datasets`; task, split, seed, hash and all else that the set says of itself become columns."""
        return episode_table.to_dataset(self.table.replace_schema_metadata(None), self.about, self.sha256, self.task)

    @classmethod
    def from_dataset(cls, dataset: Dataset, rows: Dataset | None = None) -> EpisodeSet:
        """Read what `to_dataset` gave, wherever it has been since.

        Args:
            dataset: All episodes of the set, in their order.
            rows: As for `load`.

        Raises:
            MedIMetaError: If it is of another kind or version, or changed; or if the rows are others.
        """
        return cls._checked(episode_table.from_dataset(dataset), rows)

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
            PushRefused: If nobody is logged in, or the repository has no owner, or is public and was to be private.
            PushFailed: If the Hub cannot be reached or does not accept it.
            MedIMetaError: If the name is that of a dataset, or no name.
        """
        name = f"episodes_{self.task.dataset}_{self.task.column}_{self.shots}shot" if name is None else name
        message = f"Publish {name}: {len(self):,} episodes, SHA-256 {self.sha256}"
        where: dict[str, Any] = {"token": token, "private": private, "revision": revision}
        episode_hub.push(self.to_dataset(), self.split, repo, name, message=message, **where)
        return name

    @classmethod
    def pull(
        cls, repo: str, name: str, rows: Dataset | None = None, *, token: str | None = None, revision: str | None = None
    ) -> EpisodeSet:
        """Read what `push` published.

        Args:
            repo: Name of the dataset repository.
            name: Of the config.
            rows: As for `load`.
            token: By default the one that `hf auth login` stored.
            revision: Branch, tag or commit, `main` by default.

        Raises:
            UnknownName: If the repository has no such config.
            MedIMetaError: If it cannot be read, is of another kind or version, or changed; or if the rows are others.
        """
        return cls.from_dataset(episode_hub.pull(repo, name, token=token, revision=revision), rows)
