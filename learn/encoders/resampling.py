"""Pillow's resampling as two matrix products, for images that are on a GPU."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from PIL import Image

from ..data.decode import PixelArray

ONE = 2**22  # Pillow's weights of 8-bit images are multiples of its inverse
INTERPOLATIONS = {filter.name.lower(): filter for filter in Image.Resampling}


def resized(pixels: PixelArray, side: int, interpolation: str) -> PixelArray:
    """Return one image, resized with Pillow: uint8, shape (side, side, 1 or 3).

    Args:
        pixels: uint8, shape (height, width, 1 or 3).
        side: Height and width of the result in pixels.
        interpolation: One of `INTERPOLATIONS`.
    """
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    values: PixelArray = np.asarray(image.resize((side, side), INTERPOLATIONS[interpolation]))
    return values if values.ndim == 3 else values[:, :, None]


def resized_on_device(pixels: torch.Tensor, side: int, interpolation: str) -> torch.Tensor:
    """Return a batch, resized as by Pillow: columns, then rows, each with integer weights and rounding.

    Args:
        pixels: uint8, shape (N, height, width, channels).
        side: Height and width of the result.
        interpolation: One of `INTERPOLATIONS`.

    Returns:
        uint8, shape (N, side, side, channels).
    """
    down, across = (
        torch.from_numpy(_weights(size, side, interpolation)).to(pixels.device) for size in pixels.shape[1:3]
    )
    values = pixels.permute(0, 3, 1, 2).to(torch.float64)  # holds the sums exactly
    for weights, axis in ((across, 3), (down, 2)):
        if values.shape[axis] != side:
            values = values @ weights.T if axis == 3 else weights @ values
            values = values.div_(ONE).add_(0.5).floor_().clamp_(0, 255)
    return values.to(torch.uint8).permute(0, 2, 3, 1)


@lru_cache(maxsize=64)
def _weights(before: int, after: int, interpolation: str) -> np.ndarray:
    """Return the weight of each old pixel in each new one, shape (after, before), by resizing unit vectors."""
    unit = Image.fromarray(np.eye(before, dtype=np.float32))
    return np.rint(np.array(unit.resize((before, after), INTERPOLATIONS[interpolation]), np.float64) * ONE)
