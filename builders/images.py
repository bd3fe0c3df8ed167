"""The pixel path: pure functions from the source's image to 224x224, bit for bit as published.

A picture's size in its source travels along in `info["original_image_size"]` (set by `Raw.image`), so that the
row can tell it without opening the file again.
"""

from __future__ import annotations

import io
import zlib

import numpy as np
from PIL import Image

SIDE = 224
SIZE = (SIDE, SIDE)
ORIGINAL_SIZE = "original_image_size"


def pad_to_square(image: Image.Image) -> Image.Image:
    """Zero-pad the shorter side so that the image sits in the centre of a square; nothing is resampled.

    The top or left margin is half the difference rounded to even (1 -> 0, 3 -> 2, 5 -> 2), as
    `PIL.ImageOps.pad` places it.
    """
    width, height = image.size
    side = max(width, height)
    square = Image.new(image.mode, (side, side), 0)
    square.paste(image, (round((side - width) / 2), round((side - height) / 2)))
    square.info = image.info.copy()
    return square


def crop_to_square(image: Image.Image) -> Image.Image:
    """Cut the central square of the shorter side.

    A square image is returned as it is, not as a copy: only on the file object itself can `thumbnail` let a JPEG
    decoder shrink while decoding, as it did for the release.
    """
    width, height = image.size
    side = min(width, height)
    if width == height:
        return image
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def thumbnail(image: Image.Image) -> Image.Image:
    """Shrink a square image to 224x224 with `Image.thumbnail` (bicubic).

    Not the same as `resize`: from 896 pixels on, Pillow first averages boxes of an integer factor (its default
    `reducing_gap` of 2). It never enlarges; `check_picture` refuses what stays smaller.
    """
    image.thumbnail(SIZE, Image.Resampling.BICUBIC)
    return image


def resize(image: Image.Image) -> Image.Image:
    """Resize to 224x224, bicubic; may enlarge.

    In two calls, horizontally first: Pillow 13 turns the order of the passes for images whose height shrinks more
    than their width, which changes pixels by up to 6 grey levels; the release was made with the horizontal pass
    first.
    """
    return image.resize((SIDE, image.height), Image.Resampling.BICUBIC).resize(SIZE, Image.Resampling.BICUBIC)


def resize_mask(mask: Image.Image) -> Image.Image:
    """Resize a mask (mode "1") to 224x224, nearest neighbour."""
    return mask.resize(SIZE, Image.Resampling.NEAREST)


def problem(image: Image.Image, mode: str) -> str | None:
    """What keeps a rendered image from being published, or None.

    Args:
        image: The rendered image.
        mode: "L" or "RGB", as the catalogue says.
    """
    if image.size != SIZE:
        return f"rendered to {image.width}x{image.height}, not {SIDE}x{SIDE}; the source image is too small"
    if image.mode != mode:
        return f"rendered to mode {image.mode}, not {mode}"
    return None


def encode(image: Image.Image) -> bytes:
    """Compress without loss, and with nothing but the pixels: no profile, no EXIF.

    RGB becomes WebP (smaller than PNG and several times faster to write), grey and masks become PNG (WebP has no
    grey mode). The bytes depend on the pixels alone.

    Args:
        image: Mode "RGB", "L" or "1".
    """
    buffer = io.BytesIO()
    if image.mode == "RGB":
        image.save(buffer, "WEBP", lossless=True, method=0, quality=0)
    else:
        # Run lengths after the row filters: on medical images smaller than zlib's default, in a quarter of its time.
        bare = Image.fromarray(np.asarray(image))  # Pillow would write a profile that it finds in `info`
        bare.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def suffix(mode: str) -> str:
    """File ending that fits `encode`: ".webp" for RGB, ".png" otherwise."""
    return ".webp" if mode == "RGB" else ".png"
