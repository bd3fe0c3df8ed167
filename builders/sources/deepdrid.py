"""DeepDRiD, fundus photographs graded for diabetic retinopathy (datasets `dr_regular` and `dr_uwf`).

Source  https://isbi.deepdr.org/, DeepDRiD-master.zip (https://github.com/deepdrdoc/DeepDRiD)
Layout  DeepDRiD-master/{regular_fundus_images,ultra-widefield_images}/<split folder>/Images/<patient>/<image>.jpg;
        tables in the split folders: *.csv for training and validation, *.xlsx for test ("Evaluation"), where the
        *_upload.csv are empty forms
"""

from __future__ import annotations

import io
from functools import reduce
from typing import Any

import pandas as pd
from PIL import Image

from ...cards.catalogue import DATASETS
from ...errors import SourceNotFound, missing_extra, some
from ...files.nature import nature
from ...files.workbooks import check_workbook
from ..images import crop_to_square, thumbnail
from ..reader import Reader
from ..reading.raw import Raw, Row

MARKERS = ("regular_fundus_images", "ultra-widefield_images")
FOLDER = {"dr_regular": "regular_fundus_images", "dr_uwf": "ultra-widefield_images"}
SPLITS = {"evaluation": "test", "training": "train", "validation": "val"}  # part of the folder's name
KEYS = ["patient_id", "image_id", "image_path"]
MAX_ROWS = 10_000
UNGRADABLE = 5  # a level that is not a grade; no regular image has it

LEVEL = {"patient_dr_level": "dr_level", "dr_levels": "dr_level", "uwf_dr_levels": "dr_level"}  # else already dr_level
EYES = ("left_eye_dr_level", "right_eye_dr_level")


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per gradable image: split folders in sorted order (test first), then by patient and image.

    Patients are numbers in train and validation but text in test ("1001" before "347"), as published.
    """
    tasks = {task.column: task.name for task in DATASETS[raw.dataset].tasks}
    parts = []
    for folder in sorted({"/".join(path.split("/")[:2]) for path in raw.files}):
        if folder.startswith(f"{FOLDER[raw.dataset]}/") and (split := _split(folder)):
            rows = _test_rows(raw, folder) if split == "test" else _rows(raw, folder)
            rows = rows.rename(columns=LEVEL)
            if lacking := [column for column in tasks if column not in rows]:
                raise raw.broken(folder, f"its tables have no column {some(lacking)}")
            rows = rows[rows["dr_level"] != UNGRADABLE].sort_values(["patient_id", "image_id"])
            parts.append(rows.assign(original_split=split))
    if not parts:
        raise SourceNotFound(f"No split folder in {raw.root}/{FOLDER[raw.dataset]}. Get DeepDRiD-master.zip again.")
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(subject_id=rows["patient_id"].astype(str)).rename(columns=tasks)


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Centre crop to a square, reduced."""
    return thumbnail(crop_to_square(raw.image(row["path"])), side)


def corrected(rows: pd.DataFrame) -> pd.DataFrame:
    """The DR level of the eye instead of the patient's, where there is one; test is graded by image already.

    A row has one eye's grade. It counts even if it is in the other eye's column (two images of patient 56).
    """
    if not set(EYES) <= set(rows):  # dr_uwf
        return rows
    left, right = (rows[eye] for eye in EYES)
    shows_left = rows["image_id"].str.contains("_l", regex=False, na=False)
    own, other = left.where(shows_left, right), right.where(shows_left, left)
    grade = own.where(own.notna(), other)
    graded = grade.notna() & (grade != UNGRADABLE)
    return rows.assign(**{"DR level": grade.where(graded, rows["DR level"])})


def _split(folder: str) -> str | None:
    return next((split for name, split in SPLITS.items() if name in folder.lower()), None)


def _rows(raw: Raw, folder: str) -> pd.DataFrame:
    """Train or validation: the rows that are in all tables of the folder."""
    options: dict[str, Any] = {"whole": KEYS[:1], "files": KEYS[1:], "dtype": dict.fromkeys(KEYS[1:], str)}
    pattern = f"{folder}/*.csv"
    tables = {path: raw.table(path, columns=KEYS, **options) for path in raw.glob(pattern)}
    rows = _join(raw, pattern, tables, KEYS)
    # A leading backslash for the regular images only, then a folder that lacks the level Images.
    places = [path.replace("\\", "/").strip("/").partition("/")[2] for path in rows["image_path"]]
    return rows.assign(original_filepath=[_place(raw, folder, place) for place in places])


def _test_rows(raw: Raw, folder: str) -> pd.DataFrame:
    """Test: the rows that are in all workbooks of the folder; the image's name tells its patient and place."""
    pattern = f"{folder}/*.xlsx"
    tables = {path: _workbook(raw, path) for path in raw.glob(pattern)}
    rows = _join(raw, pattern, tables, ["image_id"])
    patients = [image.partition("_")[0] for image in rows["image_id"]]
    places = [f"{patient}/{image}.jpg" for patient, image in zip(patients, rows["image_id"], strict=True)]
    return rows.assign(patient_id=patients, original_filepath=[_place(raw, folder, place) for place in places])


def _place(raw: Raw, folder: str, place: str) -> str:
    """Path of an image; some files (patient 121 of the ultra-widefield ones) lack the "121_" of their name."""
    patient, _, name = place.partition("/")
    path, bare = f"{folder}/Images/{place}", f"{folder}/Images/{patient}/{name.partition('_')[2]}"
    return bare if path not in raw and bare in raw else path


def _join(raw: Raw, pattern: str, tables: dict[str, pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """The rows that all tables have, columns in snake case."""
    if not tables:
        raise raw.missing(pattern)
    labels = {*LEVEL, *EYES, *(task.column for task in DATASETS[raw.dataset].tasks)}
    held: dict[str, set[str]] = {}
    for path, table in tables.items():
        table.columns = table.columns.str.lower().str.replace(" ", "_")
        if table[keys].isna().any(axis=None):
            raise raw.broken(path, f"a row has no {' or '.join(keys)}")
        if len(twice := table.loc[table.duplicated(keys), "image_id"]):
            raise raw.broken(path, f"{some(sorted(twice))} is there twice")
        for other, columns in held.items():
            if both := sorted(columns & labels & {*table.columns}):
                raise raw.broken(path, f"has the column(s) {some(both)}, which {other} has, too; one may be a copy")
        held[path] = {*table.columns}
    return reduce(lambda left, right: left.merge(right, on=keys), tables.values())


def _workbook(raw: Raw, path: str) -> pd.DataFrame:
    content = raw.read(path)
    try:
        check_workbook(content, MAX_ROWS)
        table = pd.read_excel(io.BytesIO(content), engine="openpyxl", dtype={"image_id": str})
    except ImportError as error:
        raise missing_extra("openpyxl", "build", f"Reading {path}") from error
    except Exception as error:  # openpyxl raises almost anything
        actual = nature(content)
        known = actual if actual and "zip" not in actual else f"{type(error).__name__}: {error}"
        raise raw.broken(path, f"not a readable workbook ({known})") from error
    if "image_id" not in table:
        raise raw.broken(path, "there is no column image_id")
    return table.dropna(how="all")


READER = Reader(MARKERS, manifest, render, corrected=corrected, parts=FOLDER)
