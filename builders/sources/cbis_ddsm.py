"""CBIS-DDSM, digitised film mammograms (datasets `mammo_mass` and `mammo_calc`).

Source  https://wiki.cancerimagingarchive.net/pages/viewpage.action?pageId=22516629: the folder that the NBIA downloader
        leaves (classic directory names), and the case descriptions as CSV tables, in that folder or next to it
Layout  manifest-ZkhPvrLo5216730872708713142/CBIS-DDSM/<case>/<study>/<series>/1-1.dcm: in <case> ending in a view the
        mammogram, in <case> ending in a view and a number the source's crop and its mask (1-1.dcm and 1-2.dcm, in
        either order, or in two series); {mass,calc}_case_description_{train,test}_set.csv: a row per view of a lesion
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from ...cards.catalogue import DATASETS
from ...cards.facts import Task, snake_case
from ...errors import some
from ..crops import cut, eight_bits, ratio_cut
from ..images import resize
from ..reader import Reader
from ..reading import dicom
from ..reading.raw import Raw, Row

MARKERS = ("CBIS-DDSM",)
TABLES = {
    "mammo_mass": "mass_case_description_{split}_set.csv",
    "mammo_calc": "calc_case_description_{split}_set.csv",
}
SMALLEST = 224  # pixels of the mammogram on a side of the square around a lesion, whatever it is resized to
NAME = r"\d+(-\d+)?\.dcm"
FILES = ("image file path", "cropped image file path", "ROI mask file path")

PATHOLOGY = {"BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign", "MALIGNANT": "malignant"}
CONCEPTS = ("mass shape", "mass margins", "calc type", "calc distribution")


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per view of a lesion: those of the train table, then those of the test table, in their order."""
    card = DATASETS[raw.dataset]
    annotations = [a for a in card.annotations if not a.column.startswith("original_")]
    columns = ["patient_id", *(t.name for t in card.tasks), *(a.release_column for a in annotations), *FILES]
    parts = [
        raw.table(raw.find(TABLES[raw.dataset].format(split=split)), columns=columns).assign(original_split=split)
        for split in ("train", "test")
    ]
    table = pd.concat(parts, ignore_index=True)
    rows = {
        "original_split": table["original_split"],
        "subject_id": table["patient_id"],
        "listed": ["|".join(str(text).strip() for text in texts) for texts in table[list(FILES)].to_numpy()],
        "pathology": [PATHOLOGY.get(text, text) for text in table["pathology"]],  # others are refused later
    }
    rows |= {t.name: [_released(text, t) for text in table[t.name]] for t in card.tasks if t.name in CONCEPTS}
    rows |= {f"original_{task.column}": table[task.name] for task in card.tasks}
    rows |= {annotation.column: table[annotation.release_column] for annotation in annotations}
    places = pd.DataFrame(list(_places(raw, table)), columns=["original_filepath", "path", "middle_path"])
    return pd.DataFrame(rows).join(places)


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """The square around the mask of the lesion, some 224 pixels a side or more, scaled to 8 bits, resized."""
    mask, mammogram = dicom.pixels(raw, row["middle_path"]), dicom.pixels(raw, row["path"])
    if not _is_mask(mask):  # a 16-bit mask can be the larger file; as published, it is not looked at
        mask, mammogram = mammogram, mask
    if not mask.any():
        raise raw.broken(row["path"], f"neither this nor {row['middle_path']} marks the lesion")
    # The mask's indices are the mammogram's, even where their sizes differ.
    box = ratio_cut((_extent(mask, 0), _extent(mask, 1)))
    return resize(Image.fromarray(eight_bits(cut(mammogram, box))), side)


def corrected(rows: pd.DataFrame) -> pd.DataFrame:
    """LUCENT_CENTERED does not set LUCENT_CENTER, and what the source leaves blank is None instead of no label.

    In the source's tables no row has both labels, so that the first works on a manifest of the release too. The second
    needs the source's text (columns original_*): a release cannot tell blank from none, and its lists stay as they are.
    """
    rows = rows.copy()
    labels = DATASETS["mammo_calc"].task("calc type").labels
    center, centered = labels.index("LUCENT_CENTER"), labels.index("LUCENT_CENTERED")
    for name in [name for name in CONCEPTS if name in rows]:
        lists = rows[name].to_list()
        if name == "calc type":
            lists = [[i for i in ids if i != center] if centered in ids else ids for ids in lists]
        if (text := f"original_{snake_case(name)}") in rows:
            lists = [None if blank else ids for ids, blank in zip(lists, rows[text].isna(), strict=True)]
        rows[name] = pd.Series(lists, index=rows.index, dtype=object)
    return rows


