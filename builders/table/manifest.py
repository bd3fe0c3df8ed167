"""Bring a manifest into its canonical form: checked labels, splits and typed annotations, one row per image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from ...cards.facts import SPLITS, DatasetCard, Task
from ...errors import SourceBroken, some


def canonical(rows: pd.DataFrame, card: DatasetCard) -> pd.DataFrame:
    """Bring a manifest into the form that everything after it relies on.

    Args:
        rows: In release order, with `original_filepath`, `original_split`, `split`, one column per task under its
            published name (published integer keys or label names; multilabel: sequences of label names or ids, None
            for unknown), and, where known, `subject_id` and annotations. Further columns are kept for rendering.
        card: The dataset's facts.

    Returns:
        The rows with `index` (0, 1, 2, ...), `split`, one column of label ids per task under `Task.column` (lists of
        ids for multilabel), `subject_id` and all annotation columns, None where unknown.

    Raises:
        SourceBroken: If a label is outside the vocabulary, a split has a wrong name, or a row occurs twice.
    """
    rows = rows.reset_index(drop=True).assign(index=np.arange(len(rows), dtype=np.int32))
    for task in card.tasks:
        ids = label_ids(rows, task)
        rows = rows.drop(columns=[task.name]).assign(**{task.column: ids})
    wrong = sorted(set(rows["split"]) - set(SPLITS))
    if wrong:
        raise SourceBroken(f"{card.id}: there are rows of split {some(wrong)}; the splits are {', '.join(SPLITS)}.")
    if "subject_id" not in rows:
        rows["subject_id"] = None
    for annotation in card.annotations:
        values = rows.get(annotation.column, pd.Series([None] * len(rows), dtype=object))
        rows[annotation.column] = pd.Series(_typed(values, annotation.type, annotation.column, card), dtype=object)
    _check_duplicates(rows, card)
    return rows


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dicts."""
    return cast("list[dict[str, Any]]", rows.to_dict("records"))


def label_ids(rows: pd.DataFrame, task: Task) -> pd.Series:
    """Return the label ids of a task, from its column of published keys or label names; lists for multilabel tasks.

    Raises:
        SourceBroken: If a label is unknown or the column is missing.
    """
    ids: dict[Any, int] = {name: i for i, name in enumerate(task.labels)} | {key: i for i, key in enumerate(task.keys)}

    def refused(position: int, value: Any, problem: str) -> SourceBroken:
        return SourceBroken(
            f"{task.dataset}: {value!r} {problem} of task {task.name!r}, in row {position} "
            f"({rows['original_filepath'].iloc[position]}). The labels are: {some(task.labels, 20)}. "
            "Fix the table, or get it from the source again."
        )

    def one(position: int, value: Any) -> int:
        try:
            return ids[value]
        except (KeyError, TypeError):
            raise refused(position, value, "is not a label") from None

    def several(position: int, cell: Any) -> list[int] | None:
        if _unknown(cell):
            return None
        if not isinstance(cell, list | tuple | set | np.ndarray):
            raise refused(position, cell, "is not a list of labels")
        found = sorted(one(position, value) for value in cell)
        if len(set(found)) < len(found) or any(isinstance(value, bool | np.bool_) for value in cell):
            raise refused(position, cell, "is not a list of the labels present (by name or number, each once)")
        return found

    if task.name not in rows:
        raise SourceBroken(f"{task.dataset}: the source gives no column for task {task.name!r}.")
    column = rows[task.name]
    if task.kind == "multilabel":
        lists = [several(i, cell) for i, cell in enumerate(column)]
        return pd.Series(lists, dtype=object, index=rows.index)
    if task.kind == "ordinal":  # a published key is an integer, but tables with gaps read as float
        column = column.map(lambda v: int(v) if isinstance(v, float) and v.is_integer() else v)
    values = [one(i, v) for i, v in enumerate(column)] if not set(column.unique()) <= set(ids) else column.map(ids)
    return pd.Series(values, index=rows.index, dtype="int64")


def _integer(bits: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if not -(1 << bits - 1) <= int(value) < 1 << bits - 1:
            raise ValueError(f"{value} has more than {bits} bits")
        return int(value)

    return convert


def _unknown(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "string": str,
    "int32": _integer(32),
    "int64": _integer(64),
    "float64": float,
    "list<int32>": lambda value: [_integer(32)(x) for x in value],
    "list<float64>": lambda value: [float(x) for x in value],
    "boxes": list,
}


def _typed(values: Sequence[Any] | pd.Series, kind: str, column: str, card: DatasetCard) -> list[Any]:
    convert = _CONVERT[kind]
    typed: list[Any] = []
    for position, value in enumerate(values):
        if _unknown(value):
            typed.append(None)
            continue
        try:
            typed.append(convert(value))
        except (ArithmeticError, TypeError, ValueError):
            shown = repr(value[:80]) if isinstance(value, str) else str(value)[:80]
            raise SourceBroken(f"{card.id}: {shown} in column {column!r}, row {position}, is not {kind}.") from None
    return typed


def _check_duplicates(rows: pd.DataFrame, card: DatasetCard) -> None:
    # One volume gives several images (organs_*), so a path alone may recur; a path with the same labels may not.
    labels = [task.column for task in card.tasks]
    keys = rows[["original_filepath", *labels]].astype(str)
    twice = keys.duplicated()
    if twice.any():
        paths = sorted(set(rows.loc[twice, "original_filepath"]))
        raise SourceBroken(f"{card.id}: {len(paths):,} row(s) occur twice: {some(paths)}. Fix the source's table.")
