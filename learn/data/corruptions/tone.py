"""Changes of tone and compression: brightness, contrast, saturation, gamma, pixelation, JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageStat

from ....errors import MedIMetaError
from ..decode import PixelArray

_RAMP = Image.frombytes("L", (256, 1), bytes(range(256)))  # every value once; transformed, it is a lookup table


def brightness(images: PixelArray, factor: float) -> PixelArray:
    """Multiply pixels, as `PIL.ImageEnhance.Brightness` does.

    Args:
        images: uint8, shape (N, height, width, channels), 0 to 255.
        factor: Under 1 is darker, above 1 brighter.

    Returns:
        A new array like `images`.
    """
    return _translated(images, ImageEnhance.Brightness(_RAMP).enhance(factor).tobytes())


def contrast(images: PixelArray, factor: float) -> PixelArray:
    """Multiply the distance from the mean grey value, as `PIL.ImageEnhance.Contrast` does.

    Args:
        images: As for `brightness`.
        factor: Under 1 lowers the contrast, above 1 raises it.

    Returns:
        A new array like `images`.
    """
    out = np.empty_like(images)
    for image, place in zip(images, out, strict=True):
        mean = int(ImageStat.Stat(as_picture(image).convert("L")).mean[0] + 0.5)
        table = Image.blend(Image.new("L", _RAMP.size, mean), _RAMP, factor).tobytes()
        place[:] = _translated(image[np.newaxis], table)[0]
    return out


def gamma_corr(images: PixelArray, exponent: float) -> PixelArray:
    """Raise pixels, on a scale from 0 to 1, to a power.

    Args:
        images: As for `brightness`.
        exponent: Under 1 is brighter, above 1 darker.

    Returns:
        A new array like `images`.
    """
    return _translated(images, bytes(int(255 * (value / 255) ** exponent) for value in range(256)))


def saturate(images: PixelArray, added: float) -> PixelArray:
    """Raise the saturation in HSV; grey pixels, which have no hue, turn red.

    With the largest channel V and the saturation S, the channel x becomes V - (V - x) * S' / S.

    Args:
        images: As for `brightness`; RGB.
        added: Number added to the saturation, on a scale from 0 to 1.

    Returns:
        A new array like `images`.

    Raises:
        MedIMetaError: If the images are greyscale.
    """
    if images.shape[-1] != 3:
        raise MedIMetaError("saturate needs RGB images; these are greyscale.")
    out = np.empty_like(images)
    for image, place in zip(images, out, strict=True):
        channels = image.transpose(2, 0, 1).astype(np.float32, order="C")
        value, least = channels.max(axis=0), channels.min(axis=0)
        spread, grey = value - least, value == least
        target = np.minimum(spread / np.maximum(value, 1) + np.float32(added), 1) * value
        scale = target / np.maximum(spread, 1)
        for channel, plane in enumerate(channels):
            plane -= value
            plane *= scale
            plane += value
            if channel:
                plane[grey] -= target[grey]
            np.clip(plane, 0, 255, out=plane)
            place[..., channel] = plane
    return out


def pixelate(images: PixelArray, size: float) -> PixelArray:
    """Shrink images by averaging boxes of pixels, then enlarge them again by repetition.

    Args:
        images: As for `brightness`.
        size: Size of the small image, as a share of height and width, 0 to 1.

    Returns:
        A new array like `images`.
    """
    height, width = images.shape[1:3]
    # Enlarged by repetition, as a box filter does.
    rows, columns = (((2 * np.arange(side) + 1) * int(side * size)) // (2 * side) for side in (height, width))
    out = np.empty_like(images)
    for image, place in zip(images, out, strict=True):
        small = as_picture(image).resize((int(width * size), int(height * size)), Image.Resampling.BOX)
        place[:] = np.asarray(small).reshape(*small.size[::-1], -1).take(rows, axis=0).take(columns, axis=1)
    return out


def jpeg_compression(images: PixelArray, quality: int) -> PixelArray:
    """Encode as JPEG and decode again.

    Args:
        images: As for `brightness`.
        quality: Quality setting of the encoder, 1 to 95.

    Returns:
        A new array like `images`.
    """
    out = np.empty_like(images)
    for image, place in zip(images, out, strict=True):
        file = io.BytesIO()
        as_picture(image).save(file, "JPEG", quality=quality)
        with Image.open(file, formats=["JPEG"]) as decoded:
            place[:] = np.asarray(decoded).reshape(image.shape)
    return out


def as_picture(image: PixelArray) -> Image.Image:
    """Return an image, shape (height, width, channels), as a Pillow image of mode L or RGB."""
    return Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image))


def _translated(images: PixelArray, table: bytes) -> PixelArray:
    """Return images with every value replaced by its table entry; `bytes.translate` is faster than `numpy.take`."""
    out = np.empty_like(images)
    for image, place in zip(images, out, strict=True):
        place[:] = np.frombuffer(image.tobytes().translate(table), np.uint8).reshape(image.shape)
    return out
