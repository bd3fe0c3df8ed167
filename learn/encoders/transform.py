"""The exact preprocessing of an encoder: resize, centre crop, normalise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ...builders.images import SIDE
from ...errors import MedIMetaError, unknown
from ..data.decode import PixelArray
from ..data.normalise import IMAGENET_MEAN, IMAGENET_STD, normalise
from ..data.store import THREADS
from .resampling import INTERPOLATIONS, resized, resized_on_device


@dataclass(frozen=True)
class ImageTransform:
    """Preprocessing of square images, with Pillow's resampling, as used in the evaluation of checkpoints.

    Attributes:
        size: Height and width of the model's input, in pixels.
        mean: Mean per channel, of values from 0 to 1.
        std: Standard deviation per channel, on the same scale.
        interpolation: "nearest", "box", "bilinear", "hamming", "bicubic" or "lanczos".
        resize: Height and width that images are resized to before the centre crop; `size` by default, which crops
            nothing.
        corner: First row and column of the crop; centred by default.

    Raises:
        UnknownName: If the interpolation does not exist.
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

    def __call__(self, pixels: PixelArray | torch.Tensor, device: torch.device | str | None = None) -> torch.Tensor:
        """Return preprocessed images; a grey channel is repeated three times.

        Args:
            pixels: uint8, shape (N, side, side, 1 or 3). Tensors on a GPU are preprocessed there.
            device: Device of the result; by default that of the pixels.

        Returns:
            float32, shape (N, 3, size, size); in channels_last format on a GPU, where convolutions are faster then.

        Raises:
            MedIMetaError: If the images are not square, or not uint8.
        """
        shape = tuple(pixels.shape)
        uint8 = pixels.dtype in (np.uint8, torch.uint8)
        if not uint8 or len(shape) != 4 or shape[1] != shape[2] or shape[3] not in (1, 3):
            raise MedIMetaError(
                f"Images must be uint8, shape (N, side, side, 1 or 3); got {pixels.dtype}, shape {shape}."
            )
        if isinstance(pixels, torch.Tensor) and pixels.device.type != "cpu":
            values = pixels
            if shape[1] != self.resize:
                values = resized_on_device(values, self.resize, self.interpolation)
            values = self._cropped(values)
        else:
            images: PixelArray = np.asarray(pixels)
            images = self._cropped(images) if shape[1] == self.resize else self._resized(images)
            values = torch.from_numpy(np.ascontiguousarray(images))
        values = normalise(values if device is None else values.to(device), mean=self.mean, std=self.std)
        return values if values.device.type == "cpu" else values.contiguous(memory_format=torch.channels_last)

    def as_dict(self) -> dict[str, Any]:
        """Return all attributes as plain values."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    def _cropped(self, pixels: Any) -> Any:
        part = slice(self.corner, self.corner + self.size)
        return pixels[:, part, part] if self.crop else pixels

    def _resized(self, pixels: PixelArray) -> PixelArray:
        """Resize and crop images in threads."""
        new = np.empty((len(pixels), self.size, self.size, pixels.shape[3]), np.uint8)

        def resize(row: int) -> None:
            new[row] = self._cropped(resized(pixels[row], self.resize, self.interpolation)[None])[0]

        with ThreadPoolExecutor(THREADS) as executor:
            list(executor.map(resize, range(len(pixels))))
        return new
