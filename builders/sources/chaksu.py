"""Chákṣu, fundus photographs judged for glaucoma (dataset `glaucoma`).

Source  https://figshare.com/articles/dataset/Ch_k_u_A_glaucoma_specific_fundus_image_database/20123135,
        Train.zip and Test.zip
Layout  {Train,Test}/1.0_Original_Fundus_Images/<device>/<name>.{JPG,jpg,png};
        .../4.0_OD_CO_Fusion_Images/<device>/STAPLE/<name>.{tif,png}, the outlines of five experts merged (next to them
        Majority, Mean, Median and `Expert <n>`, where expert 4 adds "glsusp" to some names; none of these is read);
        .../6.0_Glaucoma_Decision/Glaucoma_Decision_Comparison_<device>_majority.csv, the decisions, and
        .../6.0_Glaucoma_Decision/{Majority,Mean,Median}/<device>.csv, the measurements
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import pandas as pd
from PIL import Image

from ...errors import SourceNotFound, some
from ..images import MASKS, pad_to_square, resize_mask, thumbnail
from ..reader import Reader, Released
from ..reading.raw import Raw, Row

MARKERS = ("Train", "Test")
SPLITS = {"Train": "train", "Test": "test"}
DEVICES = ("Forus", "Remidio", "Bosch")  # published order
ENDINGS = (".jpg", ".png")  # in any case; there is a Thumbs.db next to the photographs
DECISIONS = "*/6.0_Glaucoma_Decision/Glaucoma_Decision_Comparison_*_majority.csv"
MEASURED = "*/6.0_Glaucoma_Decision/{}/*.csv"
OUTLINES = "*/4.0_OD_CO_Fusion_Images/*/STAPLE/*"  # any device folder, as Test writes Remedio for Remidio
PATIENT = re.compile(r"P\d+")  # case matters: p28_image1 names no patient

DECISION = {"NORMAL": "Normal", "GLAUCOMA SUSPECT": "Suspect", "GLAUCOMA  SUSUPECT": "Suspect"}  # two blanks: as typed
EXPERTS = {f"Expert.{n}": f"annot_expert_{n}" for n in range(1, 6)}
VERDICTS = ("Majority Decision", "Glaucoma Decision")  # Test heads the same column otherwise for Forus and Remidio
FUSIONS = ("Majority", "Mean", "Median")
MEASUREMENTS = (
    "Disc Area", "Cup Area", "Rim Area", "Cup Height", "Cup Width", "Disc Height", "Disc Width",
    "ACDR", "VCDR", "HCDR", "Glaucoma Decision",
)  # fmt: skip
LARGER, SMALLER = 85, 170  # values of the merged outlines above which a pixel is in the larger, the smaller region


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per photograph: Train before Test, devices in published order, file names in sorted order.

    Tables and masks are joined by file stem in lower case, over all devices and both splits, as published.
    """
    paths = [
        path
        for split in SPLITS
        for device in DEVICES
        for path in raw.glob(f"{split}/1.0_Original_Fundus_Images/{device}/*")
        if path.lower().endswith(ENDINGS)
    ]
    rows = pd.DataFrame({"original_filepath": pd.Series(paths, dtype=str)})
    rows["original_split"] = [SPLITS[path.split("/")[0]] for path in paths]
    rows["device"] = [path.split("/")[2] for path in paths]
    rows["image_name"] = [_stem(path) for path in paths]
    patients = [PATIENT.search(path) for path in paths]
    rows["subject_id"] = pd.Series([found and found.group() for found in patients], dtype=object)
    tables = {DECISIONS: _decisions(raw), OUTLINES: _outlines(raw)}
    tables |= {MEASURED.format(fusion): _measurements(raw, fusion) for fusion in FUSIONS}
    for where, table in tables.items():
        table = table[table.index.isin(rows["image_name"])]  # some rows are of no photograph
        if table.index.has_duplicates:
            raise raw.broken(
                where, f"more than one row or file for {some(sorted(set(table.index[table.index.duplicated()])))}"
            )
        rows = rows.join(table, on="image_name")
    rows["Glaucoma suspect"] = rows.pop("verdict").replace(DECISION)
    return rows


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Padded to a square, reduced."""
    return thumbnail(pad_to_square(raw.image(row["path"])), side)


def masks(raw: Raw, row: Row, labels: str, side: int) -> dict[str, Image.Image]:
    """Optic cup and disc. The release calls the larger region the cup, though a disc contains its cup."""
    path = row["mask_staple_original_path"]
    if path is None:
        raise SourceNotFound(f"{row['path']} in {raw.root} has no merged outlines (STAPLE). Build without masks.")
    outlines = pad_to_square(raw.image(path, MASKS).convert("L"))
    larger, smaller = (
        resize_mask(outlines.point([255 * (value > above) for value in range(256)], "1"), side)
        for above in (LARGER, SMALLER)
    )
    return {"cup": smaller, "disc": larger} if labels == "corrected" else {"cup": larger, "disc": smaller}


def _decisions(raw: Raw) -> pd.DataFrame:
    """The experts' decisions and their verdict, by stem."""
    tables = []
    for path, table in _tables(raw, DECISIONS, EXPERTS).items():
        verdict = next((name for name in VERDICTS if name in table), None)
        if verdict is None:
            raise raw.broken(path, f"there is no column {' or '.join(VERDICTS)}")
        tables.append(table.rename(columns=EXPERTS | {verdict: "verdict"})[[*EXPERTS.values(), "verdict"]])
    return pd.concat(tables).reset_index().drop_duplicates().set_index("stem")  # some rows are there twice


def _measurements(raw: Raw, fusion: str) -> pd.DataFrame:
    """Areas, ratios and decision that follow from one way to merge the outlines, by stem."""
    names = {name: f"{name}_{fusion}".lower().replace(" ", "_") for name in MEASUREMENTS}
    tables = _tables(raw, MEASURED.format(fusion), names).values()
    return pd.concat(table.rename(columns=names)[list(names.values())] for table in tables)


def _outlines(raw: Raw) -> pd.DataFrame:
    """Path of the outlines merged by STAPLE, by stem."""
    paths = [path for path in raw.glob(OUTLINES) if path.lower().endswith((".png", ".tif"))]
    return pd.DataFrame({"mask_staple_original_path": paths}, index=[_stem(path) for path in paths], dtype=object)


def _tables(raw: Raw, pattern: str, columns: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Tables by path, their rows by stem: "Image101.jpg-Image101-1.jpg" is image101; some names end in .tif instead."""
    paths = raw.glob(pattern)
    if not paths:
        raise raw.missing(pattern)
    tables = {}
    for path in paths:
        table = raw.table(path, columns=["Images", *columns], dtype={"Images": str}).dropna(subset="Images")
        tables[path] = table.set_index(
            pd.Index([_stem(name.partition("-")[0]) for name in table["Images"]], name="stem")
        )
    return tables


def _stem(name: str) -> str:
    return PurePosixPath(name).stem.lower()


READER = Reader(
    MARKERS,
    manifest,
    render,
    masks=masks,
    scattered=True,
    released=Released(
        masks={"cup": ("masks/cup", "mask_cup_staple_path"), "disc": ("masks/disc", "mask_disc_staple_path")}
    ),
)
