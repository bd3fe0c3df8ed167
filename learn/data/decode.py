"""Decode the encoded images of a view into arrays of pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import cast

import datasets
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from ...builders.images import own_settings
from ...errors import MedIMetaError

FORMATS = ("WEBP", "PNG", "JPEG")  # the formats of all datasets; trying all formats of Pillow takes a tenth longer
MAX_PIXELS = 1 << 26  # per image; a larger one is damaged or an attack, and would fill the memory
PixelArray = NDArray[np.uint8]  # images of one shape: (rows, height, width, channels), 0 to 255


def encoded_images(images: datasets.Dataset, rows: Sequence[int]) -> list[bytes]:
    """Return the encoded images of some rows.

    Args:
        images: One column of images, in the format "arrow".
        rows: Row numbers.

    Raises:
        MedIMetaError: If a row has no image.
    """
    (column,) = cast(pa.Table, images[rows]).columns
    encoded: list[bytes] = []
    for row, cell in zip(rows, column.to_pylist(), strict=True):
        if cell is None or cell["bytes"] is None:
            raise MedIMetaError(f"Row {row} has no image. Leave it out (Dataset.select).")
        encoded.append(cell["bytes"])
    return encoded


def decode_images(encoded: Sequence[bytes], rows: Sequence[int], out: PixelArray) -> None:
    """Decode images into an array.

    Args:
        encoded: Encoded images, greyscale or RGB.
        rows: Their row numbers, for messages.
        out: Output array, shape (len(encoded), height, width, channels), which the images must fit.

    Raises:
        MedIMetaError: If an image is damaged or has another mode or shape.
    """
    for row, data, pixels in zip(rows, encoded, out, strict=True):
        pixels[:] = _decode(data, row, pixels.shape)


def image_shape(images: datasets.Dataset) -> tuple[int, ...]:
    """Return height, width and channels of the first image, or zeros if there are no rows.

    Args:
        images: As for `encoded_images`.
    """
    return _decode(encoded_images(images, [0])[0], 0).shape if len(images) else (0, 0, 0)


def _decode(data: bytes, row: int, shape: tuple[int, ...] | None = None) -> PixelArray:
    try:
        with own_settings(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            size = (image.height, image.width, len(image.getbands()))
            if shape not in (None, size) or size[0] * size[1] > MAX_PIXELS:
                expected = f"others have {shape}" if shape else f"at most {MAX_PIXELS:,} pixels are decoded"
                raise _unusable(row, f"has shape {size}, but {expected}")
            image.load()
            mode, pixels = image.mode, np.asarray(image)
    except MedIMetaError:
        raise
    except Exception as error:  # decoders raise almost anything
        raise _unusable(row, f"is damaged ({type(error).__name__}: {error})") from error
    if mode not in ("L", "RGB"):
        raise _unusable(row, f"has mode {mode}, which is neither greyscale (L) nor RGB")
    return pixels.reshape(*pixels.shape[:2], -1)


def _unusable(row: int, why: str) -> MedIMetaError:
    return MedIMetaError(
        f"The image in row {row} {why}. Build the dataset again, or leave the row out (Dataset.select)."
    )
