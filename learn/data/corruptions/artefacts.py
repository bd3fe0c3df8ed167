"""Artefacts of microscopy and dermatoscopy: stains, bubbles, a dark corner, written characters.

Published sets draw these with other libraries' shapes and fonts; here they are drawn with arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..decode import PixelArray
from .streams import Stream, fractions

Opacity = NDArray[np.int32]  # how much of the mark is seen, 0 to 255, shape (height, width)

# A to Z in 5 x 7 dots: a number per row, its five bits from left to right.
_FONT = (
    "0e11111f111111 1e11111e11111e 0e11101010110e 1e11111111111e 1f10101e10101f 1f10101e101010 0e11101711110f "
    "1111111f111111 0e04040404040e 0702020202120c 11121418141211 1010101010101f 111b1515111111 11191915131311 "
    "0e11111111110e 1e11111e101010 0e11111115120d 1e11111e141211 0f10100e01011e 1f040404040404 1111111111110e "
    "11111111110a04 11111115151b11 11110a040a1111 11110a04040404 1f01020408101f"
)
_DISCS = 6  # of a stain
_MOST_LETTERS = 10  # drawn for every word, so that the words of a higher severity begin with those of a lower one


def stain_deposit(images: PixelArray, parameters: tuple[int, int], streams: Sequence[Stream]) -> PixelArray:
    """Draw dark, irregular marks.

    Args:
        images: uint8, shape (N, height, width, channels), 0 to 255.
        parameters: Largest number of marks (the smallest is 1), and their size, 1 to 5.
        streams: The stream of random numbers of each image.

    Returns:
        A new array like `images`.
    """
    most, size = parameters
    out = images.copy()
    height, width = images.shape[1:3]
    for image, stream in zip(out, streams, strict=True):
        draw = fractions(stream)
        opacity = np.zeros((height, width))
        for _ in range(1 + int(next(draw) * most)):
            radius = min(height, width) * (0.02 + 0.006 * size)
            x, y = (0.1 + 0.8 * next(draw)) * width, (0.1 + 0.8 * next(draw)) * height
            for _ in range(_DISCS):  # overlapping discs, dark inside and fading towards their edges
                dx, dy, share = (next(draw) for _ in range(3))
                disc = radius * (0.5 + 0.5 * share)
                part, squares = _window(opacity, x + (2 * dx - 1) * radius, y + (2 * dy - 1) * radius, disc)
                np.maximum(part, np.clip(510 * (1 - squares / (disc * disc)), 0, 215), out=part)
        _blend(image, opacity.astype(np.int32), 0)
    return out


def bubble(images: PixelArray, parameters: tuple[int, int], streams: Sequence[Stream]) -> PixelArray:
    """Draw bubbles: white, half transparent discs with a border of 2 pixels; at least 7, of radius 3 or more.

    Args:
        images: As for `stain_deposit`.
        parameters: Largest radius in pixels, and largest number of bubbles.
        streams: As for `stain_deposit`.

    Returns:
        A new array like `images`.
    """
    largest, most = parameters
    out = images.copy()
    height, width = images.shape[1:3]
    for image, stream in zip(out, streams, strict=True):
        draw = fractions(stream)
        opacity = np.zeros((height, width))
        for _ in range(7 + int(next(draw) * (most - 6))):
            radius = 3 + int(next(draw) * (largest - 2))
            x, y = (radius + next(draw) * (side - 2 * radius) for side in (width, height))
            part, squares = _window(opacity, x, y, radius + 2)
            inside = squares <= radius * radius
            part[inside] = 100
            part[~inside & (squares <= (radius + 2) ** 2)] = 130
        _blend(image, opacity.astype(np.int32), 255)
    return out


def black_corner(images: PixelArray, factor: float) -> PixelArray:
    """Make everything outside of a centred circle black.

    Args:
        images: As for `stain_deposit`.
        factor: Radius of the circle as a share of half the shorter side.

    Returns:
        A new array like `images`.
    """
    height, width = images.shape[1:3]
    y, x = np.ogrid[:height, :width]
    squares = (x - (width - 1) / 2) ** 2 + (y - (height - 1) / 2) ** 2
    visible = squares <= (factor * min(height, width) / 2) ** 2
    kept: PixelArray = images & np.repeat(visible[..., None] * np.uint8(255), images.shape[-1], axis=2)
    return kept


def characters(images: PixelArray, parameters: tuple[int, int, float], streams: Sequence[Stream]) -> PixelArray:
    """Write words of random letters, each word in a random colour; at least one word of 3 letters or more.

    Letters are 50 times the font scale high, 7 to 9 pixels.

    Args:
        images: As for `stain_deposit`.
        parameters: Largest number of words, largest number of letters per word, and largest font scale (the smallest
            is 0.14).
        streams: As for `stain_deposit`.

    Returns:
        A new array like `images`.
    """
    words, letters, scale = parameters
    out = images.copy()
    height, width = images.shape[1:3]
    for image, stream in zip(out, streams, strict=True):
        draw = fractions(stream)
        for _ in range(1 + int(next(draw) * words)):
            count, size, y, x, *shares = (next(draw) for _ in range(7))
            text = [int(next(draw) * 26) for _ in range(_MOST_LETTERS)][: 3 + int(count * (letters - 2))]
            word = _word(text, round(50 * (0.14 + size * (scale - 0.14))))[:height, :width]
            top, left = int(y * (height - word.shape[0] + 1)), int(x * (width - word.shape[1] + 1))
            colour = np.array([int(share * 256) for share in shares[: image.shape[-1]]])
            _blend(image[top : top + word.shape[0], left : left + word.shape[1]], word, colour)
    return out


def _window(
    opacity: NDArray[np.float64], x: float, y: float, radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the part of an array around a disc, and there the squared distances from the disc's centre."""
    (top, bottom), (left, right) = (
        (min(max(int(centre - radius), 0), side), min(max(int(centre + radius) + 2, 0), side))
        for centre, side in zip((y, x), opacity.shape, strict=True)
    )
    rows, columns = np.ogrid[top:bottom, left:right]
    return opacity[top:bottom, left:right], (columns - x) ** 2 + (rows - y) ** 2


def _blend(image: PixelArray, opacity: Opacity, colour: int | NDArray[np.int64]) -> None:
    """Paint a colour over an image, in place."""
    painted = np.flatnonzero(opacity)
    rows, columns = np.divmod(painted, opacity.shape[1])
    part = opacity.reshape(-1)[painted][:, None]
    image[rows, columns] = (image[rows, columns] * (255 - part) + colour * part) // 255


def _word(text: Sequence[int], size: int) -> Opacity:
    """Write a word, given as the numbers of its letters, `size` pixels high."""
    dots = np.concatenate([_letters()[letter] for letter in text], axis=1)
    width = round(dots.shape[1] * size / dots.shape[0])
    drawn = Image.fromarray(dots).resize((width, size), Image.Resampling.BILINEAR)
    return np.asarray(drawn).astype(np.int32)


@lru_cache(maxsize=1)
def _letters() -> tuple[PixelArray, ...]:
    """Return A to Z, each of shape (7, 6), 0 or 255, with an empty column at the right."""
    rows = [np.frombuffer(bytes.fromhex(letter), np.uint8) for letter in _FONT.split()]
    return tuple(np.unpackbits(of_letter[:, None] << np.uint8(1), axis=1)[:, 2:] * np.uint8(255) for of_letter in rows)
