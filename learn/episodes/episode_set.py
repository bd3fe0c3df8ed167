"""Sets of episodes: one Parquet table that any library can read, tied to the rows that it was drawn from.

Module `table` describes the columns. The table is stored together with the task, the split, the seed, the recipe, a
SHA-256 of each column that episodes were drawn from, and a SHA-256 of all of this, so that changed files and changed
data are refused.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from . import reading
from . import table as tables
from .described import Described
from .recipe import Episode, EpisodeBatch, Recipe
from .rows import fingerprint, gatherer, labels_and_subjects


@dataclass(frozen=True, eq=False, repr=False)
class EpisodeSet(Described):
    """Episodes in order: `for support, query in episodes` yields row positions, and `episodes[3]` is an `Episode`.

    Positions are row numbers in the split that the set was drawn from, that is, in `rows`:

        episodes.rows.select(episodes[3].support)["image"]

    Attributes:
        table: One row per episode; see module `table`.
        rows: The rows that the episodes were drawn from; None if they were not given. They are not saved.
    """

    rows: Dataset | None = None

    @classmethod
    def of(
        cls, episodes: Sequence[Episode], task: Task, rows: Dataset, recipe: Recipe, *, seed: int, split: str
    ) -> EpisodeSet:
        """Return a set of given episodes.

        Args:
            episodes: The episodes.
            task: The task of the episodes.
            rows: The rows that the episodes were drawn from.
            recipe: The recipe that the episodes follow.
            seed: The seed that the episodes were drawn with.
            split: Name of the split.
        """
        about = tables.describe(task, rows, recipe, seed=seed, split=split)
        table = tables.to_table(episodes, multilabel=task.kind == "multilabel")
        return cls(table.replace_schema_metadata({tables.ABOUT: canonical(about)}), rows)

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, number: int) -> Episode: ...
    @overload
    def __getitem__(self, number: slice) -> list[Episode]: ...
    def __getitem__(self, number: int | slice) -> Episode | list[Episode]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        return tables.episode_of(self.table, operator.index(number), multilabel=self.task.kind == "multilabel")

    def __iter__(self) -> Iterator[Episode]:
        return (self[number] for number in range(len(self)))

    def check(self, rows: Dataset) -> None:
        """Check that rows are those that the episodes were drawn from: same labels, subjects, index, files and order.

        Args:
            rows: The split as `medimeta.load_dataset` returns it, with all columns.

        Raises:
            MedIMetaError: If they are other rows; the message names the differences.
        """
        actual, expected = fingerprint(rows, self.task), self.about["fingerprint"]
        different = [f"{column} differs" for column in expected if actual[column] != expected[column]]
        if len(rows) != self.about["rows"]:
            different = [f"there are {len(rows):,} instead of {self.about['rows']:,}"]
        where = f"{self.task.dataset} / {self.task.name}, split {self.split}"
        if different:
            raise MedIMetaError(
                f"These are not the rows that the episodes were drawn from ({where}): {', '.join(different)}. Load the "
                "same split of the same build (labels=, partial=, splits_from=), or draw new episodes."
            )
        reading.check_labels(self.table, labels_and_subjects(rows, self.task)[0], where)

    def batches(self, images: Any = None) -> Iterator[EpisodeBatch]:
        """Return an iterator over the episodes with their pixels.

        Args:
            images: Source of the pixels; by default `rows`. Rows of the split are checked, and decoded to uint8, shape
                (n, height, width, channels). A `PixelDataset` or a pixel store of the whole split is faster. An array
                works as well, and so does a function that takes row positions and returns pixels, or an object with
                such a method `take`, `gather` or `__getitems__`.

        Raises:
            MedIMetaError: If there are no images, or the images belong to other rows.
        """
        images = self.rows if images is None else images
        if isinstance(images, Dataset):
            self.check(images)
        gather = gatherer(images, self.about["rows"], self.split)
        return (EpisodeBatch(gather(e.support), e.support_labels, gather(e.query), e.query_labels) for e in self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file atomically."""
        tables.write(Path(path), self.table, self.about, self.sha256)

    @classmethod
    def load(cls, path: str | os.PathLike[str], rows: Dataset | None = None) -> EpisodeSet:
        """Return the set in a file written by `save`.

        Args:
            path: The file.
            rows: The rows that the episodes were drawn from, which are checked and then used by `batches`.

        Raises:
            MedIMetaError: If the file is missing, not an episode set, of another version, changed or inconsistent, or
                if the episodes were drawn from other rows.
        """
        return cls._validated(reading.read(path), rows)

    def to_dataset(self) -> Dataset:
        """Return the table as a dataset, with columns for task, split, seed, hash and the description of the set."""
        return tables.to_dataset(self.table.replace_schema_metadata(None), self.about, self.sha256, self.task)

    @classmethod
    def from_dataset(cls, dataset: Dataset, rows: Dataset | None = None) -> EpisodeSet:
        """Return the set in a dataset made by `to_dataset`.

        Args:
            dataset: All episodes of the set, in their order.
            rows: As for `load`.

        Raises:
            MedIMetaError: As for `load`.
        """
        return cls._validated(reading.from_dataset(dataset), rows)

    def push(
        self,
        repo: str,
        name: str | None = None,
        *,
        token: str | None = None,
        private: bool | None = None,
        revision: str | None = None,
    ) -> str:
        """Publish the set on the Hub as a config of a dataset repository, preferably that of the data, in one commit.

        It can be read with `EpisodeSet.pull`, or with `datasets.load_dataset(repo, name)`. A later `medimeta push`
        keeps it; a set of the same name is replaced.

        Args:
            repo: Name of the dataset repository, "<namespace>/<name>"; created if it does not exist.
            name: Name of the config; by default `episodes_<dataset>_<task column>_<shots>shot`.
            token: User access token; by default the one stored by `hf auth login`.
            private: Whether a new repository is private.
            revision: Branch to commit to, `main` by default.

        Returns:
            The name of the config.

        Raises:
            PushRefused: If nobody is logged in, the repository name has no owner, or a repository that should be
                private is public.
            PushFailed: If the Hub cannot be reached or does not accept the set.
            MedIMetaError: If the name is that of a dataset, or not a valid name.
        """
        from . import hub

        name = f"episodes_{self.task.dataset}_{self.task.column}_{self.shots}shot" if name is None else name
        message = f"Publish {name}: {len(self):,} episodes, SHA-256 {self.sha256}"
        where: dict[str, Any] = {"token": token, "private": private, "revision": revision}
        hub.push(self.to_dataset(), self.split, repo, name, message=message, **where)
        return name

    @classmethod
    def pull(
        cls, repo: str, name: str, rows: Dataset | None = None, *, token: str | None = None, revision: str | None = None
    ) -> EpisodeSet:
        """Return a set published by `push`.

        Args:
            repo: Name of the dataset repository.
            name: Name of the config.
            rows: As for `load`.
            token: User access token; by default the one stored by `hf auth login`.
            revision: Branch, tag or commit, `main` by default.

        Raises:
            UnknownName: If the repository has no such config.
            MedIMetaError: If the set cannot be read; also as for `load`.
        """
        from . import hub

        return cls.from_dataset(hub.pull(repo, name, token=token, revision=revision), rows)

    @classmethod
    def _validated(cls, stored: reading.Stored, rows: Dataset | None) -> EpisodeSet:
        episodes = cls(reading.validated(stored), rows)
        if rows is not None:
            episodes.check(rows)
        return episodes
