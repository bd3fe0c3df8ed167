"""Compare encoded pictures, which may be damaged, pixel by pixel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ...builders.pictures import MOST_PIXELS, form, open_picture
from ...files.unreadable import UNREADABLE_IMAGE
from .tally import NONE, Tally


@dataclass(frozen=True)
class PixelDifferences:
    """Differences between two versions of the pictures in a column; parts of a column can be added.

    Attributes:
        equal: Number of rows with identical pixels, or without a picture in both versions.
        levels: Number of rows by the largest difference of any of their pixels, in grey levels.
        mean: Mean difference of a pixel in these rows, in grey levels.
        differing: These rows.
        unlike: Rows that cannot be compared: another size or mode, damaged, or missing in one version.
    """

    equal: int = 0
    levels: dict[int, int] = field(default_factory=dict)
    mean: float = 0.0
    differing: Tally = NONE
    unlike: Tally = NONE

    def __add__(self, other: PixelDifferences) -> PixelDifferences:
        differing = self.differing + other.differing
        total = self.mean * self.differing.rows + other.mean * other.differing.rows
        return PixelDifferences(
            equal=self.equal + other.equal,
            levels=dict(sorted((Counter(self.levels) + Counter(other.levels)).items())),
            mean=total / max(1, differing.rows),
            differing=differing,
            unlike=self.unlike + other.unlike,
        )

    def __str__(self) -> str:
        if not self.levels:
            return "equal"
        rows = ", ".join(f"{level} in {count:,} row(s)" for level, count in self.levels.items())
        return f"up to {max(self.levels)} grey level(s) apart ({rows}; {self.mean:.3g} on average)"


def compare_pictures(row: str, here: bytes | None, there: bytes | None) -> PixelDifferences:
    """Compare the pictures of one row.

    Args:
        row: Its name, for the example.
        here: Our picture, encoded; None where there is none.
        there: Theirs.
    """
    if here == there:
        return PixelDifferences(equal=1)
    images = [None if data is None else decoded(data) for data in (here, there)]
    forms = [_form(data, image) for data, image in zip((here, there), images, strict=True)]
    ours, theirs = images
    if ours is None or theirs is None or forms[0] != forms[1]:
        return PixelDifferences(unlike=Tally(1, (f"{row}: {forms[0]} here, {forms[1]} there",)))
    gaps = np.abs(_values(ours) - _values(theirs))
    worst = int(gaps.max())
    if worst == 0:
        return PixelDifferences(equal=1)
    example = f"{row}: up to {worst} grey level(s), in {np.count_nonzero(gaps):,} value(s)"
    return PixelDifferences(levels={worst: 1}, mean=float(gaps.mean()), differing=Tally(1, (example,)))


def decoded(data: bytes) -> Image.Image | None:
    """Return the picture, or None if the bytes are not a readable one; one that is far too large is not decoded."""
    try:
        image = open_picture(data)
        if image.width * image.height <= MOST_PIXELS:
            image.load()
    except UNREADABLE_IMAGE:
        return None
    return image


def _form(data: bytes | None, image: Image.Image | None) -> str:
    return "none" if data is None else "damaged" if image is None else form(image)


def _values(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return np.asarray(image.convert("L") if image.mode == "1" else image, dtype=np.int16)
