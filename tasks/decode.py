"""From the encoded images of a view to arrays of pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence

import datasets
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..cards.errors import MedIMetaError

FORMATS = ("WEBP", "PNG", "JPEG")  # what datasets hold; to try all that Pillow knows takes a tenth of the time
Pictures = NDArray[np.uint8]  # images of one shape: (rows, height, width, channels), 0 to 255


def encoded_images(images: datasets.Dataset, rows: Sequence[int]) -> list[bytes]:
    """The encoded images of some rows.

    Args:
        images: One column of images, in the format "arrow".
        rows: Row numbers.

    Raises:
        MedIMetaError: If a row has no image.
    """
    (column,) = images[rows].columns
    found: list[bytes] = []
    for row, cell in zip(rows, column.to_pylist(), strict=True):
        if cell is None or cell["bytes"] is None:
            raise MedIMetaError(f"Row {row} holds no image. load_task gives rows that hold one each.")
        found.append(cell["bytes"])
    return found


def decode_images(data: Sequence[bytes], rows: Sequence[int], shape: tuple[int, ...] | None = None) -> Pictures:
    """Decode the images of some rows.

    Args:
        data: The encoded images, grey or RGB.
        rows: Their row numbers, for messages.
        shape: Height, width and channels that each has to have; those of the first by default.

    Returns:
        uint8, shape (rows, height, width, channels).

    Raises:
        MedIMetaError: If an image is damaged, of another mode, or of another shape.
    """
    pictures: list[Pictures] = []
    for row, picture in zip(rows, data, strict=True):
        try:
            pixels = _decode(picture)
            shape = shape or pixels.shape
            if pixels.shape != shape:
                raise ValueError(f"has the shape {pixels.shape}, where others have {shape}")
        except ValueError as error:
            raise MedIMetaError(
                f"The image in row {row} {error}. Build the dataset again, or leave the row out (Dataset.select)."
            ) from error
        pictures.append(pixels)
    return np.stack(pictures)


def image_shape(images: datasets.Dataset) -> tuple[int, ...]:
    """Height, width and channels of the images, from the first one; zeros where there is none.

    Args:
        images: As for `encoded_images`.
    """
    return decode_images(encoded_images(images, [0]), [0]).shape[1:] if len(images) else (0, 0, 0)


def _decode(data: bytes) -> Pictures:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            mode, pixels = image.mode, np.asarray(image)
    except Exception as error:  # decoders raise almost anything
        raise ValueError(f"is damaged ({type(error).__name__}: {error})") from error
    if mode not in ("L", "RGB"):
        raise ValueError(f"is of mode {mode}, neither grey (L) nor RGB")
    return pixels.reshape(*pixels.shape[:2], -1)
