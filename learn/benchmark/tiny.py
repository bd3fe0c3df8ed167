"""The trial mode of the benchmark (`--tiny`): a small random encoder on miniatures, without data and checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch

from ..data.miniatures import miniature
from ..encoders.encoder import Encoder
from ..encoders.models import load_backbone
from .plan import TINY_ENCODER

PER_CLASS = 24  # images per class of the main task


def encoder() -> Encoder:
    """Return the small random ViT; its weights are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = load_backbone(None)
    return Encoder.of(TINY_ENCODER, backbone, backbone.transform)


def source(dataset: str) -> Path:
    """Return the folder of a dataset's miniature."""
    return miniature(dataset, per_class=PER_CLASS)
