"""Miniature of NCT-CRC-HE: 224x224 TIFF tiles in the three compressions that occur, in two archives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..sources.nct_crc import CODES, PARTS
from . import File, encoded, parts, texture

COMPRESSIONS = (None, "packbits", "tiff_lzw")
LETTERS = tuple("ACDEFGHIKLMNPQRSTVWY")


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` tiles of each class, a quarter of them in the smaller part."""
    compressions = 0
    for folder, count in zip(PARTS.values(), parts(per_class, 0.75, 0.25), strict=True):
        for label, code in enumerate(CODES):
            for _ in range(count):
                tile = encoded(
                    texture(rng, label, len(CODES), (224, 224), colour=True),
                    "TIFF",
                    compression=COMPRESSIONS[compressions % len(COMPRESSIONS)],
                )
                compressions += 1
                yield f"{folder}.zip", f"{folder}/{code}/{code}-{''.join(rng.choice(LETTERS, 8))}.tif", tile
