"""The pixel path: from the bytes of a source's image to a square of 224 pixels a side, bit for bit as published.

Other sides go through the same steps, with the side as their parameter.

The size of an image in its source is kept in `info["original_image_size"]` (set by `Raw.image`), so that a row can
give it without opening the file again.
"""

from __future__ import annotations

import io
import os
import re
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from ..files.nature import nature

SIDE = 224  # pixels, as published
SIDES = range(28, 1025)
ORIGINAL_SIZE = "original_image_size"
MAX_SIDE = 10_000  # pixels; the longest side of any source image is about 4,300
PICTURES = ("L", "LA", "RGB", "RGBA")  # modes with 8 bits per channel, as sources publish them; palettes lose colours
MASKS = ("1", "P", *PICTURES)

_DEEP = re.compile(r";(12|16|24|32|64)")  # in Pillow's raw modes: bits per channel, of which it would keep eight
_CHUNK = struct.Struct(">I4s").unpack_from  # length and name of a part of a PNG file
_LOSSY = ("jpeg", "tiff_jpeg", "webp")  # compression of a TIFF image; no photograph of a source has it
_ORIENTATION = 274  # TIFF tag
_settings = threading.Lock()
_users: list[tuple[bool, int | None]] = []  # what to restore, once per thread inside `own_settings`


def _forget_other_threads() -> None:
    global _settings
    _settings = threading.Lock()
    _users.clear()


if hasattr(os, "register_at_fork"):  # a forked process has one thread, which may not hold the lock
    os.register_at_fork(after_in_child=_forget_other_threads)


@contextmanager
def own_settings() -> Iterator[None]:
    """Decode with Pillow's and NumPy's defaults, whatever other libraries have set.

    Some set `ImageFile.LOAD_TRUNCATED_IMAGES`, which makes Pillow fill the missing part of a damaged file with grey.
    Sizes are checked by `open_image` instead of `Image.MAX_IMAGE_PIXELS`.
    """
    with _settings:
        _users.append((ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS))
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, None
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        with _settings:
            before = _users.pop()
            if not _users:
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


def open_image(
    data: bytes, formats: tuple[str, ...], *, modes: Sequence[str] = PICTURES, most: int = MAX_SIDE
) -> Image.Image:
    """Open an encoded image of a known format, without decoding it yet.

    Other formats are not tried: some of Pillow's decoders run programs such as Ghostscript.

    Args:
        data: The encoded image.
        formats: Pillow's names of the formats it may have, e.g. ("PNG",).
        modes: The modes it may have; others would lose values when they become 8 bits per channel.
        most: Longest side in pixels.

    Raises:
        ValueError: If it is something else, cannot be read, or is too large. The text says what it is.
    """
    expected = " or ".join(formats)
    try:
        with own_settings():
            image = Image.open(io.BytesIO(data), formats=formats)
            frames = _frames(image)
    except UnidentifiedImageError:
        actual = nature(data)
        known = f" ({actual})" if actual else ""
        raise ValueError(f"not a readable {expected} image{known}") from None
    except Exception as error:  # decoders raise almost anything
        raise ValueError(f"not a readable {expected} image ({type(error).__name__}: {error})") from error
    if image.format == "PNG":
        _check_png(data)
    if frames > 1:
        raise ValueError(f"{frames} frames or pages, not one; which of them is meant cannot be known")
    if turned := _orientation(image):
        raise ValueError(f"orientation {turned} in its TIFF tags, by which its pixels would be turned or mirrored")
    if image.format == "TIFF" and (how := image.info.get("compression")) in _LOSSY and "1" not in modes:
        raise ValueError(f"compressed with loss ({how}), so its values may not be those of the source")
    if max(image.size) > most:
        raise ValueError(f"{image.width}x{image.height} pixels; no image of this kind has a side over {most:,}")
    raw_mode = _raw_mode(image)
    if image.mode not in modes or _DEEP.search(raw_mode):
        raise ValueError(
            f"mode {image.mode if image.mode not in modes else raw_mode}, not one of {', '.join(modes)} with 8 bits "
            "per channel; converting it would change its values"
        )
    return image


