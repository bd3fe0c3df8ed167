"""Take the membership of the splits from a release, by `original_filepath`, instead of computing it."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from ...cards.facts import DatasetCard, split_name
from ...errors import SourceBroken, SourceNotFound, some
from ...files.archives import open_files
from ...files.folders import FolderFiles


def read_membership(location: Path, card: DatasetCard) -> pd.DataFrame:
    """Read the columns `original_filepath` and `split` of a release.

    Args:
        location: A release folder or zip, or its annotations.csv.
        card: The dataset's facts.

    Raises:
        SourceNotFound: If the table does not exist.
        SourceBroken: If it lacks a column or names a split that does not exist.
    """
    if location.suffix == ".csv":
        content = FolderFiles(location.parent).read(location.name)
    else:
        files = open_files(location)
        name = next((n for n in files.names() if n in ("annotations.csv", f"{card.id}/annotations.csv")), "")
        if not name:
            raise SourceNotFound(
                f"splits_from: {location} holds no annotations.csv of {card.id}. Give a release folder, zip or "
                "annotations.csv."
            )
        content = files.read(name)
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, MemoryError) as error:
        raise SourceBroken(f"splits_from: {location} is not a readable table ({error}). Download it again.") from error
    lacking = [column for column in ("original_filepath", "split") if column not in table]
    if lacking:
        raise SourceBroken(
            f"splits_from: {location} has no column {some(lacking)}; it is not the annotations.csv of a release."
        )
    return table.assign(split=table["split"].map(split_name))[["original_filepath", "split"]]


def apply_membership(rows: pd.DataFrame, card: DatasetCard, location: Path) -> list[str]:
    """Return the published split of every row.

    Args:
        rows: Manifest with `original_filepath`.
        card: The dataset's facts.
        location: As for `read_membership`.

    Raises:
        SourceBroken: If the release does not name every row's file, or names one twice with different splits.
    """
    table = read_membership(location, card).drop_duplicates()
    torn = table["original_filepath"].duplicated()
    if torn.any():
        raise SourceBroken(f"splits_from: {some(list(table.loc[torn, 'original_filepath']))} are in two splits.")
    split = rows["original_filepath"].map(dict(zip(table["original_filepath"], table["split"], strict=True)))
    unnamed = list(rows.loc[split.isna(), "original_filepath"])
    if unnamed:
        raise SourceBroken(
            f"splits_from: {location} names no split for {len(unnamed):,} of {len(rows):,} images: {some(unnamed)}. "
            f"Is it the release of {card.id}?"
        )
    return list(split)