def _released(text: Any, task: Task) -> list[Any]:
    """Ids of the labels whose name is a part of the text, e.g. OVAL-LYMPH_NODE; none if it is blank, as published.

    So LUCENT_CENTERED sets LUCENT_CENTER too. Words that are not labels are kept, and refused later.
    """
    if pd.isna(text):
        return []
    unknown = [word for word in str(text).split("-") if word not in task.labels]
    return [i for i, label in enumerate(task.labels) if label in text] + unknown


def _places(raw: Raw, table: pd.DataFrame) -> Iterator[tuple[str, str, str | None]]:
    """Per row: `original_filepath`, the file with the most pixels (in bits) of its three, and the next one.

    The tables cannot be trusted to say which is which (in those of calcifications crop and mask are exchanged, all
    rows but one): the smallest image is the source's crop, which gives its name only.
    """
    found = _repaired(raw)
    for texts in table[list(FILES)].itertuples(index=False):
        names = [f"CBIS-DDSM/{str(text).strip()}" for text in texts]  # the last or last but one ends in a line break
        absent = [name for name in names if name.casefold() not in found]
        if absent:
            yield names[1], absent[0], None
        else:
            crop, middle, largest = sorted(names, key=lambda name: (dicom.bits(raw, found[name.casefold()]), name))
            yield crop, found[largest.casefold()], found[middle.casefold()]


def _repaired(raw: Raw) -> dict[str, str]:
    """Path as in the tables, case-folded -> path in the source.

    The published code renamed 1-1.dcm and 1-2.dcm in the user's folder to the tables' names: within a series the
    smaller image is 000000.dcm, the larger 000001.dcm. Here no file is touched, and one already renamed is accepted.
    """
    names = {}
    for series, group in groupby(raw.glob("CBIS-DDSM/*/*/*/*.dcm", NAME), key=lambda path: path.rpartition("/")[0]):
        paths = list(group)
        if len(paths) > 2:
            raise raw.broken(series, f"has {len(paths)} images, {some(paths)}, where a series has one or two")
        if len(paths) > 1:
            paths.sort(key=lambda path: (dicom.bits(raw, path), path))
        for number, path in enumerate(paths):
            names[path if re.search(r"/\d{6}\.dcm$", path) else f"{series}/{number:06d}.dcm"] = path
    return {name.casefold(): path for name, path in names.items()}


def _is_mask(pixels: NDArray[np.integer[Any]]) -> bool:
    """Whether there are exactly two values."""
    low, high = pixels.min(), pixels.max()
    return bool(low < high and ((pixels == low) | (pixels == high)).all())


def _extent(mask: NDArray[np.integer[Any]], axis: int) -> tuple[int, int]:
    """First and last index of the mask along an axis, moved apart to 224 (or 223) where they are closer."""
    first, last = np.flatnonzero(mask.any(axis=1 - axis))[[0, -1]].tolist()
    margin = max(SMALLEST - (last - first), 0) // 2
    return first - margin, last + margin


READER = Reader(
    MARKERS,
    manifest,
    render,
    corrected=corrected,
    scattered=True,  # a download in several parts leaves several manifest folders
    variants={
        r"(^|/)jpeg/[\d.]+/[^/]+\.jpe?g$": "a copy with JPEG images, whose values differ from those of the DICOM "
        "files. Download CBIS-DDSM with the NBIA Data Retriever.",
        r"^(?!.*CBIS-DDSM/[^/]+/[\d.]+/[\d.]+/[^/]+\.dcm$).*\.dcm$": "its folders are not <case>/<study>/<series>, "
        'as the NBIA Data Retriever makes them with the setting "Classic Directory Name". Download it again so.',
    },
)
