"""Seven-point checklist dermatology (datasets `skinl_derm` and `skinl_photo`).

Source  https://derm.cs.sfu.ca/Download.html, release_v0.zip
Layout  release_v0/meta/{meta,train_indexes,valid_indexes,test_indexes}.csv, release_v0/images/<group>/<file>.jpg;
        a row of meta.csv is a case with one dermoscopic (column derm) and one clinical image (column clinic)
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from PIL import Image

from ...errors import some
from ..images import pad_to_square, thumbnail
from ..reader import Reader, Released
from ..reading.raw import Raw, Row

MARKERS = ("meta", "images")
CASES = 1_011
IMAGE_COLUMN = {"skinl_derm": "derm", "skinl_photo": "clinic"}
INDEXES = {"train": "train_indexes.csv", "val": "valid_indexes.csv", "test": "test_indexes.csv"}

DIAGNOSIS_GROUP = {
    "basal cell carcinoma": "basal cell carcinoma",
    "blue nevus": "nevus",
    "clark nevus": "nevus",
    "combined nevus": "nevus",
    "congenital nevus": "nevus",
    "dermal nevus": "nevus",
    "dermatofibroma": "miscellaneous",
    "lentigo": "miscellaneous",
    "melanoma": "melanoma",
    "melanosis": "miscellaneous",
    "miscellaneous": "miscellaneous",
    "recurrent nevus": "nevus",
    "reed or spitz nevus": "nevus",
    "seborrheic keratosis": "seborrheic keratosis",
    "vascular lesion": "miscellaneous",
}
VASCULAR_GROUP = {
    "absent": "absent",
    "arborizing": "regular",
    "comma": "regular",
    "hairpin": "regular",
    "within regression": "regular",
    "wreath": "regular",
    "dotted": "irregular",
    "linear irregular": "irregular",
}
PIGMENTATION_GROUP = {
    "absent": "absent",
    "diffuse regular": "regular",
    "localized regular": "regular",
    "diffuse irregular": "irregular",
    "localized irregular": "irregular",
}
REGRESSION_GROUP = {"absent": "absent", "blue areas": "present", "white areas": "present", "combinations": "present"}

ANNOTATIONS = (
    "seven_point_score", "level_of_diagnostic_difficulty", "elevation", "location", "sex", "management", "case_id",
    "notes",
)  # fmt: skip
COLUMNS = (
    "case_num", "diagnosis", "pigment_network", "blue_whitish_veil", "vascular_structures", "pigmentation", "streaks",
    "dots_and_globules", "regression_structures", *IMAGE_COLUMN.values(), *ANNOTATIONS,
)  # fmt: skip


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per case, in the order of meta.csv; labels as names."""
    options: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "dtype": {"case_id": "string"}}
    options |= {"whole": ("case_num",), "files": tuple(IMAGE_COLUMN.values())}
    meta = raw.table("meta/meta.csv", columns=COLUMNS, **options)
    files = meta[IMAGE_COLUMN[raw.dataset]]
    diagnosis = meta["diagnosis"].mask(meta["diagnosis"].str.contains("melanoma"), "melanoma")  # six sub-types
    rows = pd.DataFrame(
        {
            "path": "images/" + files,
            "original_filepath": "release_v0/images/" + files,
            "original_split": _splits(raw, meta["case_num"]),
            "subject_id": meta["case_num"].astype(str),
            "Diagnosis": diagnosis,
            "Diagnosis grouped": diagnosis.map(DIAGNOSIS_GROUP),
            "Pigment Network": meta["pigment_network"],
            "Blue Whitish Veil": meta["blue_whitish_veil"],
            "Vascular Structures": meta["vascular_structures"],
            "Vascular Structures grouped": meta["vascular_structures"].map(VASCULAR_GROUP),
            "Pigmentation": meta["pigmentation"],
            "Pigmentation grouped": meta["pigmentation"].map(PIGMENTATION_GROUP),
            "Streaks": meta["streaks"],
            "Dots and Globules": meta["dots_and_globules"],
            "Regression Structures": meta["regression_structures"],
            "Regression Structures grouped": meta["regression_structures"].map(REGRESSION_GROUP),
            "original_diagnosis": meta["diagnosis"],
        }
    )
    return rows.join(meta[list(ANNOTATIONS)])


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Padded to a square, reduced."""
    return thumbnail(pad_to_square(raw.image(row["path"])), side)


def released_subjects(texts: pd.DataFrame) -> list[str | None]:
    """The source numbers its cases from 1 in row order; the release omits them, so a part of it has none."""
    return [str(row + 1) if len(texts) == CASES else None for row in range(len(texts))]


def _splits(raw: Raw, cases: pd.Series) -> pd.Series:
    """Split of each case; the index files count rows of the complete meta.csv from 0, cases count from 1."""
    paths = {split: f"meta/{name}" for split, name in INDEXES.items()}
    indexes = {
        split: raw.table(path, columns=("indexes",), whole=("indexes",))["indexes"] for split, path in paths.items()
    }
    together = pd.concat(indexes)
    if (twice := together.duplicated()).any():
        raise raw.broken(some([*paths.values()]), f"index(es) {some(sorted(set(together[twice])))} are there twice")
    splits = cases.map({index + 1: split for split, column in indexes.items() for index in column})
    if splits.isna().any():
        raise raw.broken("meta/meta.csv", f"case(s) {some(list(cases[splits.isna()]))} are in no index file")
    return splits


READER = Reader(MARKERS, manifest, render, released=Released(subjects=released_subjects))
