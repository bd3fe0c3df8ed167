"""Zero-shot classification on features: similarity of images to sentences about labels."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import normalize

from ....cards.facts import Task
from ....errors import MedIMetaError
from ...encoders.encoder import Encoder
from ...encoders.prompts import prompts_of
from .supervised import probabilities


def takes_text(encoder: Encoder) -> bool:
    """Return whether an encoder is an image-text model."""
    try:
        return encoder.logit_scale > 0
    except (MedIMetaError, AttributeError):
        return False


def zero_shot_scores(
    task: Task, encoder: Encoder, images: torch.Tensor, prompts: str | os.PathLike[str] | None = None
) -> np.ndarray:
    """Return zero-shot predictions: similarity of images to the mean vector of each label's sentences.

    For a binary task the two labels are compared, for a multilabel task the presence of a label with its absence.

    Args:
        task: The task; only its labels are compared.
        encoder: An image-text encoder.
        images: The encoder's features of the images, shape (N, width).
        prompts: Prompt file; by default that of the dataset.

    Returns:
        Probabilities, as `Result.of_scores` takes them.
    """
    asked = prompts_of(task, file=prompts)
    scaled = normalize(images.float(), dim=-1) * encoder.logit_scale
    shows = scaled @ _vectors(encoder, asked.shows).to(scaled).T
    if asked.lacks is not None:
        logits = shows - scaled @ _vectors(encoder, asked.lacks).to(scaled).T
    else:
        logits = shows[:, 1:] - shows[:, :1] if task.kind == "binary" else shows
    return probabilities(task, logits)


def _vectors(encoder: Encoder, asked: Sequence[tuple[str, ...]]) -> torch.Tensor:
    vectors = torch.from_numpy(encoder.texts([sentence for several in asked for sentence in several]))
    parts = torch.split(normalize(vectors, dim=-1), [len(several) for several in asked])
    return torch.stack([normalize(part.mean(dim=0), dim=0) for part in parts])