def read_image(
    data: bytes, formats: tuple[str, ...], *, modes: Sequence[str] = PICTURES, most: int = MAX_SIDE
) -> Image.Image:
    """Decode an image as `open_image` opens it, to its last byte.

    Raises:
        ValueError: As `open_image`, and if the file is damaged or cut short.
    """
    image = open_image(data, formats, modes=modes, most=most)
    try:
        with own_settings():
            image.load()
    except Exception as error:  # decoders raise almost anything
        raise ValueError(f"the image is damaged or cut short ({type(error).__name__}: {error})") from error
    return image


def _check_png(data: bytes) -> None:
    """Check the checksums of the pixels of a PNG, which Pillow does not.

    Raises:
        ValueError: If one is wrong.
    """
    view, place, end = memoryview(data), 8, len(data) - 12
    while place <= end:
        length, kind = _CHUNK(data, place)
        if kind == b"IDAT":
            stop = place + 8 + length
            if zlib.crc32(view[place + 4 : stop]).to_bytes(4, "big") != view[stop : stop + 4]:
                raise ValueError("the image is damaged or cut short (a checksum of its pixels is wrong)")
        elif kind == b"IEND":
            return
        place += 12 + length


def _frames(image: Image.Image) -> int:
    """Number of images in a PNG or TIFF file; the further ones of a JPEG file are previews of the first."""
    return int(getattr(image, "n_frames", 1)) if image.format in ("PNG", "TIFF") else 1


def _orientation(image: Image.Image) -> int:
    """The orientation by which Pillow turns a TIFF image while it decodes, or 0 if it leaves it as it is stored."""
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    orientation = tags.get(_ORIENTATION, 1)
    return orientation if orientation in range(2, 9) else 0


def _raw_mode(image: Image.Image) -> str:
    """How the pixels are stored, in Pillow's words, e.g. "RGB;16B"; "" where Pillow does not say."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return ""
    *_, arguments = image.tile[0]  # a plain tuple before Pillow 11
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


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


def thumbnail(image: Image.Image, side: int = SIDE) -> Image.Image:
    """Shrink a square image with `Image.thumbnail` (bicubic); enlarge it if it is smaller than that, but not than 224.

    Not the same as `resize`: from four times the side on, Pillow first averages boxes of an integer factor (its default
    `reducing_gap` of 2). Images of fewer than 224 pixels a side stay as they are: no published image is as small, and
    `problem` refuses them.

    Args:
        image: A square image; changed in place.
        side: Height and width of the result, in pixels.
    """
    enlarged = SIDE <= image.width < side
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    return resize(image, side) if enlarged else image


def resize(image: Image.Image, side: int = SIDE) -> Image.Image:
    """Resize to a square, bicubic; may enlarge.

    In two calls, horizontally first: Pillow 13 turns the order of the passes for images whose height shrinks more
    than their width, which changes pixels by up to 6 grey levels; the release was made with the horizontal pass
    first.

    Args:
        image: The image.
        side: Height and width of the result, in pixels.
    """
    return image.resize((side, image.height), Image.Resampling.BICUBIC).resize((side, side), Image.Resampling.BICUBIC)


def resize_mask(mask: Image.Image, side: int = SIDE) -> Image.Image:
    """Resize a mask (mode "1") to a square of `side` pixels, nearest neighbour."""
    return mask.resize((side, side), Image.Resampling.NEAREST)


def problem(image: Image.Image, mode: str, side: int = SIDE) -> str | None:
    """What keeps a rendered image from being published, or None.

    Args:
        image: The rendered image.
        mode: "L" or "RGB", as the catalogue says.
        side: Height and width that it should have.
    """
    if image.size != (side, side):
        return f"rendered to {image.width}x{image.height}, not {side}x{side}; the source image is too small"
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
        bare = image.copy()
        bare.info = {}  # Pillow would write a profile that it finds there
        bare.save(buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def suffix(mode: str) -> str:
    """File ending that fits `encode`: ".webp" for RGB, ".png" otherwise."""
    return ".webp" if mode == "RGB" else ".png"
