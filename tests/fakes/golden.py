"""The shared samples: where each dataset's raw part is, what it must become, and how its source packs it."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HERE = Path(__file__).parents[1] / "golden"
SHARED = Path(os.environ.get("MEDIMETA_SHARED", Path(__file__).parents[2].parent / "shared"))

RAW = {
    "aml": "aml_cyto",
    "bus": "busi",
    "crc": "nct_crc",
    "cxr": "cxr14",
    "derm": "ham10000",
    "dr_regular": "synthetic/deepdrid",
    "dr_uwf": "synthetic/deepdrid",
    "fundus": "rfmid",
    "glaucoma": "synthetic/chaksu",
    "mammo_calc": "synthetic/cbis",
    "mammo_mass": "synthetic/cbis",
    "oct": "synthetic/kermany_cell_data",
    "organs_axial": "synthetic/lits_organs",
    "organs_coronal": "synthetic/lits_organs",
    "organs_sagittal": "synthetic/lits_organs",
    "pbc": "pbc",
    "pneumonia": "synthetic/kermany_cell_data",
    "skinl_derm": "derm7pt",
    "skinl_photo": "derm7pt",
}
ISIC = [
    f"ISIC2018_Task3_{part}_{kind}" for part in ("Training", "Validation", "Test") for kind in ("GroundTruth", "Input")
]
PACKING = {  # archive -> entries of the sample folder that it holds; synthetic/cbis comes as a folder, as downloaded
    "aml_cyto": {"AML-Cytomorphology_LMU.zip": ["AML-Cytomorphology", "annotations.dat"]},
    "busi": {"Dataset_BUSI.zip": ["Dataset_BUSI_with_GT"]},
    "nct_crc": {"NCT-CRC-HE-100K.zip": ["NCT-CRC-HE-100K"], "CRC-VAL-HE-7K.zip": ["CRC-VAL-HE-7K"]},
    "ham10000": {f"{name}.zip": [name] for name in ISIC},
    "synthetic/deepdrid": {"DeepDRiD-master.zip": ["DeepDRiD-master"]},
    "rfmid": {"A. RFMiD_All_Classes_Dataset.zip": ["A. RFMiD_All_Classes_Dataset"]},
    "synthetic/chaksu": {"Train.zip": ["Train"], "Test.zip": ["Test"]},
    "synthetic/kermany_cell_data": {"ZhangLabData.zip": ["CellData"]},
    "synthetic/lits_organs": {
        "LITS Challenge.zip": ["LITS Challenge"],
        "LITS-Challenge-Test-Data.zip": ["LITS-Challenge-Test-Data"],
        "annotations for lits.zip": ["annotations for lits"],
    },
    "pbc": {"PBC_dataset_normal_DIB.zip": ["PBC_dataset_normal_DIB"]},
    "derm7pt": {"release_v0.zip": ["release_v0"]},
}


def pack(sample: str, real: Path, target: Path) -> Path:
    """Pack a sample folder into archives as its source publishes them; what is in no archive is linked next to them."""
    folder = real / sample
    target.mkdir(parents=True)
    if sample == "cxr14":
        _pack_cxr(folder, target / "CXR8.zip")
        return target
    packed = set()
    for archive, entries in PACKING.get(sample, {}).items():
        with zipfile.ZipFile(target / archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            for entry in entries:
                packed.add(entry)
                paths = [folder / entry, *sorted((folder / entry).rglob("*"))]
                for path in paths:
                    if path.is_file():
                        file.write(path, path.relative_to(folder))
    for entry in sorted(folder.iterdir()):
        if entry.name not in packed:
            for path in [entry, *sorted(entry.rglob("*"))]:
                if path.is_file():
                    copy = target / path.relative_to(folder)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.write_bytes(path.read_bytes())
    return target


def _pack_cxr(folder: Path, archive: Path) -> None:
    """CXR8.zip: tables next to twelve tar.gz files with the images in name order."""
    images = sorted((folder / "images").glob("*.png"))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(folder.iterdir()):
            if path.is_file():
                file.write(path, f"CXR8/{path.name}")
        for number, part in enumerate(np.array_split(np.array(images, dtype=object), 12), start=1):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
                for image in part:
                    tar.add(image, f"images/{image.name}")
            file.writestr(f"CXR8/images/images_{number:03d}.tar.gz", buffer.getvalue())


def golden_folder(dataset: str) -> Path:
    """The folder of golden tables of a dataset; skips the test where there is none."""
    folder = HERE / dataset
    if not folder.is_dir():
        folder = SHARED / "golden" / dataset
    if not folder.is_dir():
        pytest.skip(f"the golden tables of {dataset} are not public and not at {SHARED}; set MEDIMETA_SHARED")
    return folder


def golden_rows(dataset: str) -> list[dict[str, str]]:
    """The rows of a golden table, in release order."""
    with (golden_folder(dataset) / "golden.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_golden(card, row, split: str, image: Image.Image | bytes) -> dict[str, str]:
    """A row of ours in the form of a golden table; `row` has label ids under the tasks' columns."""
    if isinstance(image, bytes):
        image = Image.open(io.BytesIO(image))
    found = {name: str(row[name]) for name in ("index", "original_filepath", "original_split")}
    found["split"] = {"validation": "val"}.get(split, split)
    for task in card.tasks:
        value = row[task.column]
        if task.kind == "multilabel":
            found[f"task:{task.name}"] = "".join(str(int(i in value)) for i in range(len(task.labels)))
        else:
            found[f"task:{task.name}"] = str(task.keys[value])
    found["pixels_sha256"] = hashlib.sha256(np.asarray(image).tobytes()).hexdigest()
    return found
