"""Known copies: the ledgers that ship with this package, and the copies that they list among the rows of a split.

`cards/ledgers/<id>.parquet` is a ledger of `medimeta audit` on the complete dataset: groups of identical and nearly
identical images, by their original paths. No picture is in it. Copies are treated like images of one subject: episodes
never divide them between support and query, and the bootstrap draws them together.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ....builders.dataset import OPTIONS, MedIMeta
from ....cards import catalogue
from ....cards.catalogue import DATASETS
from ....errors import MedIMetaError
from .ledger import Ledger, leaked_indices

FOLDER = Path(catalogue.__file__).parent / "ledgers"
COPIES = "copies of "  # prefix of the names of groups in `units`
LedgerLike = Ledger | str | os.PathLike[str] | bool | None


@lru_cache(maxsize=32)
def shipped(dataset: str) -> Ledger | None:
    """Return the ledger of a complete dataset that ships with this package; None if there is none.

    Args:
        dataset: Id of the dataset.
    """
    path = FOLDER / f"{dataset}.parquet"
    return Ledger.load(path) if path.is_file() else None


def excluded(ledger: LedgerLike, dataset: str, split: str, *, data_dir: Any = None, **options: Any) -> list[int]:
    """Return the rows that `exclude_leaks` leaves out of a split.

    Args:
        ledger: True for the ledger that ships with this package, a ledger, or its file; None and False leave nothing
            out.
        dataset: Id of the dataset.
        split: A split, or several joined with "+".
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        **options: Further arguments of `medimeta.load_dataset`. With some of them (`partial`, `splits_from`) images
            have other numbers and splits than published, so they are looked up by path in the table of the source.

    Returns:
        Values of the column `index`, sorted.

    Raises:
        MedIMetaError: If no ledger ships for the dataset, or a file is not a ledger.
    """
    if ledger is None or ledger is False:
        return []
    if ledger is True:
        if (known := shipped(dataset)) is None:
            names = ", ".join(name for name in DATASETS if shipped(name) is not None)
            raise MedIMetaError(
                f"No ledger of {dataset} ships with this package, only of {names}. Make one, then give its file: "
                f"medimeta audit {dataset}=PATH --out ledger.parquet"
            )
        chosen = {name: value for name, value in options.items() if name in OPTIONS}
        builder = MedIMeta(config_name=dataset, data_dir=None if data_dir is None else os.fspath(data_dir), **chosen)
        ledger = placed(known, dataset, builder.source(options.get("cache_dir")).manifest())
    return sorted(leaked_indices(ledger, dataset, split))


def placed(ledger: Ledger, dataset: str, rows: pd.DataFrame) -> Ledger:
    """Return a copy of a ledger in which the images of a dataset have the splits and numbers of another table.

    Args:
        ledger: The ledger.
        dataset: The dataset whose images are looked up.
        rows: `original_filepath`, `index` and `split` of the images. Images of the ledger that are not in this table
            are left out.
    """
    places = (
        rows.drop_duplicates("original_filepath")
        .set_index("original_filepath")[["index", "split"]]
        .astype({"index": "int32"})
    )
    members = ledger.rows
    ours = members["dataset"] == dataset
    members = members[~ours | members["original_filepath"].isin(places.index)].copy()
    ours = members["dataset"] == dataset
    for column in ("index", "split"):
        members.loc[ours, column] = places.loc[members.loc[ours, "original_filepath"], column].to_numpy()
    return Ledger(pa.Table.from_pandas(members, ledger.table.schema, preserve_index=False))


def units(dataset: str, subjects: Sequence[str | None], paths: Sequence[str]) -> list[str | None]:
    """Return the subject of each row, where rows that are copies of each other count as one subject.

    Args:
        dataset: Id of the dataset.
        subjects: Subject of each row, None where it is unknown.
        paths: Original path of each row.

    Returns:
        For rows that have a copy among the rows, one text for all copies and all rows of their subjects; for other
        rows their subject.
    """
    groups = _groups(dataset)
    of_row = [groups.get(path) for path in paths]
    if not any(of_row):
        return list(subjects)
    first: dict[str, int] = {}
    joined = np.arange(len(paths))

    def root(row: int) -> int:
        while joined[row] != row:
            row = joined[row]
        return row

    for row, (subject, numbers) in enumerate(zip(subjects, of_row, strict=True)):
        for key in (*(f"copies {number}" for number in numbers or ()), *([] if subject is None else [f"s {subject}"])):
            joined[root(row)] = root(first.setdefault(key, row))
    roots = [root(row) for row in range(len(paths))]
    sizes = Counter(roots)
    copied = {one for one, numbers in zip(roots, of_row, strict=True) if numbers and sizes[one] > 1}
    return [f"{COPIES}{paths[one]}" if one in copied else subject for one, subject in zip(roots, subjects, strict=True)]


def copied(dataset: str, paths: Sequence[str]) -> np.ndarray | None:
    """Return which rows have a copy elsewhere in the dataset, that is, not among these rows.

    Args:
        dataset: Id of the dataset.
        paths: Original path of each row of a split.

    Returns:
        bool, shape (N,); None if no ledger ships for the dataset.
    """
    if shipped(dataset) is None:
        return None
    groups, here = _groups(dataset), set(paths)
    outside = {number for path, numbers in groups.items() if path not in here for number in numbers}
    return np.array([bool(outside & set(groups.get(path, ()))) for path in paths], bool)


@lru_cache(maxsize=32)
def _groups(dataset: str) -> dict[str, tuple[int, ...]]:
    """Map the original path of each image that has copies to the numbers of its groups."""
    ledger = shipped(dataset)
    if ledger is None:
        return {}
    rows = ledger.rows
    rows = rows[(rows["dataset"] == dataset) & rows["kind"].isin(("exact", "near"))]
    return {str(path): tuple(numbers) for path, numbers in rows.groupby("original_filepath")["group"]}
