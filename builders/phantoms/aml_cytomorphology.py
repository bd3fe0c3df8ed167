"""Miniature of the AML cytomorphology: RGBA TIFF files, and annotations.dat in another order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from ..sources.aml_cytomorphology import CODES, TABLE
from . import File, encoded, spread, texture

ARCHIVE = "AML-Cytomorphology_LMU.zip"
SIZE = (240, 240)


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` cells of each of the 15 types; every third was annotated again, once with another result."""
    lines = []
    for n, label in enumerate(spread(rng, len(CODES), per_class)):
        code = CODES[label]
        path = f"{code}/{code}_{n:04d}.tiff"
        picture = texture(rng, label, len(CODES), SIZE, colour=True)
        alpha = np.random.default_rng(n).integers(0, 256, SIZE[::-1], dtype=np.uint8)
        picture.putalpha(Image.fromarray(alpha))  # to be dropped, not blended
        yield ARCHIVE, f"AML-Cytomorphology/{path}", encoded(picture, "TIFF")
        again = (code, CODES[(label + (n == 0)) % len(CODES)]) if n % 3 == 0 else ("nan", "nan")
        lines.append(" ".join((path, code, *again)))
    yield ARCHIVE, TABLE, "\n".join([*lines, ""]).encode()
