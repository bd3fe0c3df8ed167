"""Loss, number of outputs, probabilities and metrics of an episode, for all kinds of task."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...cards.facts import Task
from ..evaluation.measures.metrics import evaluate_scores


def outputs_of(task: Task) -> int:
    """Return the number of logits of a task: one per class or label, but a single one for a binary task."""
    return 1 if task.kind == "binary" else len(task.labels)


def losses(task: Task, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of each image: cross-entropy, or for binary and multilabel tasks mean binary cross-entropy.

    Args:
        task: The task of the episode, from `task_of`.
        logits: Shape (..., outputs).
        labels: int64 ids, shape (...); multilabel: 0 and 1, shape (..., outputs).

    Returns:
        Shape (...), in the logits' precision or float32, whichever is finer.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if task.kind in ("multilabel", "binary"):
        truth = labels.reshape(logits.shape).to(logits.dtype)
        return functional.binary_cross_entropy_with_logits(logits, truth, reduction="none").mean(dim=-1)
    flat = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    return flat.reshape(labels.shape)


def probabilities(task: Task, logits: torch.Tensor) -> np.ndarray:
    """Return the probabilities of logits, as `evaluate_scores` takes them.

    Args:
        task: The task of the episode, from `task_of`.
        logits: Shape (N, outputs). Values that are not finite are replaced by 0, so that an episode whose training
            diverged gets the metrics of guessing.
    """
    logits = logits.detach().double().cpu().nan_to_num(0.0, 0.0, 0.0)
    if task.kind == "binary":
        return logits.sigmoid()[:, 0].numpy()
    return (logits.sigmoid() if task.kind == "multilabel" else logits.softmax(dim=-1)).numpy()


def packed(scores: np.ndarray) -> dict[str, Any]:
    """Return probabilities as a small JSON value, in float32."""
    text = b64encode(zlib.compress(scores.astype("<f4").tobytes())).decode("ascii")
    return {"shape": list(scores.shape), "float32": text}


def unpacked(value: Mapping[str, Any]) -> np.ndarray:
    """Return the probabilities that `packed` wrote, float32."""
    content = zlib.decompress(b64decode(value["float32"]))
    return np.frombuffer(content, "<f4").reshape(value["shape"])


def measure(task: Task, logits: torch.Tensor, labels: np.ndarray) -> dict[str, float]:
    """Return the metrics of a query set.

    Args:
        task: The task of the episode, from `task_of`.
        logits: As for `probabilities`.
        labels: As in `Episode`.
    """
    return evaluate_scores(task, probabilities(task, logits), labels)
