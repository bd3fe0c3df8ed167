"""A pre-trained backbone with a new linear head, for few-shot learning."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from ..data.augment import Augmentation
from .models import Preprocessing


class Network(nn.Module):
    """A backbone with a linear head of zeros, so that no class is preferred before training.

    It starts in evaluation mode.

    Args:
        model: A backbone from `models.load_backbone`.
        size: Height and width of the images.

    Attributes:
        model: The backbone.
        width: Number of features.
        head: Linear layer from features to logits; one logit at first.
    """

    def __init__(self, model: PreTrainedModel, *, size: int) -> None:
        super().__init__()
        self.model = model
        self.eval()
        with torch.no_grad():
            blank = torch.zeros(1, 3, size, size, device=model.device, dtype=model.dtype)
            self.width: int = self.features(blank).shape[1]
        self.new_head(1)

    def new_head(self, outputs: int) -> None:
        """Replace the head by one of zeros."""
        like = {"device": self.model.device, "dtype": self.model.dtype}
        self.head = nn.Linear(self.width, outputs, **like).eval()
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features, shape (N, width), of pixels, shape (N, 3, size, size)."""
        features: torch.Tensor = self.model(pixel_values=pixels).logits
        return features

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (N, outputs), of pixels, shape (N, 3, size, size)."""
        logits: torch.Tensor = self.head(self.features(pixels))
        return logits


def pixel_values(
    images: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device | str,
    *,
    draws: torch.Tensor | None = None,
) -> torch.Tensor:
    """Preprocess images on a device, and augment them if asked.

    Args:
        images: uint8, shape (N, height, width, channels).
        preprocessing: Preprocessing of the model.
        device: Device of the result.
        draws: Random numbers for the published augmentation; None for no augmentation.

    Returns:
        float32, shape (N, 3, size, size).
    """
    pixels = torch.from_numpy(images).to(device, non_blocking=True)
    return preprocessing(pixels if draws is None else Augmentation()(pixels, draws))


def weights_sha256(model: nn.Module) -> str:
    """Return the SHA-256 of all weights and buffers, which identifies a backbone whatever its name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def batch_norms(model: nn.Module) -> Sequence[nn.Module]:
    """Return the batch normalisation layers."""
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
