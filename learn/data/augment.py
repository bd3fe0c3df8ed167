"""The published training augmentation, for a whole batch at once, on the CPU or on a device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import grid_sample

DRAWS = 6  # random numbers per image: three decisions, two for the position of the crop, one for the angle


@dataclass(frozen=True)
class Augmentation:
    """Random flips and a random crop, each with its own probability, and a rotation, as one bilinear resampling.

    Pixels outside the image are black. Crop and rotation are one step, so the corners of an image that is both cropped
    and rotated show pixels of the image from outside the crop.

    Attributes:
        horizontal_flip: Probability of a horizontal flip.
        vertical_flip: Probability of a vertical flip.
        crop: Probability of a random crop, resized to the size of the image.
        crop_size: Height and width of the crop, as a share of those of the image.
        degrees: Largest angle of the rotation, in either direction.
    """

    horizontal_flip: float = 0.25
    vertical_flip: float = 0.25
    crop: float = 0.25
    crop_size: float = 200 / 224
    degrees: float = 10.0

    def __call__(self, pixels: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment images.

        Args:
            pixels: uint8, shape (N, height, width, channels), 0 to 255; on any device.
            draws: Random numbers, uniform in [0, 1), shape (N, 6): `epoch_draws(...)[rows]`, or
                `torch.rand(N, DRAWS, generator=...)`.

        Returns:
            A new tensor like `pixels`. The same numbers give the same image whatever else is in the batch.
        """
        matrices = self.matrices(draws, *pixels.shape[1:3])
        return (_on_cpu if pixels.device.type == "cpu" else _on_device)(pixels, matrices)

    def matrices(self, draws: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Return the affine maps from output to input pixels: float32, shape (N, 2, 3).

        The output pixel at (x, y), measured from the centre of the image, is sampled at matrix @ (x, y, 1).
        """
        horizontal, vertical, crop, left, top, turn = draws.double().cpu().unbind(1)
        flip_x = torch.where(horizontal < self.horizontal_flip, -1.0, 1.0)
        flip_y = torch.where(vertical < self.vertical_flip, -1.0, 1.0)
        cropped = crop < self.crop
        scale = torch.where(cropped, self.crop_size, 1.0)
        angle = (2 * turn - 1) * math.radians(self.degrees)
        cos, sin = angle.cos() * scale, angle.sin() * scale
        shift_x, shift_y = (
            torch.where(cropped, _offset(where, size, round(size * self.crop_size)), 0.0)
            for where, size in ((left, width), (top, height))
        )
        return torch.stack(
            [
                torch.stack([flip_x * cos, flip_x * -sin, flip_x * shift_x], dim=1),
                torch.stack([flip_y * sin, flip_y * cos, flip_y * shift_y], dim=1),
            ],
            dim=1,
        ).float()


def epoch_draws(images: int, *, seed: int, epoch: int) -> torch.Tensor:
    """Draw the random numbers of all images for one epoch. They belong to a row, not to a batch or a process.

    Args:
        images: Number of images.
        seed: Seed of the run.
        epoch: Number of the epoch.

    Returns:
        float32, shape (images, 6), in [0, 1).
    """
    return torch.from_numpy(np.random.default_rng([seed, epoch, 1]).random((images, DRAWS), np.float32))


def _offset(where: torch.Tensor, size: int, crop: int) -> torch.Tensor:
    """Return the offset of a crop's centre from that of the image; crops start at whole pixels."""
    return (where * (size - crop + 1)).floor() + crop / 2 - size / 2


def _on_device(pixels: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    planes = pixels.permute(0, 3, 1, 2).to(torch.float32)
    grids = torch.stack(_places(matrices.to(pixels.device), *_centred(pixels)), dim=-1)
    return grid_sample(planes, grids, align_corners=False).round_().to(torch.uint8).permute(0, 2, 3, 1)


def _on_cpu(pixels: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Augment image by image, and use torch only where it starts no threads; both are for speed."""
    out = np.empty(pixels.shape, np.uint8)
    x, y = (axis.numpy() for axis in _centred(pixels))
    for image, matrix, place in zip(pixels.numpy(), matrices.numpy(), out, strict=True):
        planes = torch.from_numpy(np.array(image.transpose(2, 0, 1), np.float32, order="C"))
        grid = torch.from_numpy(np.stack(_places(matrix, x, y), axis=-1))
        moved = grid_sample(planes[None], grid[None], align_corners=False)[0].numpy()
        place[:] = np.rint(moved, out=moved).transpose(1, 2, 0)
    return torch.from_numpy(out)


def _centred(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pixel coordinates measured from the centre: x, shape (width,), and y, shape (height, 1)."""
    y, x = (torch.arange(size, device=pixels.device) + (0.5 - size / 2) for size in pixels.shape[1:3])
    return x, y[:, None]


def _places(matrices: Any, x: Any, y: Any) -> list[Any]:
    """Return sampling coordinates for `grid_sample`, -1 to 1 from edge to edge, as NumPy arrays or tensors.

    Computed element by element: the matrix product of `affine_grid` may round differently in other batches.
    """
    rows = matrices[..., None, None]
    sizes = x.shape[0], y.shape[0]
    return [
        (rows[..., axis, 0, :, :] * x + rows[..., axis, 1, :, :] * y + rows[..., axis, 2, :, :]) * (2 / size)
        for axis, size in enumerate(sizes)
    ]
