"""NCT-CRC-HE, colorectal cancer histology (dataset `crc`).

Source  https://zenodo.org/record/1214456, NCT-CRC-HE-100K.zip and CRC-VAL-HE-7K.zip (not the -NONORM archive)
Layout  NCT-CRC-HE-100K/<CODE>/<tile>.tif and CRC-VAL-HE-7K/<CODE>/<tile>.tif
"""

from __future__ import annotations

import pandas as pd
from PIL import Image

from ..images import SIDE, resize
from ..reader import Reader
from ..reading.raw import Raw, Row

PARTS = {"train": "NCT-CRC-HE-100K", "val": "CRC-VAL-HE-7K"}  # the second is the official test split
MARKERS = tuple(PARTS.values())

NAME = r"[A-Z]+-(TCGA-)?[A-Z]+\.tif"

CODES = ("ADI", "BACK", "DEB", "LYM", "MUC", "MUS", "NORM", "STR", "TUM")  # published order


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per tile: the large part first, class folders and file names in sorted order."""
    tiles = [(split, path) for split, part in PARTS.items() for path in raw.glob(f"{part}/*/*.tif", NAME)]
    folders = [path.split("/")[1] for _, path in tiles]
    ids = {code: i for i, code in enumerate(CODES)}
    return pd.DataFrame(
        {
            "original_filepath": [path for _, path in tiles],
            "original_split": [split for split, _ in tiles],
            "tissue class": [ids.get(folder, folder) for folder in folders],
        }
    )


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """The tile as it is, 224x224, or resized from that."""
    image = raw.image(row["path"])
    image.load()  # here, where a damaged file is reported by name
    return resize(image, side) if image.size == (SIDE, SIDE) else image


READER = Reader(MARKERS, manifest, render, folders=CODES, scattered=True)
