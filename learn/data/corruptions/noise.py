"""Noise per value: Gaussian, speckle, impulse and shot noise.

Random numbers are words of an image's stream, and each distribution is a table of its quantiles. So the noise depends
neither on the version of NumPy nor on the processor, and only its strength differs between severities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decode import PixelArray
from .streams import Stream, words

_LEVELS = 1 << 16
_SHOT_BITS = 14  # of a word, for shot noise: a table of 4 MB that stays in the processor's cache


def gaussian_noise(images: PixelArray, deviation: float, streams: Sequence[Stream]) -> PixelArray:
    """Add Gaussian noise.

    Args:
        images: uint8, shape (N, height, width, channels), 0 to 255.
        deviation: Standard deviation on a scale from 0 to 1.
        streams: The stream of random numbers of each image.

    Returns:
        A new array like `images`.
    """
    table = np.floor(255 * deviation * _normal()).astype(np.int16)  # floor(x + z) = x + floor(z)
    out = np.empty_like(images)
    for image, place, stream in zip(images, out, streams, strict=True):
        noisy = np.take(table, words(stream, image.shape))
        noisy += image
        np.clip(noisy, 0, 255, out=place, casting="unsafe")
    return out


def speckle_noise(images: PixelArray, deviation: float, streams: Sequence[Stream]) -> PixelArray:
    """Add Gaussian noise whose standard deviation is proportional to the pixel value.

    Args:
        images: As for `gaussian_noise`.
        deviation: Standard deviation as a share of the pixel value.
        streams: As for `gaussian_noise`.

    Returns:
        A new array like `images`.
    """
    table = (1 + deviation * _normal()).astype(np.float32)
    out = np.empty_like(images)
    for image, place, stream in zip(images, out, streams, strict=True):
        noisy = np.take(table, words(stream, image.shape))
        noisy *= image
        np.clip(noisy, 0, 255, out=place, casting="unsafe")
    return out


def impulse_noise(images: PixelArray, share: float, streams: Sequence[Stream]) -> PixelArray:
    """Set a share of the values to 0 or 255, equally often.

    Values are chosen with replacement. Their number is such that the expected share of changed values is `share`.

    Args:
        images: As for `gaussian_noise`.
        share: The share, at least 0 and less than 1.
        streams: As for `gaussian_noise`.

    Returns:
        A new array like `images`.
    """
    size = images[0].size
    count = round(-math.log1p(-share) * size)
    out = images.copy()
    for image, stream in zip(out, streams, strict=True):
        drawn = stream.random_raw(count)
        places = (drawn >> np.uint64(32)) * np.uint64(size) >> np.uint64(32)
        image.reshape(-1)[places.astype(np.intp)] = 0 - (drawn & np.uint64(1)).astype(np.uint8)
    return out


def shot_noise(images: PixelArray, photons: float, streams: Sequence[Stream]) -> PixelArray:
    """Replace each value by a photon count drawn from a Poisson distribution, scaled back to 0 to 255.

    Args:
        images: As for `gaussian_noise`.
        photons: Expected number of photons of a white pixel.
        streams: As for `gaussian_noise`.

    Returns:
        A new array like `images`.
    """
    table = _poisson(float(photons))
    out = np.empty_like(images)
    for image, place, stream in zip(images, out, streams, strict=True):
        entries = image.astype(np.int32) << _SHOT_BITS
        entries |= words(stream, image.shape) >> (16 - _SHOT_BITS)
        np.take(table, entries, out=place)
    return out


@lru_cache(maxsize=1)
def _normal() -> NDArray[np.float64]:
    """Return quantiles of the standard normal distribution, one per 16-bit word."""
    half = np.array([NormalDist().inv_cdf((word + 0.5) / _LEVELS) for word in range(_LEVELS // 2)])
    return np.concatenate([half, -half[::-1]])


@lru_cache(maxsize=2)
def _poisson(photons: float) -> NDArray[np.uint8]:
    """Return noisy values by pixel value and quantile, flattened; probabilities are computed recursively from P(0)."""
    quantiles: Any = (np.arange(1 << _SHOT_BITS) + 0.5) / (1 << _SHOT_BITS)
    most = math.ceil(photons + 10 * math.sqrt(photons) + 10)
    values = np.floor(255 * np.minimum(np.arange(most + 1) / photons, 1)).astype(np.uint8)
    rows = []
    for pixel in range(256):
        probability = math.exp(-photons * pixel / 255)
        below = [probability]
        for count in range(1, most):
            probability *= photons * pixel / 255 / count
            below.append(below[-1] + probability)
        rows.append(values[np.searchsorted(below, quantiles)])
    return np.concatenate(rows)
