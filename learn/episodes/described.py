"""The description of an episode set: task, split, seed, recipe, classes and hash."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from ...cards.display import html_table
from ...cards.facts import Task
from ...errors import some
from . import table as tables

SHOWN = 10  # episodes that notebooks show


@dataclass(frozen=True, eq=False, repr=False)
class Described:
    """A table of episodes and its description; base class of `EpisodeSet`.

    Attributes:
        table: One row per episode; see module `table`. The metadata of its schema hold the description.
    """

    table: pa.Table

    @cached_property
    def about(self) -> dict[str, Any]:
        """The description: version, task, split, seed, recipe, and number and fingerprint of the rows drawn from."""
        about: dict[str, Any] = json.loads(self.table.schema.metadata[tables.ABOUT])
        return about

    @cached_property
    def task(self) -> Task:
        """The task, with the labels that it had when the episodes were drawn."""
        facts = self.about["task"]
        scores = None if facts["scores"] is None else tuple(facts["scores"])
        return Task(facts["name"], facts["target"], tuple(facts["labels"]), scores, facts["dataset"])

    @property
    def split(self) -> str:
        """The split that episodes were drawn from."""
        return str(self.about["split"])

    @property
    def seed(self) -> int:
        """The seed that the episodes were drawn with."""
        return int(self.about["seed"])

    @property
    def shots(self) -> str:
        """Support images per class: "5", or "1-10" if the number was drawn."""
        shots = self.about["recipe"]["shots"]
        return "-".join(map(str, shots)) if isinstance(shots, list) else str(shots)

    @cached_property
    def ways(self) -> str:
        """Number of classes per episode: "5", or "2-5" if episodes differ."""
        ways = {len(classes) for classes in self.table["classes"].to_pylist()}
        return "-".join(map(str, sorted({min(ways), max(ways)})))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that occur in episodes, in the order of the task's labels."""
        used = {label for classes in self.table["classes"].to_pylist() for label in classes}
        return tuple(name for label, name in enumerate(self.task.labels) if label in used)

    @property
    def excluded(self) -> tuple[str, ...]:
        """Names of the classes that occur in no episode, e.g. because of too few images."""
        return tuple(name for name in self.task.labels if name not in self.classes)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of everything in the set, written as JSON with sorted keys: the same on every machine."""
        return tables.digest(self.table, self.about)

    def __repr__(self) -> str:
        what = f"{self.task.dataset}/{self.task.name}, split {self.split}: {self.table.num_rows:,} episodes"
        return f"<EpisodeSet {what}, {self.ways}-way {self.shots}-shot, seed {self.seed}>"

    def _repr_html_(self) -> str:
        names = ("support", "query")
        sizes = [self.table[name].combine_chunks().value_lengths().to_pylist() for name in names]
        classes = self.table["classes"].to_pylist()
        rows = [
            (str(number), ", ".join(self.task.labels[label] for label in classes[number]), str(support), str(query))
            for number, (support, query) in enumerate(zip(*(size[:SHOWN] for size in sizes), strict=True))
        ]
        columns = ("episode", "classes", "support images", "query images")
        return html_table(self.summary(), columns, rows)

    def summary(self) -> str:
        """Return a description of the set in a few sentences, including the classes that were left out."""
        support, query = (self.table[name].combine_chunks().value_lengths().to_numpy() for name in ("support", "query"))
        text = (
            f"{self.table.num_rows:,} episodes of {self.task.dataset} / {self.task.name}, split {self.split}, "
            f"seed {self.seed}: {len(self.classes)} of {len(self.task.labels)} classes, {self.ways} per episode, "
            f"{support.min()} to {support.max()} support and {query.min()} to {query.max()} query images."
        )
        if self.excluded:
            text += f" Not in any episode: {some(self.excluded)}."
        if self.about["recipe"]["subject_disjoint"] and self.about["rows_with_subject"] == 0:
            text += " No subjects are known, so support and query may share some."
        return text
