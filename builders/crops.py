"""Cut a square around a box out of a mammogram or a CT slice, as published: functions on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)
MAX_EXTENT = 10_000  # pixels
Box = tuple[tuple[int, int], tuple[int, int]]  # first and last index on axis 0 and on axis 1, both inside


def ratio_cut(box: Sequence[Sequence[int]], ratio: float = 1.0) -> Box:
    """Lengthen a box about its centre, along one axis, until its extents (last - first) have a ratio.

    The other axis keeps its ends. Python's rounding to even decides on halves, as it did for the release.

    Args:
        box: First and last index per axis.
        ratio: Extent along axis 1 over extent along axis 0; with the voxel size of axis 0 over that of axis 1, the box
            becomes a square in millimetres.

    Returns:
        The box, which may leave the array.
    """
    (low0, high0), (low1, high1) = ((int(low), int(high)) for low, high in box)
    extent0, extent1 = high0 - low0, high1 - low1
    if extent0 * ratio >= extent1:
        low1 = round((low1 + high1) // 2 - extent0 * ratio / 2)
        high1 = low1 + round(extent0 * ratio)
    else:
        low0 = round((low0 + high0) // 2 - extent1 / ratio / 2)
        high0 = low0 + round(extent1 / ratio)
    return (low0, high0), (low1, high1)


def cut(pixels: NDArray[Scalar], box: Box) -> NDArray[Scalar]:
    """Return the pixels inside a box, both ends included; zero where the box leaves the image."""
    (low0, high0), (low1, high1) = box
    if max(high0 - low0, high1 - low1) > MAX_EXTENT:
        raise ValueError(f"a part of {high0 - low0 + 1}x{high1 - low1 + 1} pixels; no box is as large")
    out = np.zeros((high0 - low0 + 1, high1 - low1 + 1), dtype=pixels.dtype)
    inside = pixels[max(low0, 0) : max(high0 + 1, 0), max(low1, 0) : max(high1 + 1, 0)]
    top, left = max(-low0, 0), max(-low1, 0)
    out[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return out


def window(values: NDArray[Any], *, width: float, level: float) -> NDArray[np.uint8]:
    """Map Hounsfield units to 8 bits: the window's lower end to 0, its upper end to 255; 32-bit floats, truncated."""
    low, high = np.float32(level - width / 2), np.float32(level + width / 2)
    scaled = (values.astype(np.float32).clip(low, high) - low) / np.float32(width)
    return (scaled * np.float32(255)).astype(np.uint8)


def eight_bits(pixels: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Map the full range of an integer type to 0..255, in 32-bit floats, truncated; no windowing."""
    scaled = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return (scaled * np.float32(255)).astype(np.uint8)
