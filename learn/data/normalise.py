"""Normalise pixels: from uint8 to floating-point channels, with a model's mean and standard deviation."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import MedIMetaError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FLOATS = (torch.float32, torch.bfloat16, torch.float16)
PIECE = 32_000  # from 32,768 numbers on, torch uses threads, and waking them takes longer than this work

_FREE: deque[NDArray[np.uint8]] = deque(maxlen=4)  # memory of batches that are no longer in use


def normalise(
    images: torch.Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> torch.Tensor:
    """Return (pixel / 255 - mean) / std, computed in float32.

    Args:
        images: uint8, shape (N, height, width, channels), on any device.
        dtype: Type of the result: float32, bfloat16 or float16.
        mean: Mean per channel of the result, on a scale from 0 to 1.
        std: Standard deviation per channel, on the same scale.

    Returns:
        Shape (N, len(mean), height, width); RGB in the memory format channels_last. Greyscale images are repeated for
        each channel. Channels with equal mean and deviation share their memory: do not write to them.

    Raises:
        MedIMetaError: If dtype, mean or std do not fit the images.
    """
    check_form(dtype, mean, std, images.shape[-1])
    if images.shape[-1] == 1 < len(mean) and len(set(mean)) == len(set(std)) == 1:
        one = normalise(images, dtype=dtype, mean=mean[:1], std=std[:1])
        return one.expand(-1, len(mean), -1, -1)
    if images.device.type == "cpu":
        return _on_cpu(images.numpy(), dtype, np.array(mean, np.float32), np.array(std, np.float32))
    return _on_device(images, dtype, mean, std)


def check_form(dtype: torch.dtype, mean: Sequence[float], std: Sequence[float], channels: int) -> None:
    """Check that `normalise` can be applied to images with this number of channels.

    Raises:
        MedIMetaError: If it cannot.
    """
    if dtype not in FLOATS:
        raise MedIMetaError(f"dtype is {dtype}; choose one of {', '.join(map(str, FLOATS))}.")
    if not len(mean) == len(std) > 0 or 1 < channels != len(mean):
        raise MedIMetaError(
            f"mean has {len(mean)} and std {len(std)} number(s), for images of {channels} channel(s). Give one of "
            "each per input channel of the model: 3 for RGB images, any number for greyscale ones."
        )


def _on_device(images: torch.Tensor, dtype: torch.dtype, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    centre, spread = (torch.tensor(values, device=images.device).view(-1, 1, 1) for values in (mean, std))
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255).sub(centre).div_(spread).to(dtype)


def _on_cpu(
    images: NDArray[np.uint8], dtype: torch.dtype, mean: NDArray[np.float32], std: NDArray[np.float32]
) -> torch.Tensor:
    """Normalise image by image, so that intermediate values stay in the processor's cache."""
    count, height, width, channels = images.shape
    if channels == 1:
        images, centre, spread = images.reshape(count, 1, height * width), mean[:, None], std[:, None]
    else:  # whole rows of pixels, with the channels of a pixel next to each other
        images = images.reshape(count, height, width * channels)
        centre, spread = np.tile(mean, width), np.tile(std, width)
    shape = np.broadcast_shapes(images.shape[1:], centre.shape)
    result = _empty((count, *shape), dtype)
    scaled, values = np.empty(images.shape[1:], np.float32), np.empty(shape, np.float32)
    for image, place in zip(images, result, strict=True):
        if dtype == torch.float32:
            values = place.numpy()
        np.divide(image, np.float32(255), out=scaled)
        np.subtract(scaled, centre, out=values)
        np.divide(values, spread, out=values)
        if dtype != torch.float32:
            pieces = torch.split(torch.from_numpy(values).view(-1), PIECE)
            for target, piece in zip(torch.split(place.view(-1), PIECE), pieces, strict=True):
                target.copy_(piece)
    if channels == 1:
        return result.view(count, len(mean), height, width)
    return result.view(count, height, width, channels).permute(0, 3, 1, 2)


def _empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Like `torch.empty`, but reuse the memory of an earlier batch: new pages may cost more than everything else."""
    size = math.prod(shape) * dtype.itemsize
    try:
        while (memory := _FREE.popleft()).nbytes < size:
            pass
    except IndexError:
        memory = np.empty(size, np.uint8)
    array = memory[:size].view(f"i{dtype.itemsize}")
    # `array` is collected together with the last tensor that shares its memory.
    weakref.finalize(array, _FREE.append, memory).atexit = False
    return torch.from_numpy(array).view(dtype).view(shape)
