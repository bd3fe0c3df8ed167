"""Encoded pictures of a Hub folder, which anyone may have written: the formats that are read, and their size."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "WEBP", "JPEG")  # what builds write, and what the viewer shows; no format that starts a program
MOST_PIXELS = 4096 * 4096  # decoded for a look; the pictures of builds have at most 1024x1024


def open_picture(data: bytes) -> Image.Image:
    """Open an encoded picture without decoding it.

    Truncated data are refused here: whether Pillow does so later depends on a global that other libraries set.

    Args:
        data: The encoded picture.

    Raises:
        Exception: One of `files.unreadable.UNREADABLE_IMAGE`.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise OSError(f"not {', '.join(FORMATS)}") from None
    if not _ends_well(data, str(image.format)):
        raise OSError("truncated data")
    return image


def form(image: Image.Image) -> str:
    """Return size and mode, for messages."""
    return f"{image.width}x{image.height} {image.mode}"


def _ends_well(data: bytes, kind: str) -> bool:
    if kind == "PNG":
        return b"IEND" in data[-64:]
    if kind == "WEBP":
        return len(data) >= 8 + int.from_bytes(data[4:8], "little")
    return b"\xff\xd9" in data[-64:]
