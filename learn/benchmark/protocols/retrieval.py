"""Retrieval: training images ranked by similarity to a test image; those with its label are relevant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from torch.nn.functional import normalize

from ....cards.facts import Task
from ....errors import MedIMetaError
from ...episodes.rows import fingerprint, labels_and_subjects
from ...evaluation.measures.bootstrap import RESAMPLES, describe, draws, groups, interval, number_of
from ...evaluation.measures.intervals import Measured
from ...evaluation.results import About, Result
from ..plan import RETRIEVAL_METRIC
from .supervised import SETTINGS, Part

CELLS = 1 << 23  # similarities in memory at once


def ranks(task: Task, train: Part, test: Part) -> tuple[np.ndarray, np.ndarray]:
    """Return the quality of the ranking of training images by cosine similarity to each test image.

    A test image is a query once for each label that it has. Training images with the label are relevant; those whose
    label is unknown are left out.

    Args:
        task: The task.
        train: The training split.
        test: The test split.

    Returns:
        Average precision, and the rank (from 1) of the first relevant image, shape (test rows, labels) each; NaN where
        an image does not have a label, or no training image has it.
    """
    right, known = _members(task, train.labels)
    asked, _ = _members(task, test.labels)
    precision, first = (np.full(asked.shape, np.nan) for _ in range(2))
    gallery = normalize(train.features.float())
    rows = np.flatnonzero(asked.any(axis=1))
    for part in np.array_split(rows, max(len(rows) * len(gallery) // CELLS, 1)):
        similar = normalize(test.features[torch.from_numpy(part)].float()) @ gallery.T
        order = similar.argsort(dim=1, descending=True, stable=True).cpu().numpy()
        for row, ranking in zip(part, order, strict=True):
            for label in np.flatnonzero(asked[row]):
                hits = right[ranking, label][known[ranking, label]]
                places = np.flatnonzero(hits) + 1
                if len(places):
                    precision[row, label] = (np.arange(1, len(places) + 1) / places).mean()
                    first[row, label] = places[0]
    return precision, first


def retrieval(task: Task, train: Part, test: Part, rows: Dataset, **about: Any) -> Result:
    """Return the result of retrieval: mean average precision, and recall@k.

    Recall@k is the share of queries with a relevant image among the first k.

    Args:
        task: The task.
        train: The training split.
        test: The test split.
        rows: The rows of the test split, with all columns.
        **about: As for `Result`.

    Returns:
        Means over queries, a query per test image and label, with a bootstrap over subjects; per label the means over
        its queries. The stored predictions hold average precision and first rank of each query.

    Raises:
        MedIMetaError: If no test image has a label that a training image has.
    """
    precision, first = ranks(task, train, test)
    defined = ~np.isnan(precision)
    if not defined.any():
        raise MedIMetaError(f"No test image of {task.dataset}/{task.column} has a label that training images have.")
    values = {RETRIEVAL_METRIC: precision} | {
        f"recall@{k}": np.where(defined, first <= k, np.nan) for k in SETTINGS["retrieval"]["recall_at"]
    }
    subjects = labels_and_subjects(rows, task)[1]
    used = np.flatnonzero(defined.any(axis=1))
    of_used = [subjects[row] for row in used]
    blocks = list(draws(groups(of_used, len(used)), resamples=RESAMPLES, seed=0))
    metrics = {}
    with np.errstate(invalid="ignore"):
        for name, value in values.items():
            total, number = np.nansum(value[used], axis=1), defined[used].sum(axis=1)
            sampled = np.concatenate([(total @ block) / (number @ block) for block in blocks])
            metrics[name] = interval(name, float(total.sum() / number.sum()), sampled, number_of(of_used))
    classes = {
        label: {name: Measured(float(np.nanmean(value[:, j]))) for name, value in values.items() if defined[:, j].any()}
        | {"support": Measured(float(defined[:, j].sum()))}
        for j, label in enumerate(task.labels)
    }
    query, label = np.nonzero(defined)
    table = {"index": np.array(rows["index"])[query], "label": label}
    table |= {"average_precision": precision[query, label], "first_rank": first[query, label].astype(np.int64)}
    given: About = {"extra": {}, **about}  # type: ignore[typeddict-item]
    return Result(
        dataset=task.dataset,
        task=task.name,
        kind=task.kind,
        split="test",
        metrics=metrics,
        interval=describe(of_used, RESAMPLES),
        images=len(used),
        fingerprint=fingerprint(rows, task),
        classes=classes,
        predictions=pa.table(table),
        **given,  # type: ignore[arg-type]
    )


def _members(task: Task, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whether rows have labels, and whether that is known, shape (N, k) each."""
    if labels.ndim == 2:
        return labels == 1, ~np.isnan(labels)
    known = np.broadcast_to((labels >= 0)[:, None], (len(labels), len(task.labels)))
    return labels[:, None] == np.arange(len(task.labels)), known
