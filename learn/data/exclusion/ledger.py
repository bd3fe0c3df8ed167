"""Leakage ledgers: groups of images that an audit found to leak into each other, and the rows to leave out.

Files that users write with `medimeta audit` and those that ship with this package (see `copies`) have the same format.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ....builders.shard_files import UNREADABLE_PARQUET
from ....cards.facts import SPLITS
from ....cards.split_names import split_names
from ....errors import MedIMetaError, unknown, visible
from ....files.atomic import whole_file

KINDS = ("exact", "near", "subject")
SCHEMA = pa.schema(
    {"kind": pa.string(), "group": pa.int32(), "dataset": pa.string(), "index": pa.int32(), "split": pa.string()}
    | {"original_filepath": pa.string(), "subject_id": pa.string(), "distance": pa.float32()}
)


@dataclass(frozen=True)
class Ledger:
    """Groups of images that leak into each other.

    Attributes:
        table: One row per member of a group, with the columns of `SCHEMA`: `kind` is one of `KINDS`, `group` a number,
            `index` the published image number, `distance` the difference from the group's first member
            (`hashes.difference`; null for subjects). Further columns, one per task, hold the names of labels (see
            `label_columns`). Groups are sorted by kind and first member, members by dataset, split and index.
    """

    table: pa.Table

    @property
    def rows(self) -> pd.DataFrame:
        """The table as a pandas DataFrame."""
        rows: pd.DataFrame = self.table.to_pandas(ignore_metadata=True)
        return rows

    @property
    def distance(self) -> int:
        """Largest difference of near-duplicate images, in 64ths."""
        return int(self._about["distance"])

    @property
    def images(self) -> Mapping[str, Mapping[str, int]]:
        """Number of images compared, by dataset and split."""
        images: dict[str, dict[str, int]] = self._about["images"]
        return images

    @property
    def label_columns(self) -> list[str]:
        """Columns of labels, one per task: names of labels (joined by ", " for multilabel tasks), or null."""
        names: list[str] = self.table.column_names
        return names[len(SCHEMA.names) :]

    @property
    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = json.loads(self.table.schema.metadata[b"medimeta"])
        return about

    def contradictions(self) -> pd.DataFrame:
        """Return the images in groups of copies whose labels differ, so that at least one label is wrong.

        Returns:
            The rows of such groups, exact copies first, with the column `contradicts`: the columns of the tasks whose
            known labels differ within a dataset, joined by ", ".
        """
        rows = self.rows[self.rows["kind"].isin(("exact", "near"))].assign(contradicts="")
        for column in self.label_columns:
            different = rows.groupby(["group", "dataset"])[column].transform("nunique") > 1
            rows.loc[different, "contradicts"] += f", {column}"
        rows["contradicts"] = rows["contradicts"].str.removeprefix(", ")
        return rows[rows["contradicts"] != ""]

    def across_splits(self) -> Ledger:
        """Return only the groups with members in several splits, of one dataset or of several."""
        splits = self.rows.groupby("group")["split"].transform("nunique")
        return Ledger(self.table.filter(pa.array(splits > 1, pa.bool_())))

    def counts(self) -> pd.DataFrame:
        """Return the number of groups that two splits share, and of those with several members in one split.

        Returns:
            One row per kind and pair of splits: `kind`, `dataset`, `split`, `other_dataset`, `other_split`, `groups`,
            `images` (of the first split) and `other_images`. For groups within one split the two numbers are equal.
        """
        cells = self.rows.groupby(["group", "kind", "dataset", "split"], as_index=False).size()
        order = [(dataset, split) for dataset in self.images for split in SPLITS]
        cells["place"] = [order.index(cell) for cell in zip(cells["dataset"], cells["split"], strict=True)]
        pairs = cells.merge(cells, on=["group", "kind"], suffixes=("", "_other"))
        same = pairs["place"] == pairs["place_other"]
        pairs = pairs[(pairs["place"] < pairs["place_other"]) | (same & (pairs["size"] > 1))]
        pairs = pairs.rename(columns={"dataset_other": "other_dataset", "split_other": "other_split"})
        keys = ["kind", "place", "place_other", "dataset", "split", "other_dataset", "other_split"]
        counts = pairs.groupby(keys).agg(
            groups=("group", "size"), images=("size", "sum"), other_images=("size_other", "sum")
        )
        return counts.reset_index().drop(columns=["place", "place_other"])

    def summary(self) -> str:
        """Return the counts as text."""
        wrong = self._contradictions_text()
        compared = ", ".join(f"{sum(splits.values()):,} of {dataset}" for dataset, splits in self.images.items())
        lines = [*wrong, f"Images compared: {compared}. Near: at most {self.distance} of 64 bits differ."]
        counts = self.counts()
        if counts.empty:
            return "\n".join(map(visible, [*lines, "No leaks found."]))
        cells = [["kind", "split", "other split", "groups", "images"]]
        for row in counts.to_dict("records"):
            first, second = f"{row['dataset']} {row['split']}", f"{row['other_dataset']} {row['other_split']}"
            images = f"{row['images']:,}" + ("" if first == second else f" + {row['other_images']:,}")
            cells.append([row["kind"], first, "within" if first == second else second, f"{row['groups']:,}", images])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines += ["  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join(map(visible, lines))

    def _contradictions_text(self) -> list[str]:
        rows = self.contradictions()
        if rows.empty:
            return []
        groups = rows.groupby(["group", "dataset"], sort=False)
        lines = [f"{groups.ngroups} group(s) of copies have contradictory labels:"]
        for (_, dataset), members in groups:
            kind = "identical" if members["kind"].iloc[0] == "exact" else "nearly identical"
            lines.append(f"  {dataset}, {len(members)} {kind} images:")
            for row in members.to_dict("records"):
                labels = "; ".join(f"{name}: {row[name]}" for name in row["contradicts"].split(", "))
                lines.append(f"    {row['original_filepath']} ({row['split']}, index {row['index']})  {labels}")
        return [*lines, ""]

    def as_dict(self) -> dict[str, Any]:
        """Return the contradictions, the counts, the distance and the numbers of images compared, ready for JSON."""
        names = ["kind", "group", "dataset", "split", "index", "original_filepath", "contradicts", *self.label_columns]
        wrong = self.contradictions()[names]
        rows = wrong.astype(object).where(wrong.notna(), None).to_dict("records")
        return self._about | {"contradictions": rows, "leaks": self.counts().to_dict("records")}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file atomically."""
        with whole_file(Path(path)) as partial:
            pq.write_table(self.table, partial)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Ledger:
        """Read a file written by `save`.

        Raises:
            MedIMetaError: If the file is missing or not a ledger.
        """
        try:
            table = pq.read_table(path)
            fields = list(table.schema)
            _ = table.column_names  # raises if they are not UTF-8
        except UNREADABLE_PARQUET as error:
            raise _not_a_ledger(path, str(error)) from error
        further = fields[len(SCHEMA) :]
        if fields[: len(SCHEMA)] != list(SCHEMA) or any(field.type != pa.string() for field in further):
            raise _not_a_ledger(path, "it has other columns")
        ledger = cls(table)
        try:
            complete = ledger.distance >= 0 and all(sum(splits.values()) >= 0 for splits in ledger.images.values())
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise _not_a_ledger(path, f"its metadata are malformed: {error!r}") from error
        if not complete or not set(ledger.rows["dataset"]) <= set(ledger.images):
            raise _not_a_ledger(path, "its metadata do not fit its rows")
        return ledger


