"""Any callable as an augmentation: torchvision's v2 transforms, Albumentations, Kornia, or a function."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ....errors import MedIMetaError


@dataclass(frozen=True)
class StandIn:
    """A callable used instead of an `Augmentation`, called with one image after the other.

    The global generators of torch, NumPy and Python are seeded for each image and restored afterwards, and
    Albumentations' own generator is seeded, so that the result depends on seed, epoch and row alone. Since these
    generators are global, `batches` calls it in the caller's thread; use the workers of a `DataLoader` for more.

    Attributes:
        function: Takes a uint8 tensor of shape (channels, height, width) and returns one. Transforms of Albumentations
            are given a NumPy array, those of Kornia a float tensor from 0 to 1, as these libraries expect.
    """

    function: Callable[..., Any]

    def draw(self, images: int, *seed: int) -> torch.Tensor:
        """Draw a seed for each of some images: int64, shape (images, 1)."""
        return torch.from_numpy(np.random.default_rng(seed).integers(0, 1 << 31, (images, 1)))

    def __call__(self, pixels: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Return augmented images; see `Augmentation`.

        Raises:
            MedIMetaError: If the callable returns something other than an image of the same shape.
        """
        out = torch.empty_like(pixels)
        for image, seed, place in zip(pixels, draws[:, 0].tolist(), out, strict=True):
            with _seeded(seed):
                result = self._call(image, seed)
            if result.shape != image.shape or result.dtype != torch.uint8:
                raise MedIMetaError(
                    f"The augmentation {self.function!r} made {result.dtype} of shape {tuple(result.shape)} from uint8 "
                    f"of shape {tuple(image.shape)} (height, width, channels). It must keep both.",
                    code="invalid-augmentation",
                )
            place.copy_(result)
        return out

    def _call(self, image: torch.Tensor, seed: int) -> torch.Tensor:
        library = type(self.function).__module__.partition(".")[0]
        if library == "albumentations":
            if hasattr(self.function, "set_random_seed"):
                self.function.set_random_seed(seed)
            return torch.from_numpy(np.ascontiguousarray(self.function(image=image.cpu().numpy())["image"]))
        planes = image.permute(2, 0, 1)
        if library == "kornia":
            values: torch.Tensor = self.function(planes[None].to(torch.float32) / 255)[0]
            return (values * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0)
        return torch.as_tensor(self.function(planes)).permute(1, 2, 0)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
