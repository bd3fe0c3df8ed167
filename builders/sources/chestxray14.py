"""ChestX-ray14 (dataset `cxr`).

Source  https://nihcc.app.box.com/v/ChestXray-NIHCC, CXR8.zip
Layout  CXR8/{Data_Entry_2017_v2020,BBox_List_2017}.csv, CXR8/{train_val,test}_list.txt, and in CXR8/images/ twelve
        files images_001.tar.gz to images_012.tar.gz with images/<patient>_<nnn>.png; read packed or unpacked
"""

from __future__ import annotations

import ast
import re
from typing import Any

import pandas as pd
from PIL import Image

from ...errors import some
from ..images import thumbnail
from ..reader import Reader, Released
from ..reading.raw import Raw, Row

TABLE = "Data_Entry_2017_v2020.csv"
LISTS = {"train": "train_val_list.txt", "test": "test_list.txt"}
BOXES = "BBox_List_2017.csv"
MARKERS = (TABLE, *LISTS.values())

COLUMNS = (
    "Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender", "View Position",
    "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]",  # two names are cut by their own comma
)  # fmt: skip
WHOLE = ("Follow-up #", "Patient ID", "Patient Age")
BOX_NUMBERS = ("Bbox [x", "y", "w", "h]")  # here too; three empty column names follow, over no fields at all
NO_FINDING = "No Finding"
RELEASED_BOX = re.compile(r"(.*): [(\[]" + ",".join([r"\s*([^,]+?)\s*"] * 4) + r"[)\]]")


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per line of the main table: by patient, then by follow-up number, which is not the order of names."""
    table = raw.table(TABLE, columns=COLUMNS, whole=WHOLE, files=COLUMNS[:1], keep_default_na=False)
    names = table["Image Index"].astype(str)
    rows = pd.DataFrame(
        {
            "path": _paths(raw, names),
            "original_filepath": "images/" + names,
            "original_split": _splits(raw, names),
            "subject_id": table["Patient ID"].astype(str),
            "disease labels": [_findings(text) for text in table["Finding Labels"]],
            "patient sex": table["Patient Gender"],
            "patient_age": table["Patient Age"],
            "follow_up_nb": table["Follow-up #"],
            "view_position": table["View Position"],
            "original_image_size": table[["OriginalImage[Width", "Height]"]].to_numpy().tolist(),
            # Six decimals: the rest (0.19431099999999998) is noise, which versions of pandas read differently.
            "original_pixel_spacing": table[["OriginalImagePixelSpacing[x", "y]"]].round(6).to_numpy().tolist(),
        }
    )
    if BOXES not in raw:
        return rows
    boxes = _boxes(raw)
    return rows.assign(bounding_boxes=pd.Series([boxes.get(name, []) for name in names], dtype=object))


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Grayscale (519 files are RGBA), reduced."""
    return thumbnail(raw.image(row["path"]).convert("L"), side)


def released_boxes(text: str) -> list[dict[str, Any]]:
    """Boxes from the text of a list of "Finding: (x,y,w,h)" strings.

    Raises:
        ValueError: If it is anything else.
    """
    boxes = []
    for item in ast.literal_eval(text):
        if (match := RELEASED_BOX.fullmatch(str(item))) is None:
            raise ValueError("expected 'Finding: (x,y,w,h)'")
        label, *numbers = match.groups()
        x, y, width, height = map(float, numbers)
        boxes.append({"label": label, "x": x, "y": y, "width": width, "height": height})
    return boxes


def _paths(raw: Raw, names: pd.Series) -> pd.Series:
    """Path of each image; pictures of these names in other folders, such as heat maps, are not the radiographs."""
    paths = "images/" + names
    if not all(path in raw for path in paths):  # only then: it takes minutes
        raw.list_tars()
    return paths


def _splits(raw: Raw, names: pd.Series) -> pd.Series:
    lists = {s: set(raw.table(path, header=None, names=["image"], dtype=str)["image"]) for s, path in LISTS.items()}
    if both := lists["train"] & lists["test"]:
        raise raw.broken(LISTS["test"], f"{len(both):,} images are in {LISTS['train']} too: {some(sorted(both))}")
    splits = names.map({name: split for split, members in lists.items() for name in members})
    if (lost := names[splits.isna()]).size:
        raise raw.broken(TABLE, f"{lost.size:,} images are in none of {some([*LISTS.values()])}: {some([*lost])}")
    return splits


def _findings(text: str) -> list[str]:
    return [] if text == NO_FINDING else text.split("|")


def _boxes(raw: Raw) -> dict[str, list[dict[str, Any]]]:
    """The boxes of each image that has any, in the order of the table."""
    columns = ["Image Index", "Finding Label", *BOX_NUMBERS]
    table = raw.table(BOXES, columns=columns, dtype=dict.fromkeys(BOX_NUMBERS, float))
    boxes: dict[str, list[dict[str, Any]]] = {}
    for name, label, x, y, width, height in table[columns].itertuples(index=False):
        # The label stays as in the source: "Infiltrate" where the main table says "Infiltration".
        boxes.setdefault(name, []).append({"label": label, "x": x, "y": y, "width": width, "height": height})
    return boxes


READER = Reader(
    MARKERS,
    manifest,
    render,
    tars="images_*.tar.gz",  # images_001.tar.gz to images_012.tar.gz
    renames={r"(^|/)(?:images(?:_\d+)?/)+(\d+_\d+\.png)$": r"\1images/\2"},  # each archive unpacked to its own folder
    variants={
        r"(^|/)Data_Entry_2017\.csv$": f"the first table of the source, whose ages were corrected in {TABLE}. Get that "
        "file from https://nihcc.app.box.com/v/ChestXray-NIHCC and put it next to the lists.",
    },
    released=Released(columns={"bounding_boxes": released_boxes}),
)
