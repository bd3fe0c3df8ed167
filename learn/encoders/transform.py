"""The exact preprocessing of an encoder: resize, centre crop, normalise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...builders.images import SIDE
from ...errors import MedIMetaError, unknown
from ..data.decode import PixelArray
from ..data.normalise import IMAGENET_MEAN, IMAGENET_STD, normalise
from ..data.store import THREADS

INTERPOLATIONS = {filter.name.lower(): filter for filter in Image.Resampling}


@dataclass(frozen=True)
class ImageTransform:
    """Preprocessing of square images, with Pillow's resampling, on which checkpoints are evaluated.

    Attributes:
        size: Height and width of the model's input, in pixels.
        mean: Mean per channel, of values from 0 to 1.
        std: Standard deviation per channel, on the same scale.
        interpolation: "nearest", "box", "bilinear", "hamming", "bicubic" or "lanczos".
        resize: Height and width that images are resized to before the centre crop; `size` by default, which crops
            nothing.
        corner: First row and column of the crop; centred by default.

    Raises:
        UnknownName: If there is no such interpolation.
        MedIMetaError: If a number is out of range.
    """

    size: int = SIDE
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    interpolation: str = "bilinear"
    resize: int = 0
    corner: int = -1

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise unknown("interpolation", self.interpolation, sorted(INTERPOLATIONS))
        if self.size < 1:
            raise MedIMetaError(f"size is {self.size}; it must be 1 or more.")
        resize = self.resize or self.size
        corner = (resize - self.size) // 2 if self.corner < 0 else self.corner
        if resize < self.size or corner > resize - self.size:
            raise MedIMetaError(f"resize is {resize}; it must be at least size, {self.size}, and hold the whole crop.")
        for name in ("mean", "std"):
            values = tuple(map(float, getattr(self, name)))
            if len(values) != 3 or not np.isfinite(values).all() or (name == "std" and min(values) <= 0):
                positive = " above 0" if name == "std" else ""
                raise MedIMetaError(f"{name} is {values}; it must be three numbers{positive}, one per channel.")
            object.__setattr__(self, name, values)
        object.__setattr__(self, "resize", resize)
        object.__setattr__(self, "corner", corner)

    @property
    def crop(self) -> bool:
        """Whether the borders of images are cut off."""
        return self.resize != self.size

    def __call__(self, pixels: PixelArray, device: torch.device | str = "cpu") -> torch.Tensor:
        """Preprocess images; a grey channel is repeated three times.

        Args:
            pixels: uint8, shape (N, side, side, 1 or 3).
            device: Device of the result.

        Returns:
            float32, shape (N, 3, size, size).

        Raises:
            MedIMetaError: If the images are not square, or not uint8.
        """
        shape = pixels.shape
        if pixels.dtype != np.uint8 or len(shape) != 4 or shape[1] != shape[2] or shape[3] not in (1, 3):
            raise MedIMetaError(
                f"Images must be uint8, shape (N, side, side, 1 or 3); got {pixels.dtype}, shape {shape}."
            )
        if shape[1] != self.resize:
            pixels = self._resized(pixels)
        if self.crop:
            part = slice(self.corner, self.corner + self.size)
            pixels = pixels[:, part, part]
        values = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
        return normalise(values, mean=self.mean, std=self.std)

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes as plain values."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    def _resized(self, pixels: PixelArray) -> PixelArray:
        new = np.empty((len(pixels), self.resize, self.resize, pixels.shape[3]), np.uint8)

        def resize(row: int) -> None:
            image = Image.fromarray(pixels[row, :, :, 0] if pixels.shape[3] == 1 else pixels[row])
            resized = np.asarray(image.resize((self.resize, self.resize), INTERPOLATIONS[self.interpolation]))
            new[row] = resized[:, :, None] if resized.ndim == 2 else resized

        with ThreadPoolExecutor(THREADS) as executor:
            list(executor.map(resize, range(len(pixels))))
        return new
