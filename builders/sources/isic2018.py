"""ISIC 2018 task 3, HAM10000 with the challenge's validation and test images (dataset `derm`).

Source  https://challenge.isic-archive.com/data/, ISIC2018_Task3_<part>_{GroundTruth,Input}.zip and
        ISIC2018_Task3_Training_LesionGroupings.csv (optional)
Layout  ISIC2018_Task3_<part>_GroundTruth/<same name>.csv with one column per class,
        ISIC2018_Task3_<part>_Input/<image>.jpg; parts Training, Validation, Test
"""

from __future__ import annotations

import pandas as pd
from PIL import Image

from ...errors import some
from ..images import crop_to_square, thumbnail
from ..reader import Reader
from ..reading.raw import Raw, Row

PARTS = {"train": "ISIC2018_Task3_Training", "val": "ISIC2018_Task3_Validation", "test": "ISIC2018_Task3_Test"}
MARKERS = tuple(f"{part}_{kind}" for part in PARTS.values() for kind in ("GroundTruth", "Input"))
LESIONS = "ISIC2018_Task3_Training_LesionGroupings.csv"

CODES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")  # columns of the tables, in published order


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per line of the three tables: training, validation, test."""
    rows = pd.concat([_part(raw, split, part) for split, part in PARTS.items()], ignore_index=True)
    lesions = _lesions(raw)
    # Only training images have a known lesion; many lesions were photographed several times.
    return rows.assign(subject_id=pd.Series([lesions.get(image) for image in rows["image"]], dtype=object))


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Centre crop to a square, reduced."""
    return thumbnail(crop_to_square(raw.image(row["path"])), side)


def _part(raw: Raw, split: str, part: str) -> pd.DataFrame:
    path = f"{part}_GroundTruth/{part}_GroundTruth.csv"
    table = raw.table(path, columns=("image", *CODES), files=("image",), dtype={"image": str})
    classes = table[list(CODES)]
    unclear = ~classes.isin([0, 1]).all(axis=1) | (classes.eq(1).sum(axis=1) != 1)
    if unclear.any():
        raise raw.broken(path, f"not exactly one of {', '.join(CODES)} is 1 for {some([*table['image'][unclear]])}")
    return pd.DataFrame(
        {
            "image": table["image"],
            "original_filepath": f"{part}_Input/" + table["image"] + ".jpg",
            "original_split": split,
            "disease category": classes.to_numpy().argmax(axis=1),
        }
    )


def _lesions(raw: Raw) -> dict[str, str]:
    """Lesion of each training image, as far as the table is there."""
    if LESIONS not in raw:
        return {}
    table = raw.table(LESIONS, columns=("image", "lesion_id"), files=("image", "lesion_id"), dtype=str)
    if (twice := table["image"].duplicated()).any():
        raise raw.broken(LESIONS, f"{some([*table['image'][twice]])} are there twice")
    return dict(zip(table["image"], table["lesion_id"], strict=True))


READER = Reader(
    MARKERS,
    manifest,
    render,
    scattered=True,
    variants={
        r"(^|/)(HAM10000_images_part_[12]|HAM10000_metadata|hmnist_\d+)": "HAM10000 alone, without the tables, "
        "validation and test images of the challenge. Get the files ISIC2018_Task3_* from https://challenge.isic-archive.com/data/",
    },
)
