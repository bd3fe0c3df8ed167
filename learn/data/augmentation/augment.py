"""Training augmentation for a whole batch: named operations, composed into one affine map per image, applied once."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import grid_sample

from ....errors import missing_extra

Matrices = NDArray[np.float64]  # (N, 3, 3): affine maps of homogeneous coordinates, measured from an image's centre


class Operation(Protocol):
    """One geometric operation. The name of its class names its stream of random numbers.

    Attributes:
        draws: Random numbers per image.
    """

    draws: ClassVar[int]

    def matrices(self, numbers: NDArray[np.float64], height: int, width: int) -> Matrices:
        """Return the maps from output to input coordinates, in pixels from the centre: float64, shape (N, 3, 3).

        Args:
            numbers: Random numbers, uniform in [0, 1), shape (N, draws).
            height: Height of the images in pixels.
            width: Width of the images in pixels.
        """
        ...


@dataclass(frozen=True)
class HorizontalFlip:
    """Mirror an image left to right, with a probability."""

    draws: ClassVar[int] = 1
    probability: float = 0.25

    def matrices(self, numbers: NDArray[np.float64], height: int, width: int) -> Matrices:
        """Return the maps; see `Operation`."""
        return _scaled(x=np.where(numbers[:, 0] < self.probability, -1.0, 1.0))


@dataclass(frozen=True)
class VerticalFlip:
    """Mirror an image top to bottom, with a probability."""

    draws: ClassVar[int] = 1
    probability: float = 0.25

    def matrices(self, numbers: NDArray[np.float64], height: int, width: int) -> Matrices:
        """Return the maps; see `Operation`."""
        return _scaled(y=np.where(numbers[:, 0] < self.probability, -1.0, 1.0))


@dataclass(frozen=True)
class Crop:
    """Enlarge a random part to the size of the image, with a probability. Crops start at whole pixels.

    Attributes:
        probability: Probability that an image is cropped, 0 to 1.
        size: Height and width of the part, as a share of those of the image, 0 to 1.
    """

    draws: ClassVar[int] = 3
    probability: float = 0.25
    size: float = 200 / 224

    def matrices(self, numbers: NDArray[np.float64], height: int, width: int) -> Matrices:
        """Return the maps; see `Operation`."""
        cropped = numbers[:, 0] < self.probability
        scale = np.where(cropped, self.size, 1.0)
        maps = _scaled(x=scale, y=scale)
        for axis, side in enumerate((width, height)):
            part = round(side * self.size)
            start = np.floor(numbers[:, 1 + axis] * (side - part + 1))
            maps[:, axis, 2] = np.where(cropped, start + part / 2 - side / 2, 0.0)
        return maps


@dataclass(frozen=True)
class Rotation:
    """Turn about the centre by a random angle.

    Attributes:
        degrees: Largest angle in degrees, in either direction.
    """

    draws: ClassVar[int] = 1
    degrees: float = 10.0

    def matrices(self, numbers: NDArray[np.float64], height: int, width: int) -> Matrices:
        """Return the maps; see `Operation`."""
        angle = (2 * numbers[:, 0] - 1) * math.radians(self.degrees)
        maps = _scaled(x=np.cos(angle), y=np.cos(angle))
        maps[:, 0, 1], maps[:, 1, 0] = -np.sin(angle), np.sin(angle)
        return maps


PUBLISHED: tuple[Operation, ...] = (HorizontalFlip(), VerticalFlip(), Crop(), Rotation())


@dataclass(frozen=True)
class Augmentation:
    """Random operations in order, the published ones by default, as one bilinear resampling.

    Pixels outside the image are black. All operations are one step, so the corners of an image that is both cropped and
    rotated show pixels of the image from outside the crop.

    Each operation has its own stream of random numbers, so adding or removing one does not change what the others do.

    Attributes:
        operations: The operations, in the order in which they are applied.
    """

    operations: tuple[Operation, ...] = PUBLISHED

    def draw(self, images: int, *seed: int) -> torch.Tensor:
        """Draw the random numbers of some images. They belong to a row, not to a batch or a process.

        Args:
            images: Number of images, e.g. all rows of a dataset.
            *seed: The numbers that seed them, e.g. the seed of a run and the number of an epoch.

        Returns:
            float32, shape (images, k), in [0, 1), where k is the sum of the operations' `draws`.
        """
        streams, seen = [np.empty((images, 0), np.float32)], Counter[str]()
        for operation in self.operations:
            name = type(operation).__name__
            key = zlib.crc32(name.encode()), seen[name]
            seen[name] += 1
            streams.append(np.random.default_rng([*seed, *key]).random((images, operation.draws), np.float32))
        return torch.from_numpy(np.concatenate(streams, axis=1))

    def __call__(self, pixels: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment images.

        Args:
            pixels: uint8, shape (N, height, width, channels), 0 to 255; on any device.
            draws: Their random numbers: rows of what `draw` returns.

        Returns:
            A new tensor like `pixels`. The same numbers give the same image whatever else is in the batch.

        Raises:
            MissingExtra: If OpenCV is not installed, for images on the CPU.
        """
        matrices = self.matrices(draws, *pixels.shape[1:3])
        return (_on_cpu if pixels.device.type == "cpu" else _on_device)(pixels, matrices)

    def matrices(self, draws: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return the composed maps from output to input pixels: float64, shape (N, 2, 3).

        The output pixel at (x, y), measured from the centre of the image, is sampled at matrix @ (x, y, 1).
        """
        numbers, start = draws.double().cpu().numpy(), 0
        maps = np.broadcast_to(np.eye(3), (len(numbers), 3, 3))
        for operation in self.operations:
            end = start + operation.draws
            maps = maps @ operation.matrices(numbers[:, start:end], height, width)
            start = end
        return torch.from_numpy(np.ascontiguousarray(maps[:, :2]))


def _scaled(*, x: Any = 1.0, y: Any = 1.0) -> Matrices:
    maps = np.zeros((np.broadcast(x, y).size, 3, 3))
    maps[:, 0, 0], maps[:, 1, 1], maps[:, 2, 2] = x, y, 1.0
    return maps


def _on_cpu(pixels: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Resample image by image; OpenCV lets other threads run meanwhile."""
    try:
        import cv2
    except ModuleNotFoundError:
        raise missing_extra("cv2", "train", "Augmenting images on the CPU") from None
    images, out = pixels.numpy(), np.empty(pixels.shape, np.uint8)
    height, width = images.shape[1:3]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    maps = matrices.numpy().copy()  # OpenCV measures from the centre of the first pixel
    maps[:, :, 2] += centre - maps[:, :, :2] @ centre
    if images.shape[3] == 1:
        images, places = images[..., 0], out[..., 0]
    else:
        places = out
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for image, matrix, place in zip(images, maps, places, strict=True):
        cv2.warpAffine(image, matrix, (width, height), dst=place, flags=flags, borderMode=cv2.BORDER_CONSTANT)
    return torch.from_numpy(out)


def _on_device(pixels: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    planes = pixels.permute(0, 3, 1, 2).to(torch.float32)
    rows = matrices.float().to(pixels.device)[:, :, None, None]
    height, width = pixels.shape[1:3]
    y, x = (torch.arange(size, device=pixels.device) + (0.5 - size / 2) for size in (height, width))
    # Computed element by element: the matrix product of `affine_grid` may round differently in other batches.
    places = [
        (rows[:, axis, :, :, 0] * x + rows[:, axis, :, :, 1] * y[:, None] + rows[:, axis, :, :, 2]) * (2 / size)
        for axis, size in enumerate((width, height))
    ]
    grids = torch.stack(places, dim=-1)
    return grid_sample(planes, grids, align_corners=False).round_().to(torch.uint8).permute(0, 2, 3, 1)
