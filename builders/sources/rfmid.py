"""RFMiD, retinal fundus photographs with 45 findings (dataset `fundus`).

Source  https://riadd.grand-challenge.org/download-all-classes/, A. RFMiD_All_Classes_Dataset.zip
Layout  A. RFMiD_All_Classes_Dataset/1. Original Images/<part>/<ID>.png,
        A. RFMiD_All_Classes_Dataset/2. Groundtruths/<table>.csv: ID, Disease_Risk and one column per finding
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd
from PIL import Image

from ...cards.catalogue import DATASETS
from ...errors import some
from ..images import crop_to_square, thumbnail
from ..reader import Reader
from ..reading.raw import Raw, Row

ROOT = "A. RFMiD_All_Classes_Dataset"
IMAGES = "1. Original Images"
TABLES = "2. Groundtruths"
MARKERS = (IMAGES, TABLES)
PARTS = {  # split -> folder, table
    "train": ("a. Training Set", "a. RFMiD_Training_Labels.csv"),
    "val": ("b. Validation Set", "b. RFMiD_Validation_Labels.csv"),
    "test": ("c. Testing Set", "c. RFMiD_Testing_Labels.csv"),
}
PORTAL = (("Training_Set", "Training"), ("Evaluation_Set", "Validation"), ("Test_Set", "Test"))  # the same parts


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per line of the three tables: training, validation, test."""
    return pd.concat([_part(raw, split, *names) for split, names in PARTS.items()], ignore_index=True)


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Centre crop to a square, reduced."""
    return thumbnail(crop_to_square(raw.image(row["path"])), side)


def _renames() -> Iterator[tuple[str, str]]:
    """The names of folders and tables on IEEE DataPort, and in the archive."""
    for (folder, table), (part, images) in zip(PARTS.values(), PORTAL, strict=True):
        yield rf"(^|/)(?:{part}/)+(?:{images}/)+(\d+\.png)$", rf"\1{ROOT}/{IMAGES}/{folder}/\2"
        yield rf"(^|/)(?:{part}/)+{re.escape(table.partition(' ')[2])}$", rf"\1{ROOT}/{TABLES}/{table}"


def _part(raw: Raw, split: str, folder: str, name: str) -> pd.DataFrame:
    findings = DATASETS[raw.dataset].task("disease labels").labels  # named as the table's columns, in their order
    path = f"{TABLES}/{name}"
    table = raw.table(path, columns=("ID", "Disease_Risk", *findings), whole=("ID",))
    if unknown := [column for column in table if column not in ("ID", "Disease_Risk", *findings)]:
        # Later editions of RFMiD have other findings; leaving them out would call a sick eye healthy.
        raise raw.broken(path, f"has findings that {raw.dataset} does not know: {some(unknown)}")
    marks = table[list(findings)]
    if (wrong := ~marks.isin([0, 1]).all(axis=1)).any():
        raise raw.broken(path, f"findings other than 0 and 1 for ID {some([*table['ID'][wrong]])}")
    paths = f"{IMAGES}/{folder}/" + table["ID"].astype(str) + ".png"  # IDs begin at 1 in every part
    return pd.DataFrame(
        {
            "path": paths,
            "original_filepath": f"{ROOT}/" + paths,
            "original_split": split,
            "disease presence": table["Disease_Risk"],
            "disease labels": [[f for f, mark in zip(findings, row, strict=True) if mark] for row in marks.to_numpy()],
        }
    )


READER = Reader(MARKERS, manifest, render, renames=dict(_renames()))
