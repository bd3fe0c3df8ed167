"""Rows of a Hub folder by file, number, subject or label, page by page; images are read only for the rows of a page."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...builders.hub.folder import HubSource
from ...errors import unknown
from ..folder.record import read_records
from ..push.refusals import chosen
from .rows import read, row_entries

PAGE = 60  # rows that are sent at once
_COLUMNS = ("original_filepath", "subject_id", "index")


class Stored(NamedTuple):
    """A dataset of a Hub folder: everything but its images."""

    source: HubSource
    rows: pd.DataFrame
    names: dict[str, list[list[str]]]  # labels of each row, by task column
    haystack: pd.Series  # what a search looks at, in lower case


class Finder:
    """Finds rows of the datasets in a Hub folder; each dataset is read when it is first asked for.

    Args:
        folder: A Hub folder.
        only: Ids of the datasets; empty for all in the folder.

    Raises:
        NotAHubFolder, PushRefused, UnknownName: If the folder is not a valid Hub folder.
    """

    def __init__(self, folder: Path, only: Collection[str] = ()) -> None:
        names = chosen(folder, only)
        self._folder = folder
        self._records = {record.dataset: record for record in read_records(folder) if record.dataset in names}
        self._stored = cache(self._read)

    def find(
        self,
        dataset: str,
        task: str,
        *,
        split: str = "",
        label: str = "",
        text: str = "",
        row: int | None = None,
        offset: int = 0,
    ) -> dict[str, Any]:
        """Return one page of the rows that fit all conditions, in the order of the folder.

        Args:
            dataset: Id of a dataset in the folder.
            task: Column of one of its tasks.
            split: Only this split.
            label: Only rows with this label of the task.
            text: Only rows whose file, subject or labels contain this, or whose number it is.
            row: Only the row with this number (the column `index`).
            offset: Number of rows to skip.

        Returns:
            `total`, the number of rows that fit, and `rows`, at most `PAGE` of them, as the page shows them.

        Raises:
            UnknownName: If the dataset or task does not exist.
        """
        if dataset not in self._records:
            raise unknown("dataset of this folder", dataset, self._records)
        stored = self._stored(dataset)
        if task not in stored.names:
            raise unknown(f"task of {dataset}", task, stored.names)
        fits = np.ones(len(stored.rows), bool)
        if split:
            fits &= (stored.rows["split"] == split).to_numpy()
        if label:
            fits &= np.array([label in names for names in stored.names[task]])
        if row is not None:
            fits &= (stored.rows["index"] == row).to_numpy()
        if words := text.strip().lower():
            found = stored.haystack.str.contains(words, regex=False).to_numpy()
            if words.isdecimal() and len(words) < 10:
                found = found | (stored.rows["index"] == int(words)).to_numpy()
            fits &= found
        places = np.flatnonzero(fits)
        page = stored.rows.iloc[places[max(0, offset) :][:PAGE]]
        return {"total": len(places), "rows": row_entries(stored.source, page, stored.names)}

    def _read(self, dataset: str) -> Stored:
        record = self._records[dataset]
        source, rows, names = read(self._folder, record, record.card)
        texts = [rows[column].fillna("").astype(str) for column in _COLUMNS[:2]]
        labels = pd.Series(
            [" ".join(one for row in several for one in row) for several in zip(*names.values(), strict=True)]
        )
        haystack = (texts[0] + "\n" + texts[1]).reset_index(drop=True) + "\n" + labels
        return Stored(source, rows, names, haystack.str.lower())
