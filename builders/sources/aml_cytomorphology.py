"""AML cytomorphology, single white blood cells (dataset `aml`).

Source  https://doi.org/10.7937/tcia.2019.36f5o9ld, AML-Cytomorphology_LMU.zip
Layout  AML-Cytomorphology/<CODE>/<CODE>_<nnnn>.tiff; annotations.dat next to the folder: blank-separated lines of
        <CODE>/<file>, annotation, first and second re-annotation
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from PIL import Image

from ...errors import some
from ..images import thumbnail
from ..reader import Reader
from ..reading.raw import Raw, Row

TABLE = "annotations.dat"
MARKERS = (TABLE,)
FOLDERS = ("AML-Cytomorphology/", "")  # of the paths in the table: some copies have the table in that folder too

CODES = (  # published order
    "BAS", "EBO", "EOS", "KSC", "LYA", "LYT", "MMZ", "MOB", "MON", "MYB", "MYO", "NGB", "NGS", "PMB", "PMO",
)  # fmt: skip
ANNOTATIONS = ("annotation", "first_reannotation", "second_reannotation")


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per line of annotations.dat, in its order, which is not alphabetical."""
    # "nan" stands for a cell that was not annotated again.
    options: dict[str, Any] = {"sep": r"\s+", "dtype": str, "keep_default_na": False}
    rows = raw.table(TABLE, header=None, names=["original_filepath", *ANNOTATIONS], **options)
    if (cut := (rows.isna() | (rows == "")).any(axis=1)).any():  # pandas fills a short line with either
        raise raw.broken(TABLE, f"the line(s) of {some([*rows.loc[cut, 'original_filepath']])} do not have 4 fields")
    rows = rows.mask(rows == "nan", None)
    files = rows["original_filepath"].to_list()
    ids = {code: i for i, code in enumerate(CODES)}
    # The folder is the label, whatever the re-annotations say.
    labels: list[Any] = [ids.get(file[:3], file[:3]) for file in files]
    return rows.assign(
        path=[_path(raw, file) for file in files],
        original_split="train",
        **{"morphological class": labels},
    )


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Without the alpha channel, reduced."""
    return thumbnail(raw.image(row["path"]).convert("RGB"), side)


def _path(raw: Raw, file: str) -> str:
    return next((folder + file for folder in FOLDERS if folder + file in raw), FOLDERS[0] + file)


READER = Reader(MARKERS, manifest, render, renames={r"(^|/)(?:AML-Cytomorphology/)+": r"\1AML-Cytomorphology/"})