def leaked_indices(
    ledger: Ledger | str | os.PathLike[str],
    dataset: str,
    split: str,
    kinds: Collection[str] = KINDS,
    against: Collection[str] | None = None,
    datasets: Collection[str] | None = None,
) -> set[int]:
    """Return the rows to leave out of a split so that it shares nothing with the splits that are evaluated.

    Args:
        ledger: A ledger, or its file.
        dataset: Id of a dataset in the ledger.
        split: A split of that dataset, or several joined with "+".
        kinds: The kinds of leaks that count.
        against: The splits to share nothing with. By default those that are evaluated after the last one given:
            validation and test for train, test for validation, and none for test, so that test results stay
            comparable.
        datasets: The datasets of those splits; by default all in the ledger.

    Returns:
        Values of the column `index`.

    Raises:
        UnknownName: If a name does not exist, or a dataset is not in the ledger.
        MedIMetaError: If the ledger cannot be read.
    """
    ledger = ledger if isinstance(ledger, Ledger) else Ledger.load(ledger)
    splits = split_names(split)
    later = SPLITS[max(map(SPLITS.index, splits)) + 1 :]
    others = {name for one in (later if against is None else against) for name in split_names(one)} - set(splits)
    for name in (dataset, *(datasets or ())):
        if name not in ledger.images:
            raise unknown("dataset of the ledger", name, ledger.images, hint="Audit all at once: medimeta audit HUBDIR")
    for kind in set(kinds) - set(KINDS):
        raise unknown("kind of leak", kind, KINDS, hint="Give kinds= some of them.")
    rows = ledger.rows
    rows = rows[rows["kind"].isin(kinds)]
    evaluated = rows[rows["split"].isin(others) & rows["dataset"].isin(ledger.images if datasets is None else datasets)]
    leaked = rows[(rows["dataset"] == dataset) & rows["split"].isin(splits) & rows["group"].isin(evaluated["group"])]
    return set(leaked["index"].tolist())


def _not_a_ledger(path: str | os.PathLike[str], why: str) -> MedIMetaError:
    return MedIMetaError(
        f"{path} is not a ledger of this version ({why}). Write one: medimeta audit HUBDIR --out {path}"
    )
