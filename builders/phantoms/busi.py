"""Miniature of BUSI: RGB PNG files of grey pictures, landscape and portrait, with 1-bit or black RGB masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from ..sources.busi import CATEGORY
from . import File, encoded, texture

ARCHIVE = "Dataset_BUSI.zip"


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """Images 1 to `per_class` of each class; the second benign one has a further mask that is never published."""
    for name, label in CATEGORY.items():
        for n in range(1, per_class + 1):
            size = (int(rng.integers(230, 300)), int(rng.integers(230, 300)))
            path = f"Dataset_BUSI_with_GT/{name}/{name} ({n})"
            yield ARCHIVE, f"{path}.png", encoded(texture(rng, label, len(CATEGORY), size).convert("RGB"), "PNG")
            mask = Image.new("RGB" if name == "normal" else "1", size)
            if name != "normal":
                ImageDraw.Draw(mask).ellipse((size[0] // 3, size[1] // 3, size[0] // 2, size[1] // 2), fill=1)
            yield ARCHIVE, f"{path}_mask.png", encoded(mask, "PNG")
            if (name, n) == ("benign", 2):
                yield ARCHIVE, f"{path}_mask_1.png", encoded(mask.convert("RGBA"), "PNG")
