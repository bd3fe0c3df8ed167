"""Count how often each label occurs, by split."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ...cards.card import NONE, UNKNOWN, label_names
from ...cards.facts import SPLITS, Task


def labels_of(value: int | list[int] | None, task: Task) -> list[str]:
    """Return what a row counts as: its labels, none of them, or unknown.

    Raises:
        IndexError: If an id is beyond the task's labels.
    """
    if value is None:
        return [UNKNOWN]
    if isinstance(value, list):
        return [task.labels[label] for label in value] or [NONE]
    return [task.labels[value]]


def balance(names: Sequence[Sequence[str]], of_split: pd.Series, task: Task) -> dict[str, dict[str, int]]:
    """Count the rows of each label and split.

    Args:
        names: What each row counts under, see `labels_of`.
        of_split: The split of each row.
        task: The task.

    Returns:
        Per label, the rows per split that has rows. Rows without a label, or with an unknown one, are listed only
        if there are any.
    """
    found = pd.DataFrame({"split": list(of_split), "label": list(names)}).explode("label").value_counts().to_dict()
    splits = [split for split in SPLITS if (of_split == split).any()]
    counts = {name: {split: int(found.get((split, name), 0)) for split in splits} for name in label_names(task)}
    return {name: count for name, count in counts.items() if name in task.labels or any(count.values())}
