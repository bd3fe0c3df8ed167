"""Blur: defocus, Gaussian, motion and zoom.

Weights are whole numbers that sum to a power of 2. So results are exact: they do not depend on the processor or the
library, and constant images stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..decode import PixelArray
from .streams import Stream, fractions
from .tone import as_picture

_BITS = 20  # the weights of a kernel sum to 2 to this power
_BITS_PER_AXIS = 12  # the same for weights along one axis
Kernel = NDArray[np.int64]  # shape (2 * radius + 1, 2 * radius + 1)


def defocus_blur(images: PixelArray, parameters: tuple[float, float]) -> PixelArray:
    """Average over a disc.

    Args:
        images: uint8, shape (N, height, width, channels), 0 to 255.
        parameters: Radius of the disc, and standard deviation of the Gaussian that smooths its edge, in pixels.

    Returns:
        A new array like `images`.
    """
    radius, sigma = parameters
    reach = math.floor(radius) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.pad((x * x + y * y <= radius * radius).astype(float), 1)
    edge = _gaussian(3, sigma)
    smooth = disc
    for axis in (1, 0):
        shifted = [weight * np.roll(smooth, step, axis) for step, weight in zip((-1, 0, 1), edge, strict=True)]
        smooth = np.sum(shifted, axis=0)
    return _convolved(images, [whole_weights(smooth)] * len(images))


def gaussian_blur(images: PixelArray, size: int) -> PixelArray:
    """Average with Gaussian weights, whose standard deviation is 0.15 * size + 0.35, as in torchvision and OpenCV.

    Args:
        images: As for `defocus_blur`.
        size: Height and width of the kernel in pixels, an odd number.

    Returns:
        A new array like `images`.
    """
    height, width = images.shape[1:3]
    weights = whole_weights(_gaussian(size, 0.15 * size + 0.35)[None], _BITS_PER_AXIS)
    out = np.empty_like(images)
    for image, place in zip(images, out, strict=True):
        for channel, plane in enumerate(_padded(image, size // 2)):
            rows = _weighted(plane, weights, len(plane), width)
            place[..., channel] = _weighted(rows, weights.T, height, width) >> (2 * _BITS_PER_AXIS)
    return out


def motion_blur(images: PixelArray, parameters: tuple[int, float], streams: Sequence[Stream]) -> PixelArray:
    """Average along a line through the pixel, at an angle between -45 and 45 degrees, with Gaussian weights.

    The line has 2 * radius + 1 pixels, as in ImageMagick, which published sets use. In ImageMagick the line starts at
    the pixel, which also shifts the image, and severities that differ in radius alone give nearly equal images.

    Args:
        images: As for `defocus_blur`.
        parameters: Radius, and standard deviation of the weights, in pixels.
        streams: The stream of random numbers of each image.

    Returns:
        A new array like `images`.
    """
    return _convolved(images, [whole_weights(_line(*parameters, next(fractions(stream)))) for stream in streams])


def zoom_blur(images: PixelArray, parameters: tuple[float, float]) -> PixelArray:
    """Average the image with enlargements of its centre.

    Args:
        images: As for `defocus_blur`.
        parameters: Upper bound of the enlargement factors (excluded), and their step; factors start at 1.

    Returns:
        A new array like `images`.
    """
    end, step = parameters
    factors = np.arange(1, end, step).tolist()
    height, width = images.shape[1:3]
    out = np.empty_like(images)
    for image, place in zip(images, out, strict=True):
        picture, total = as_picture(image), image.astype(np.uint16)
        for factor in factors:
            x, y = width * (1 - 1 / factor) / 2, height * (1 - 1 / factor) / 2
            zoomed = picture.resize((width, height), Image.Resampling.BILINEAR, box=(x, y, width - x, height - y))
            total += np.asarray(zoomed).reshape(image.shape)
        np.floor_divide(total, len(factors) + 1, out=place, casting="unsafe")
    return out


def whole_weights(kernel: NDArray[np.float64], bits: int = _BITS) -> Kernel:
    """Scale weights to whole numbers that sum to 2**bits; the rounding error is added to the largest weight."""
    weights: Kernel = np.rint(kernel / kernel.sum() * (1 << bits)).astype(np.int64)
    weights.flat[weights.argmax()] += (1 << bits) - weights.sum()
    return weights


def _gaussian(size: int, sigma: float) -> NDArray[np.float64]:
    weights = [math.exp(-(((place - size // 2) / sigma) ** 2) / 2) for place in range(size)]
    return np.array(weights) / sum(weights)


def _line(radius: int, sigma: float, turn: float) -> NDArray[np.float64]:
    angle = math.radians(90 * turn - 45)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    for step in range(radius + 1):
        y, x = round(step * math.sin(angle)), round(step * math.cos(angle))
        weight = math.exp(-((step / sigma) ** 2) / 2)
        kernel[radius + y, radius + x] += weight
        kernel[radius - y, radius - x] += weight if step else 0
    return kernel


def _convolved(images: PixelArray, kernels: Sequence[Kernel]) -> PixelArray:
    """Convolve each image with its own kernel.

    The rows of a disc are constant except at their ends, so sums over them are differences of running sums. Running
    sums are used for kernels whose rows have fewer steps than weights. Unsigned intermediate values may wrap around;
    the results are small enough to be exact all the same.
    """
    height, width = images.shape[1:3]
    out = np.empty_like(images)
    for image, kernel, place in zip(images, kernels, out, strict=True):
        planes = _padded(image, kernel.shape[0] // 2)
        weights, steps = kernel, -np.diff(kernel, axis=1, prepend=0, append=0)
        if np.count_nonzero(steps) < np.count_nonzero(kernel):
            weights = steps
            planes = np.pad(planes.cumsum(axis=2, dtype=np.uint32), ((0, 0), (0, 0), (1, 0)))
        for channel, plane in enumerate(planes):
            place[..., channel] = _weighted(plane, weights, height, width) >> _BITS
    return out


def _padded(image: PixelArray, reach: int) -> NDArray[np.uint32]:
    """Return the channels of an image, mirrored at its edges (the edge itself is not repeated)."""
    margins = ((0, 0), (reach, reach), (reach, reach))
    return np.pad(image.transpose(2, 0, 1), margins, mode="reflect").astype(np.uint32)


def _weighted(plane: NDArray[np.uint32], weights: Kernel, height: int, width: int) -> NDArray[np.uint32]:
    total, part = np.zeros((2, height, width), np.uint32)
    for y, x in np.argwhere(weights).tolist():
        np.multiply(plane[y : y + height, x : x + width], np.uint32(weights[y, x] % (1 << 32)), out=part)
        total += part
    return total
