"""Solve an episode with a pre-trained backbone: by full fine-tuning, a linear probe or the nearest prototype.

All three return logits of the query set, as `problems.measure` takes them. Query images are never augmented, and are
not used in training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from ...cards.facts import Task
from ..encoders.network import Network
from ..encoders.prototypes import prototype_logits
from ..episodes.recipe import Episode, task_of
from .problems import losses, outputs_of

Context = Callable[..., AbstractContextManager[object]]


def fine_tune(
    network: Network,
    task: Task,
    support: Callable[[int], torch.Tensor],
    labels: torch.Tensor,
    query: torch.Tensor,
    *,
    lr: float,
    steps: Iterable[int],
    chunk: int = 0,
    autocast: Context = nullcontext,
) -> dict[int, torch.Tensor]:
    """Train the whole network on the support set as one batch, with Adam, and return predictions of the query set.

    Args:
        network: The network, which is changed. Its head has `outputs_of(task)` outputs.
        task: The task of the episode, see `task_of`.
        support: Returns the pixels of a step, (s, 3, size, size): the same images in each step, augmented or not.
        labels: Labels of the support set.
        query: Pixels of the query set, (q, 3, size, size).
        lr: Learning rate of Adam.
        steps: Numbers of steps after which the query set is predicted.
        chunk: Images per pass, to save memory; 0 for all. Gradients are summed, so that this changes only the
            statistics of batch normalisation.
        autocast: A context for each pass, as `Accelerator.autocast`.

    Returns:
        Logits of the query set, (q, outputs), by number of steps.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    answer_at = sorted(set(steps))
    answered: dict[int, torch.Tensor] = {}
    for step in range(1, answer_at[-1] + 1):
        network.train()
        pixels = support(step)
        for part, truth in zip(
            *(torch.split(values, chunk or len(values)) for values in (pixels, labels)), strict=True
        ):
            with autocast():
                logits = network(part)
            torch.autograd.backward(losses(task, logits, truth).sum() / len(pixels))
        optimizer.step()
        optimizer.zero_grad()
        if step in answer_at:
            network.eval()
            answered[step] = passed(network, query, chunk, autocast)
    return answered


@torch.no_grad()
def passed(
    function: Callable[[torch.Tensor], torch.Tensor], pixels: torch.Tensor, chunk: int, autocast: Context = nullcontext
) -> torch.Tensor:
    """Return a function's output for images, `chunk` at a time (0: all), as float32 and without gradients."""
    parts = []
    for part in torch.split(pixels, chunk or len(pixels)):
        with autocast():
            parts.append(function(part).float())
    return torch.cat(parts)


def linear_probes(
    task: Task,
    episodes: Sequence[Episode],
    features: torch.Tensor,
    places: Mapping[int, int],
    *,
    lr: float,
    steps: Iterable[int],
) -> dict[int, list[torch.Tensor]]:
    """Return predictions of linear heads trained on fixed features, for many episodes at once.

    Each episode has its whole support set as one batch. Smaller support sets are padded with images of weight zero, and
    missing classes with logits of minus infinity. Adam updates every weight separately, so each episode gives the same
    result as on its own.

    Args:
        task: The whole task.
        episodes: The episodes to solve.
        features: Features, shape (rows, width).
        places: Row of `features` by row of the split.
        lr: Learning rate of Adam.
        steps: Numbers of steps after which the query sets are predicted.

    Returns:
        Logits of each query set, (q, outputs), by number of steps.
    """
    device, width = features.device, features.shape[1]
    posed = [task_of(task, episode.classes) for episode in episodes]
    outputs = [outputs_of(one) for one in posed]
    size, most = max(len(episode.support) for episode in episodes), max(outputs)
    vectors = torch.zeros(len(episodes), size, width, device=device)
    counts = torch.zeros(len(episodes), size, device=device)
    classes = torch.zeros(len(episodes), 1, most, device=device)
    label_shape, kind = ((size, most), torch.float32) if task.kind == "multilabel" else ((size,), torch.int64)
    labels = torch.zeros(len(episodes), *label_shape, dtype=kind, device=device)
    for number, episode in enumerate(episodes):
        images = len(episode.support)
        vectors[number, :images] = features[[places[row] for row in episode.support.tolist()]]
        counts[number, :images] = 1 / images
        if task.kind == "multilabel":  # whose loss is the mean over all labels, padded ones included
            counts[number] *= most / outputs[number]
        truth = torch.from_numpy(episode.support_labels).to(device)
        if task.kind == "multilabel":
            labels[number, :images, : truth.shape[1]] = truth
        else:
            labels[number, :images] = truth
        classes[number, :, outputs[number] :] = -torch.inf
    weight = torch.zeros(len(episodes), width, most, device=device, requires_grad=True)
    bias = torch.zeros(len(episodes), 1, most, device=device, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=lr)
    answer_at = sorted(set(steps))
    answered: dict[int, list[torch.Tensor]] = {}
    for step in range(1, answer_at[-1] + 1):
        logits = torch.baddbmm(bias, vectors, weight)
        if task.kind not in ("binary", "multilabel"):
            logits = logits + classes
        torch.autograd.backward((losses(task, logits, labels) * counts).sum())
        optimizer.step()
        optimizer.zero_grad()
        if step in answer_at:
            answered[step] = [
                (_taken(features, places, episode.query) @ weight[n] + bias[n]).detach()[:, : outputs[n]]
                for n, episode in enumerate(episodes)
            ]
    return answered


def prototypes(task: Task, episode: Episode, features: torch.Tensor, places: Mapping[int, int]) -> torch.Tensor:
    """Return the cosine similarity of query images to the mean of each class; see `prototype_logits`.

    Args:
        task: The whole task.
        episode: The episode to solve.
        features: Features, shape (rows, width).
        places: Row of `features` by row of the split.

    Returns:
        Logits of the query set, (q, outputs).
    """
    support, query = (_taken(features, places, rows) for rows in episode)
    return prototype_logits(task_of(task, episode.classes), support, episode.support_labels, query)


def _taken(features: torch.Tensor, places: Mapping[int, int], rows: np.ndarray) -> torch.Tensor:
    return features[[places[row] for row in rows.tolist()]]
