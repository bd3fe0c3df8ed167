"""Peripheral blood cells (dataset `pbc`).

Source  https://data.mendeley.com/datasets/snkd93bnjr/1, PBC_dataset_normal_DIB.zip
Layout  PBC_dataset_normal_DIB/<class>/<name>.jpg
"""

from __future__ import annotations

import pandas as pd
from PIL import Image

from ..images import crop_to_square, thumbnail
from ..reader import Reader
from ..reading.raw import Raw, Row

MARKERS = ("basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet")

NAME = r"[A-Z]+_\d+\.jpg"

CELL_CLASS = {  # published order
    "neutrophil": 0,
    "eosinophil": 1,
    "basophil": 2,
    "lymphocyte": 3,
    "monocyte": 4,
    "immature granulocyte": 5,
    "erythroblast": 6,
    "platelet": 7,
}


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per image, sorted by published path.

    The release was listed after its folder `ig` had been renamed to "immature granulocyte", so that paths and order
    follow the new name.
    """
    rows = pd.DataFrame({"path": pd.Series(raw.glob(f"{{{','.join(MARKERS)}}}/*.jpg", NAME), dtype=str)})
    rows["original_filepath"] = rows["path"].str.replace(r"^ig/", "immature granulocyte/", regex=True)
    rows["original_split"] = "train"
    rows["cell class"] = rows["original_filepath"].str.partition("/")[0].map(CELL_CLASS)
    return rows.sort_values("original_filepath", ignore_index=True)


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Centre crop to a square, reduced."""
    return thumbnail(crop_to_square(raw.image(row["path"])), side)


READER = Reader(
    MARKERS,
    manifest,
    render,
    renames={r"(^|/)immature granulocyte/": r"\1ig/"},  # as published scripts rename the folder
)
