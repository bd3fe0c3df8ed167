"""Classification by the nearest class mean (prototype), by cosine similarity after centring.

This follows SimpleShot (Y. Wang et al., 2019, arXiv 1911.04623).
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import normalize, one_hot

from ...cards.facts import Task


def prototype_logits(task: Task, support: torch.Tensor, labels: np.ndarray, query: torch.Tensor) -> torch.Tensor:
    """Return logits: the cosine similarity of images to the mean of each class.

    A binary or multilabel logit is the similarity to the mean of the positives minus that to the mean of the negatives.
    Features are centred on the mean of the class means, so that large classes have no more weight.

    Args:
        task: The task.
        support: Features of the images to average, shape (N, width).
        labels: Ids of these images, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape (N, k).
        query: Features of the images to classify, shape (M, width).

    Returns:
        Logits, shape (M, outputs): one for a binary task, else one per label. A class without images gets the
        similarity -1, the lowest possible.
    """
    given = torch.tensor(np.asarray(labels), device=support.device)
    if task.kind == "multilabel":
        member = torch.cat([given == 1, given == 0], dim=1).to(support.dtype)
    else:
        member = one_hot(given.clamp_min(0), len(task.labels)).to(support.dtype) * (given >= 0)[:, None]
    sizes = member.sum(dim=0)
    means = (member / sizes.clamp_min(1)).T @ support
    centre = means[sizes > 0].mean(dim=0)
    similar = normalize(query - centre) @ normalize(means - centre).T
    similar = torch.where(sizes > 0, similar, -1.0)
    if task.kind == "binary":
        return similar[:, 1:] - similar[:, :1]
    if task.kind == "multilabel":
        positive, negative = similar.chunk(2, dim=1)
        return positive - negative
    return similar
