"""A pre-trained backbone with a new linear head, for whatever adapts to few images."""

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
    """A backbone and a linear head that starts at zero, so that no class is preferred before anything is learned.

    It is made in evaluation mode.

    Args:
        model: What `models.load_backbone` gives: an image classifier whose "logits" are what a head would see.
        size: Height and width of the images.

    Attributes:
        model: The backbone.
        width: Number of its features.
        head: From features to logits; one logit at first.
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
        """Put a head of zeros in the place of the present one."""
        like = {"device": self.model.device, "dtype": self.model.dtype}
        self.head = nn.Linear(self.width, outputs, **like).eval()
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """From (N, 3, size, size) to (N, features)."""
        features: torch.Tensor = self.model(pixel_values=pixels).logits
        return features

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """From (N, 3, size, size) to logits, (N, outputs)."""
        logits: torch.Tensor = self.head(self.features(pixels))
        return logits


def pixel_values(
    images: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device | str,
    *,
    draws: torch.Tensor | None = None,
) -> torch.Tensor:
    """What a model takes, from images as `Pixels.take` gives them; the work is done on the device.

    Args:
        images: uint8, shape (N, height, width, channels).
        preprocessing: That of the model.
        device: Where the result lies.
        draws: Random numbers of the published augmentation, for training images; None leaves them as they are.

    Returns:
        float32, shape (N, 3, size, size).
    """
    pixels = torch.from_numpy(images).to(device, non_blocking=True)
    return preprocessing(pixels if draws is None else Augmentation()(pixels, draws))


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of all weights and buffers: which backbone a result is of, whatever its folder is called."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def batch_norms(model: nn.Module) -> Sequence[nn.Module]:
    """The layers that normalise by statistics of the batch; a ViT has none."""
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
