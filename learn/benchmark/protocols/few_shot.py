"""Few-shot episodes on features: solvers that predict query sets from support sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize, one_hot

from ....cards.facts import Task
from ...encoders.probe import fit_path
from ...encoders.prototypes import prototype_logits
from ...episodes.episode_set import EpisodeSet
from ...episodes.recipe import task_of
from .supervised import probabilities

STRENGTH = 1.0  # C, on centred features of length 1 (Tian et al., 2020)
RATE, STEPS, BETAS, EPSILON = 1e-4, 150, (0.9, 0.999), 1e-8  # of the follow-up study (arXiv 2408.08058)
JITTER = 1e-9  # added to similarities of an image with itself, so that equal images can be factorised
SETTINGS: dict[str, dict[str, Any]] = {
    "prototype": {"features": "centred, length 1"},
    "logistic regression": {"features": "centred, length 1", "strength": STRENGTH},
    "published probe": {"features": "as they are", "optimizer": "Adam", "lr": RATE, "steps": STEPS, "start": "zero"},
}
Solver = Callable[[Task, torch.Tensor, np.ndarray, torch.Tensor], torch.Tensor]


def solve_episodes(episodes: EpisodeSet, features: torch.Tensor, solver: str) -> list[np.ndarray]:
    """Return the predictions of a solver for the query sets of episodes.

    Args:
        episodes: The episodes.
        features: Features of all rows that the episodes were drawn from, shape (rows, width).
        solver: One of `SETTINGS`.

    Returns:
        Probabilities of each query set, as `Result.of_episode_scores` takes them.
    """
    solve = _SOLVE[solver]
    answers = []
    for episode in episodes:
        task = task_of(episodes.task, episode.classes)
        support, query = features[torch.from_numpy(episode.support)], features[torch.from_numpy(episode.query)]
        answers.append(probabilities(task, solve(task, support, episode.support_labels, query)))
    return answers


def logistic_logits(task: Task, support: torch.Tensor, labels: np.ndarray, query: torch.Tensor) -> torch.Tensor:
    """Return query logits by logistic regression with a fixed strength, on centred features of length 1.

    Where there are fewer images than features, the problem is solved in the space of the images: the Cholesky factor of
    their similarities has the same inner products, and so the same solution.
    """
    centre = support.double().mean(dim=0)
    rows, asked = normalize(support.double() - centre), normalize(query.double() - centre)
    if len(rows) < rows.shape[1]:
        similar = rows @ rows.T
        similar.diagonal().add_(JITTER)
        factor = torch.linalg.cholesky(similar)
        asked = torch.linalg.solve_triangular(factor, rows @ asked.T, upper=False).T
        rows = factor
    (probe,) = fit_path(task, rows, labels, [STRENGTH], rotate=False)
    return probe.logits(asked)


def published_logits(task: Task, support: torch.Tensor, labels: np.ndarray, query: torch.Tensor) -> torch.Tensor:
    """Return query logits by the linear probe of the follow-up study: zero weights, 150 steps of Adam, rate 1e-4.

    The support set is one batch. The loss is cross-entropy; for binary and multilabel tasks, binary cross-entropy.
    """
    given = torch.from_numpy(np.asarray(labels)).to(support.device)
    joint = task.kind not in ("binary", "multilabel")
    truth = (one_hot(given, len(task.labels)) if joint else given.view(len(support), -1)).to(support)
    columns = torch.cat([support, torch.ones_like(support[:, :1])], dim=1)  # the last weight is the bias
    scaled = columns.T / (len(support) if joint else truth.numel())
    weight = torch.zeros(columns.shape[1], truth.shape[1], dtype=support.dtype, device=support.device)
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for step in range(1, STEPS + 1):
        logits = columns @ weight
        gradient = scaled @ ((logits.softmax(dim=1) if joint else logits.sigmoid()) - truth)
        mean.lerp_(gradient, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        spread = (square / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
        weight.addcdiv_(mean, spread, value=-RATE / (1 - BETAS[0] ** step))
    return query @ weight[:-1] + weight[-1]


_SOLVE: dict[str, Solver] = {
    "prototype": prototype_logits,
    "logistic regression": logistic_logits,
    "published probe": published_logits,
}
