"""Kermany / ZhangLab, version 3: retinal OCT scans and chest radiographs (datasets `oct` and `pneumonia`).

Source  https://data.mendeley.com/datasets/rscbjbr9sj/3, ZhangLabData.zip
Layout  CellData/OCT/{train,test}/<class>/<class>-<patient>-<n>.jpeg,
        CellData/chest_xray/{train,test}/{NORMAL,PNEUMONIA}/{NORMAL,BACTERIA,VIRUS}-<patient>-<n>.jpeg
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from PIL import Image

from ...errors import SourceBroken, some
from ..images import pad_to_square, resize, thumbnail
from ..reader import Reader
from ..reading.raw import Raw, Row

MARKERS = ("OCT", "chest_xray", "OCT2017", "OCT2017 ")  # the last two of version 2, to be refused by name
FOLDER = {"oct": "OCT", "pneumonia": "chest_xray"}
FOLDERS = ("train", "test", "CNV", "DME", "DRUSEN", "NORMAL", "PNEUMONIA")
PATH = r"[^/]+/(?P<split>train|test)/(?P<folder>[^/]+)/(?P<prefix>[A-Z]+)-(?P<patient>\d+)-\d+\.jpeg"

# Version 2, which most mirrors hold: by its folders, or by its names of chest radiographs.
VERSION_2 = re.compile(r"(^|/)((OCT2017 ?|val)/|person\d+_|NORMAL2-IM-|IM-\d)")
DIFFERENCE = {
    "oct": "fewer images and another split, with a val folder",
    "pneumonia": "other file names, without the patients' numbers, and another split, with a val folder of 16 images",
}

URGENT_REFERRAL = {"CNV": "YES", "DME": "YES", "DRUSEN": "NO", "NORMAL": "NO"}
FOLDER_OF = {"BACTERIA": "PNEUMONIA", "VIRUS": "PNEUMONIA"}  # all other prefixes are the names of their folders


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per image: patients in the order of their first file by path (test first), their files by path.

    Patients are numbers: one that recurs in another class folder is the same. pandas 2.1, which made the release,
    regroups rows by patient when it merges in the splits.
    """
    folder = FOLDER[raw.dataset]
    paths = pd.Series(raw.glob(f"{folder}/*/*/*.jpeg"), dtype=str)
    parts = paths.str.extract(f"^{PATH}$")
    _check(raw, paths, parts)
    patient = parts["patient"].astype(int)
    rows = pd.DataFrame(
        {
            "path": paths,
            "original_filepath": paths.str.removeprefix(f"{folder}/"),
            "original_split": parts["split"],
            "subject_id": patient.astype(str),
        }
    )
    if raw.dataset == "oct":
        rows["disease class"] = parts["folder"]
        rows["urgent referral"] = parts["folder"].map(URGENT_REFERRAL)
    else:
        rows["pneumonia presence"] = parts["folder"]
        rows["disease class"] = parts["prefix"]
    return rows.iloc[np.argsort(pd.factorize(patient)[0], kind="stable")]


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Grayscale (some files are RGB), padded to a square, reduced; small radiographs are enlarged."""
    square = pad_to_square(raw.image(row["path"]).convert("L"))
    return (thumbnail if raw.dataset == "oct" else resize)(square, side)


def _check(raw: Raw, paths: pd.Series, parts: pd.DataFrame) -> None:
    """Refuse version 2 of the source, names that tell no patient, and files or patients that lie where they cannot."""
    named = parts["patient"].notna()
    placed = named & (parts["prefix"].replace(FOLDER_OF) == parts["folder"])
    old = next((path for path in raw.files if VERSION_2.search(path)), None)
    if old is not None and not (len(paths) and placed.all()):
        raise SourceBroken(
            f"{raw.root} holds version 2 of the source of {raw.dataset}, e.g. {old}. That version has "
            f"{DIFFERENCE[raw.dataset]}, so the published splits cannot be derived from it. Get ZhangLabData.zip "
            "of version 3 instead: https://data.mendeley.com/datasets/rscbjbr9sj/3"
        )
    if not named.all():
        raise raw.broken(some(list(paths[~named])), "not named {train,test}/<class>/<class>-<patient>-<n>.jpeg")
    if not placed.all():
        raise raw.broken(some(list(paths[~placed])), "name and folder tell different classes")
    splits = parts["split"].groupby(parts["patient"].astype(int)).nunique()
    if (splits > 1).any():
        patients = some(list(splits.index[splits > 1]))
        raise raw.broken(FOLDER[raw.dataset], f"patients in both train and test: {patients}")


READER = Reader(MARKERS, manifest, render, folders=FOLDERS, parts=FOLDER)
