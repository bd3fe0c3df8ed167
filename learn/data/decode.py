"""From the encoded images of a view to arrays of pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence

import datasets
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import MedIMetaError

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


def decode_images(data: Sequence[bytes], rows: Sequence[int], out: Pictures) -> None:
    """Decode the images of some rows.

    Args:
        data: The encoded images, grey or RGB.
        rows: Their row numbers, for messages.
        out: Where to; its shape is what theirs has to be.

    Raises:
        MedIMetaError: If an image is damaged, of another mode, or of another shape.
    """
    for row, picture, place in zip(rows, data, out, strict=True):
        pixels = _decode(picture, row)
        if pixels.shape != place.shape:
            raise _unfit(row, f"has the shape {pixels.shape}, where others have {place.shape}")
        place[:] = pixels


def image_shape(images: datasets.Dataset) -> tuple[int, ...]:
    """Height, width and channels of the images, from the first one; zeros where there is none.

    Args:
        images: As for `encoded_images`.
    """
    return _decode(encoded_images(images, [0])[0], 0).shape if len(images) else (0, 0, 0)


def _decode(data: bytes, row: int) -> Pictures:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.load()
            mode, pixels = image.mode, np.asarray(image)
    except Exception as error:  # decoders raise almost anything
        raise _unfit(row, f"is damaged ({type(error).__name__}: {error})") from error
    if mode not in ("L", "RGB"):
        raise _unfit(row, f"is of mode {mode}, neither grey (L) nor RGB")
    return pixels.reshape(*pixels.shape[:2], -1)


def _unfit(row: int, why: str) -> MedIMetaError:
    return MedIMetaError(
        f"The image in row {row} {why}. Build the dataset again, or leave the row out (Dataset.select)."
    )
