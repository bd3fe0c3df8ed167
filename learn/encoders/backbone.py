"""`Backbone`: a network without its head, with the preprocessing that it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import nn

from ...errors import MedIMetaError
from .transform import ImageTransform

WEIGHTS = "model.safetensors"


class Backbone(nn.Module):
    """A network without its head: from normalised images to features. It starts in evaluation mode.

    This class takes any module that returns features; those of a library are subclasses, which are saved in the format
    of the library.

    Args:
        network: The network; its weights are trained in float32.
        transform: Its preprocessing.

    Attributes:
        libraries: Packages whose version can change the features, in addition to torch.
    """

    libraries: tuple[str, ...] = ()

    def __init__(self, network: nn.Module, transform: ImageTransform) -> None:
        super().__init__()
        self.network, self.transform = network, transform
        self.eval()

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights."""
        return self._weight.dtype

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return features, shape (N, width), of pixels, shape (N, 3, size, size)."""
        features: torch.Tensor = self.network(pixel_values)
        return features

    def texts(self, sentences: Sequence[str]) -> torch.Tensor:
        """Return the vectors of sentences, shape (M, width), to compare with those of images.

        Raises:
            MedIMetaError: If the network takes no text.
        """
        raise self._not_image_text()

    @property
    def logit_scale(self) -> float:
        """The factor that cosine similarities of images and sentences were trained with.

        Raises:
            MedIMetaError: If the network takes no text.
        """
        raise self._not_image_text()

    def save_pretrained(self, folder: Path) -> None:
        """Write the weights, and what the library needs to load them, into an existing folder."""
        save_model(self.network, str(folder / WEIGHTS))

    def restore(self, folder: Path) -> None:
        """Load the weights that `save_pretrained` wrote."""
        load_model(self.network, folder / WEIGHTS)

    def train_what_decides(self) -> None:
        """Freeze weights that do not influence the features, such as those of a text tower or a mask token.

        Optimisers, data-parallel wrappers and meta-learning expect a gradient for each trainable weight.
        """
        with torch.enable_grad():
            torch.autograd.backward(self(blank(self)).sum())
        for parameter in self.parameters():
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None

    @property
    def _weight(self) -> torch.Tensor:
        return next(self.parameters(), torch.zeros(()))

    def _not_image_text(self) -> MedIMetaError:
        return MedIMetaError(
            f"{type(self.network).__name__} is not an image-text model. Give a checkpoint such as "
            "openai/clip-vit-base-patch32, or open_clip:NAME/PRETRAINED.",
            code="not-image-text",
        )


def blank(backbone: Backbone) -> torch.Tensor:
    """Return one blank image in the form of the backbone's input: zeros, shape (1, 3, size, size)."""
    size = backbone.transform.size
    return torch.zeros(1, 3, size, size, device=backbone.device, dtype=backbone.dtype)


@torch.no_grad()
def width_of(backbone: Backbone) -> int:
    """Return the number of features of a backbone."""
    width: int = backbone(blank(backbone)).shape[1]
    return width
