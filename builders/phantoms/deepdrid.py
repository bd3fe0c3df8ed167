"""Miniature of DeepDRiD: regular and ultra-widefield JPEG files, tables with their own paths, workbooks for test."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd

from . import File, encoded, spread, texture

ARCHIVE = "DeepDRiD-master.zip"
PARTS = ("training", "training", "validation", "test")  # in turn
REGULAR = "DeepDRiD-master/regular_fundus_images"
WIDE = "DeepDRiD-master/ultra-widefield_images"
GRADES = 6  # all labels of a regular image follow one grade, so that they show in the picture
ARTIFACT = (0, 1, 4, 6, 8, 10)
CLARITY = (10, 8, 6, 4, 1, 1)
QUALITY = ["Overall quality", "Artifact", "Clarity", "Field definition"]
EYES = ("left_eye_DR_Level", "right_eye_DR_Level")

SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """About `per_class` images of each level, regular and ultra-widefield; a quarter each in validation and test."""
    yield from _regular(rng, (per_class + 1) // 2)
    yield from _wide(rng, per_class)


def _regular(rng: np.random.Generator, patients: int) -> Iterator[File]:
    """Two eyes per patient; of some patients the right eye is better, and one's grades are in the other's column."""
    folders = {part: f"regular-fundus-{part}" for part in PARTS} | {"test": "Online-Challenge1&2-Evaluation"}
    rows: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    seen = [0] * GRADES
    for n, grade in enumerate(spread(rng, GRADES, patients), start=1):
        part, level = PARTS[(seen[grade] + grade) % 4], min(grade, 4)
        seen[grade] += 1
        place = len(rows[part]) // 2
        for eye in "lr":
            size = (896, 896) if (part, place) == ("training", 0) else (300, 240)  # 896: a decoder may shrink it
            picture = texture(rng, grade, GRADES, size, colour=True)
            yield ARCHIVE, f"{REGULAR}/{folders[part]}/Images/{n}/{n}_{eye}1.jpg", encoded(picture, "JPEG")
            column = EYES[(eye == "l") == ((part, place) == ("training", 0))]
            rows[part].append(
                {"patient_id": n, "image_id": f"{n}_{eye}1", "image_path": f"\\{folders[part]}\\{n}\\{n}_{eye}1.jpg"}
                | {"Overall quality": int(grade < 3)}
                | dict.fromkeys(EYES)
                | {column: max(level - 1, 0) if eye == "r" and place % 3 == 1 else level, "patient_DR_Level": level}
                | {"Clarity": CLARITY[grade], "Field definition": CLARITY[grade], "Artifact": ARTIFACT[grade]}
                | {"Source": ("Shanghai", "Nation")[n % 2]}
            )
    for part in ("training", "validation"):
        table, folder = pd.DataFrame(rows[part]), f"{REGULAR}/{folders[part]}"
        source = table[["patient_id", "image_id", "image_path", "Source"]][::-1]
        unseen = pd.DataFrame(
            [[999, "999_l1", f"\\{folders[part]}\\999\\999_l1.jpg", "Nation"]], columns=source.columns
        )
        yield ARCHIVE, f"{folder}/{folders[part]}.csv", _csv(table.drop(columns="Source"))
        yield ARCHIVE, f"{folder}/regular-fundus-source-{part}.csv", _csv(pd.concat([source, unseen]))
    table, folder = pd.DataFrame(rows["test"]), f"{REGULAR}/{folders['test']}"
    levels = table[["image_id", "patient_DR_Level"]].set_axis(["image_id", "DR_Levels"], axis=1)
    yield ARCHIVE, f"{folder}/Challenge1_labels.xlsx", _workbook(levels)
    yield ARCHIVE, f"{folder}/Challenge2_labels.xlsx", _workbook(table[["image_id", *QUALITY]][::-1])
    yield ARCHIVE, f"{folder}/Challenge1_upload.csv", _csv(table[["image_id"]].assign(DR_Level=None))
    yield ARCHIVE, f"{folder}/.~Readme.docx", b"no document"


def _wide(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """One image per patient; three are ungradable (level 5), and the file of patient 121 lacks its number."""
    folders = {part: f"ultra-widefield-{part}" for part in PARTS} | {"test": "Online-Challenge3-Evaluation"}
    rows: dict[str, list[dict[str, Any]]] = {part: [] for part in PARTS}
    seen = [0] * 6
    for n, level in enumerate([5, 5, 5, *spread(rng, 5, per_class)]):
        part, patient, eye = PARTS[(seen[level] + level) % 4], 118 + n, n % 2
        seen[level] += 1
        bare = f"{'lr'[eye]}{n % 9}"
        name = f"{patient}_{bare}"
        picture = texture(rng, level % 5, 5, (300, 236), colour=True)
        path = f"{WIDE}/{folders[part]}/Images/{patient}/{bare if patient == 121 else name}.jpg"
        yield ARCHIVE, path, encoded(picture, "JPEG")
        rows[part].append(
            {"patient_id": patient, "image_id": name, "image_path": f"{folders[part]}\\{patient}\\{name}.jpg"}
            | {"DR_level": level, "position": ("left_eye", "right_eye")[eye]}
        )
    for part in ("training", "validation"):
        yield ARCHIVE, f"{WIDE}/{folders[part]}/{folders[part]}.csv", _csv(pd.DataFrame(rows[part]))
    levels = pd.DataFrame(rows["test"])[["image_id", "DR_level"]].set_axis(["image_id", "UWF_DR_Levels"], axis=1)
    yield ARCHIVE, f"{WIDE}/{folders['test']}/Challenge3_labels.xlsx", _workbook(levels)


def _csv(table: pd.DataFrame) -> bytes:
    return table.convert_dtypes().to_csv(index=False).encode()  # grades with gaps stay whole numbers


def _workbook(table: pd.DataFrame) -> bytes:
    """A minimal xlsx file; spreadsheet writers put the time of writing into theirs."""
    rows = [table.columns.to_list(), *table.astype(object).to_numpy().tolist()]
    cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
    office = f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" Type="{RELATION}/'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{TYPE}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{office}officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'{office}worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{RELATION}"><sheets>'
        '<sheet name="Sheet" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{SHEET}"><sheetData>{cells}</sheetData></worksheet>',
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path, text in parts.items():
            file.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), text)
    return buffer.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"
