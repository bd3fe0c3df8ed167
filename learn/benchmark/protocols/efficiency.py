"""Label efficiency: the probe on growing parts of the training split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...evaluation.measures.bootstrap import groups

ORDER = "subjects in random order; the first ones have every label"


def subset(labels: np.ndarray, subjects: Sequence[str | None], fraction: float, *, seed: int) -> np.ndarray:
    """Return a part of the training rows, drawn by subject; the parts of one seed are nested.

    Subjects are put in random order, with one subject of each label (and, for multilabel tasks, one without it) first,
    so that no part lacks a label that training has. Whole subjects are taken until the fraction is reached.

    Args:
        labels: Ids, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape (N, k).
        subjects: Subject of each row; a row without a known subject (None) counts as its own subject.
        fraction: Share of the rows with a known label, above 0, at most 1.
        seed: Seed of the order of subjects.

    Returns:
        Row numbers, ascending.
    """
    known = np.flatnonzero(~np.isnan(labels).all(axis=1) if labels.ndim == 2 else labels >= 0)
    labels = labels[known]
    group = groups([subjects[int(row)] for row in known], len(known))
    count = int(group.max(initial=-1)) + 1
    order = np.random.default_rng(seed).permutation(count)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    if labels.ndim == 2:
        members = [labels[:, j] == value for j in range(labels.shape[1]) for value in (1, 0)]
    else:
        members = [labels == label for label in np.unique(labels)]
    first = [int(group[member][place[group[member]].argmin()]) for member in members if member.any()]
    ordered = np.array(list(dict.fromkeys([*first, *order.tolist()])), np.int64)
    sizes = np.bincount(group, minlength=count)[ordered].cumsum()
    needed = max(int(np.searchsorted(sizes, fraction * len(known) - 1e-9)) + 1, len(set(first)))
    return known[np.isin(group, ordered[:needed])]
