"""BUSI, breast ultrasound (dataset `bus`).

Source  https://scholar.cu.edu.eg/?q=afahmy/pages/dataset, Dataset_BUSI.zip
Layout  Dataset_BUSI_with_GT/<class>/<class> (<n>).png with <class> (<n>)_mask.png next to it
"""

from __future__ import annotations

import pandas as pd
from PIL import Image, ImageChops

from ..images import MASKS, pad_to_square, resize, resize_mask
from ..reader import Reader, Released
from ..reading.raw import Raw, Row

MARKERS = ("benign", "malignant", "normal")
IMAGES = {"benign": 437, "malignant": 210, "normal": 133}  # numbered from 1 in the complete archive
NAME = r"(benign|malignant|normal) \(\d+\)(_mask(_\d+)?)?\.png"

CATEGORY = {"normal": 0, "benign": 1, "malignant": 2}  # published order


def expected() -> list[str]:
    """Paths of the complete archive's images."""
    return [f"{folder}/{folder} ({n}).png" for folder, count in IMAGES.items() for n in range(1, count + 1)]


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per image, class folders and file names in sorted order."""
    paths = [path for path in raw.glob(f"{{{','.join(MARKERS)}}}/*.png", NAME) if "mask" not in path]
    category = [path.partition("/")[0] for path in paths]
    return pd.DataFrame(
        {
            "original_filepath": paths,
            "original_split": "train",
            "case category": [CATEGORY[name] for name in category],
            "malignancy": [int(name == "malignant") for name in category],
            "original_mask_path": [_mask_path(path) for path in paths],
        }
    )


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Grayscale, padded to a square, resized."""
    return resize(pad_to_square(raw.image(row["path"]).convert("L")), side)


def masks(raw: Raw, row: Row, labels: str, side: int) -> dict[str, Image.Image]:
    """The first lesion mask, black for class normal; with corrected labels, the union of all masks of the image.

    The release has the first mask only, also where others (`_mask_1.png`, `_mask_2.png`) hold most of the lesion.
    """
    first = _mask_path(row["path"])
    mask = raw.image(first, MASKS).convert("1")
    if labels == "corrected":
        for path in (path for n in (1, 2) if (path := f"{first.removesuffix('.png')}_{n}.png") in raw):
            further = raw.image(path, MASKS).convert("1")
            if further.size != mask.size:
                raise raw.broken(path, f"its size {further.size} is not that of {first}, {mask.size}")
            mask = ImageChops.logical_or(mask, further)
    return {"mask": resize_mask(pad_to_square(mask), side)}


def _mask_path(path: str) -> str:
    return path.removesuffix(".png") + "_mask.png"


READER = Reader(
    MARKERS,
    manifest,
    render,
    masks=masks,
    expected=expected,
    released=Released(masks={"mask": ("masks", "mask_path")}),
)
