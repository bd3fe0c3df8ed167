"""Weighted nearest neighbours by cosine similarity, as in the evaluation of DINO (Caron et al., 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.nn.functional import normalize

from ...cards.facts import Task

NEIGHBOURS = (1, 5, 10, 20, 50, 100)
TEMPERATURE = 0.07
CELLS = 1 << 25  # similarities in memory at once


def neighbour_scores(
    task: Task,
    train: torch.Tensor,
    labels: np.ndarray,
    query: torch.Tensor,
    neighbours: Sequence[int] = NEIGHBOURS,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield predictions by the k most similar training rows, which vote with weight exp(similarity / 0.07).

    Args:
        task: The task.
        train: Features of the training rows, shape (N, width).
        labels: Ids of the training rows, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape
            (N, labels).
        query: Features of the rows to classify, shape (M, width).
        neighbours: Values of k. Values above N are left out; if all are, k is N.

    Yields:
        k and probabilities, float64, shape (M, labels). Neighbours whose label is unknown do not vote; a label that is
        unknown for all of them gets its frequency in training.
    """
    labels = np.asarray(labels)
    if task.kind != "multilabel":
        known = labels >= 0
        train, labels = train[torch.from_numpy(known)], labels[known]
        labels = np.eye(len(task.labels))[labels]
    truth = torch.from_numpy(np.asarray(labels, np.float64)).to(train.device)
    frequency = truth.nanmean(dim=0).nan_to_num()
    used = sorted({min(k, len(train)) for k in neighbours if k <= len(train)} or {len(train)})
    similarity, places = _nearest(normalize(train), normalize(query), used[-1])
    votes = torch.exp((similarity.double() - similarity[:, :1]) / TEMPERATURE)
    for k in used:
        weight, seen = votes[:, :k, None], truth[places[:, :k]]
        informed = (~seen.isnan()).double() * weight
        total = informed.sum(dim=1)
        scores = torch.where(total > 0, (informed * seen.nan_to_num()).sum(dim=1) / total, frequency)
        yield k, scores.cpu().numpy()


def _nearest(train: torch.Tensor, query: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest k similarities of each query and their rows, a block of queries at a time."""
    parts = [(block @ train.T).topk(k, dim=1) for block in torch.split(query, max(CELLS // len(train), 1))]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])
