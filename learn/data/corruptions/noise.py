"""Noise per value: Gaussian, speckle, impulse and shot noise.

Random numbers are words of an image's stream, and a distribution is a table of its quantiles. So the noise
depends neither on the version of NumPy nor on the processor, and its strength alone differs between severities.
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
    """
    table = np.floor(255 * deviation * _normal()).astype(np.int16)  # floor(x + z) = x + floor(z)
    out = np.empty_like(images)
    for image, place, stream in zip(images, out, streams, strict=True):
        noisy = np.take(table, words(stream, image.shape))
        noisy += image
        np.clip(noisy, 0, 255, out=place, casting="unsafe")
    return out


def speckle_noise(images: PixelArray, deviation: float, streams: Sequence[Stream]) -> PixelArray:
    """Add Gaussian noise whose standard deviation is a share of the pixel; arguments as for `gaussian_noise`."""
    table = (1 + deviation * _normal()).astype(np.float32)
    out = np.empty_like(images)
    for image, place, stream in zip(images, out, streams, strict=True):
        noisy = np.take(table, words(stream, image.shape))
        noisy *= image
        np.clip(noisy, 0, 255, out=place, casting="unsafe")
    return out


def impulse_noise(images: PixelArray, share: float, streams: Sequence[Stream]) -> PixelArray:
    """Set a share of the values to 0 or 255, equally often.

    Values are chosen with replacement, so often that the expected share of those that are chosen is as asked for.

    Args:
        images: As for `gaussian_noise`.
        share: The share, 0 to 1, excluded.
        streams: As for `gaussian_noise`.
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
    """Replace each value by the number of photons counted there, which has a Poisson distribution.

    Args:
        images: As for `gaussian_noise`.
        photons: Expected number of a white pixel.
        streams: As for `gaussian_noise`.
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
    """Quantiles of the standard normal distribution, one per 16-bit word."""
    half = np.array([NormalDist().inv_cdf((word + 0.5) / _LEVELS) for word in range(_LEVELS // 2)])
    return np.concatenate([half, -half[::-1]])


@lru_cache(maxsize=2)
def _poisson(photons: float) -> NDArray[np.uint8]:
    """Values by pixel and quantile, as one row; the probabilities are computed one after another from that of 0."""
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
