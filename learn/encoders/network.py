"""A pre-trained backbone with a new linear head, for few-shot learning."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ..data.augmentation.augment import Augmentation
from .backbone import Backbone, width_of
from .transform import ImageTransform


class Network(nn.Module):
    """A backbone with a linear head of zeros, so that no class is preferred before training.

    It starts in evaluation mode.

    Args:
        model: A backbone, such as `models.load_backbone` returns.

    Attributes:
        model: The backbone.
        width: Number of features.
        head: Linear layer from features to logits; one logit at first.
    """

    def __init__(self, model: Backbone) -> None:
        super().__init__()
        self.model = model
        self.eval()
        self.width = width_of(model)
        self.new_head(1)

    def new_head(self, outputs: int) -> None:
        """Replace the head by one of zeros."""
        self.head = nn.Linear(self.width, outputs, device=self.model.device, dtype=self.model.dtype).eval()
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features, shape (N, width), of pixels, shape (N, 3, size, size)."""
        features: torch.Tensor = self.model(pixels)
        return features

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (N, outputs), of pixels, shape (N, 3, size, size)."""
        logits: torch.Tensor = self.head(self.features(pixels))
        return logits


def pixel_values(
    images: np.ndarray,
    preprocessing: ImageTransform,
    device: torch.device | str,
    *,
    draws: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return images as input of a model: augmented if `draws` are given, and preprocessed, on a device.

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
