"""Corrupted images in a view: a feature of `datasets` that corrupts what it decodes, and its pixel path.

The path of an image in a row is its published number, such as 000123.webp. Images that were decoded and encoded again,
for example by `Dataset.map`, have no path: they are corrupted already.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import datasets
import numpy as np
import pyarrow.compute as pc
from datasets.features.features import register_feature
from PIL import Image

from ....errors import MedIMetaError
from ..decode import PixelArray
from .registry import SEVERITY, check, corrupt, corruptions
from .tone import as_picture


@dataclass
class CorruptedImage(datasets.Image):
    """The feature of a column of images that are corrupted when they are decoded.

    Attributes:
        dataset: Id of the dataset whose parameters are used.
        corruption: Name of the corruption.
        severity: 1 to 5.
    """

    dataset: str = ""
    corruption: str = ""
    severity: int = 0
    _type: str = field(default="CorruptedImage", init=False, repr=False)

    def decode_example(self, value: Any, token_per_repo_id: Any = None) -> Image.Image:
        """Return one image, decoded, corrupted and then converted to `mode`."""
        picture: Image.Image = datasets.Image().decode_example(value, token_per_repo_id)
        if value["path"] is not None:
            if picture.mode not in ("L", "RGB"):
                raise MedIMetaError(f"An image has mode {picture.mode}, which is neither greyscale (L) nor RGB.")
            pixels = np.asarray(picture).reshape(1, picture.height, picture.width, -1)
            picture = as_picture(self.apply(pixels, [value["path"]])[0])
        return picture if self.mode in (None, picture.mode) else picture.convert(self.mode)

    def apply(self, pixels: PixelArray, paths: Sequence[str]) -> PixelArray:
        """Return corrupted pixels, a new array like `pixels`.

        Args:
            pixels: uint8, shape (N, height, width, channels).
            paths: The path of each image, without folder.
        """
        indices = [int(path.partition(".")[0]) for path in paths]
        return corrupt(pixels, self.dataset, self.corruption, self.severity, indices)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # "experimental"; without it, saved views could not be read again
    register_feature(CorruptedImage, "CorruptedImage")


def image_feature(
    dataset: str, mode: str | None = None, corruption: str | None = None, severity: int | None = None
) -> datasets.Image | None:
    """Return the feature with which the images of a view are decoded; None for images as published.

    Args:
        dataset: Id of the dataset.
        mode: "RGB" to convert images.
        corruption: One of `corruptions(dataset)`.
        severity: 1 to 5, 3 by default; 0 leaves the images as they are.

    Raises:
        UnknownName: If the corruption does not suit the dataset, or the severity does not exist.
        MedIMetaError: If a severity is given without a corruption.
    """
    if corruption is None and severity is not None:
        raise MedIMetaError(
            f"severity is {severity}, but no corruption is named. Give corruption= one of: "
            f"{', '.join(corruptions(dataset))}."
        )
    if corruption is not None:
        severity = SEVERITY if severity is None else severity
        check(dataset, corruption, severity)
        if severity:
            return CorruptedImage(mode=mode, dataset=dataset, corruption=corruption, severity=severity)
    return None if mode is None else datasets.Image(mode=mode)


class _Provider(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...

    def take(self, rows: Any) -> PixelArray: ...


@dataclass(frozen=True)
class CorruptedPixels:
    """Images by row number that are corrupted each time; see `PixelProvider`.

    Attributes:
        clean: The images before the corruption.
        feature: The corruption.
        paths: The path of each image; images without one are corrupted already.
    """

    clean: _Provider
    feature: CorruptedImage
    paths: Sequence[str | None]

    @classmethod
    def of(cls, clean: _Provider, images: datasets.Dataset) -> CorruptedPixels:
        """Wrap the images of a column of `CorruptedImage`.

        Args:
            clean: The same images before the corruption.
            images: A dataset with this column alone.
        """
        (name,) = images.column_names
        paths = pc.struct_field(images.data.column(name), "path")  # without reading the images
        if images._indices is not None:
            paths = paths.take(images._indices.column(0))
        return cls(clean, images.features[name], paths.to_pylist())

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, height, width, channels."""
        return self.clean.shape

    def take(self, rows: Any) -> PixelArray:
        """Return the corrupted images of some rows: uint8, shape (len(rows), height, width, channels)."""
        images = self.clean.take(rows)
        paths = [self.paths[row] for row in np.asarray(rows).tolist()]
        todo = [place for place, path in enumerate(paths) if path is not None]
        if len(todo) == len(paths):
            return self.feature.apply(images, paths)
        images[todo] = self.feature.apply(images[todo], [paths[place] for place in todo])
        return images
