"""A trial without data and checkpoints: a small random encoder on miniatures."""

from __future__ import annotations

from pathlib import Path

import torch

from ..data.miniatures import miniature
from ..encoders.encoder import Encoder
from ..encoders.models import load_backbone
from ..encoders.transform import ImageTransform
from .plan import TINY_ENCODER

PER_CLASS = 24  # images per class of the main task


class _Features(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the CLS tokens."""
        features: torch.Tensor = self.model(pixel_values=values).logits
        return features


def encoder() -> Encoder:
    """Return the small random ViT; its weights are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, preprocessing = load_backbone(None)
    transform = ImageTransform(preprocessing.size, preprocessing.mean, preprocessing.std)
    return Encoder.of(TINY_ENCODER, _Features(model), transform)


def source(dataset: str) -> Path:
    """Return the miniature of a dataset."""
    return miniature(dataset, per_class=PER_CLASS)
