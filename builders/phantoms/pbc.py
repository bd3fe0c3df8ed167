"""Miniature of the peripheral blood cells: JPEG files of about 360x363, and a hidden file that is not an image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..sources.pbc import CELL_CLASS
from . import File, encoded, texture

ARCHIVE = "PBC_dataset_normal_DIB.zip"
FOLDER = {"immature granulocyte": "ig"}


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` images of each of the eight classes."""
    for name, label in CELL_CLASS.items():
        folder = FOLDER.get(name, name)
        for number in sorted(rng.choice(900_000, per_class, replace=False).tolist()):
            size = (360, 363) if rng.random() < 0.9 else (366, 369)
            picture = texture(rng, label, len(CELL_CLASS), size, colour=True)
            path = f"PBC_dataset_normal_DIB/{folder}/{folder[:2].upper()}_{number}.jpg"
            yield ARCHIVE, path, encoded(picture, "JPEG", quality=90)
    yield ARCHIVE, "PBC_dataset_normal_DIB/neutrophil/.DS_169665.jpg", b"\0\0\0\1Bud1 folder metadata, no image"
