"""Miniature of CBIS-DDSM: small 16-bit films with lesions, each with a crop and a mask, all DICOM, and four tables."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...cards.catalogue import DATASETS
from ...cards.facts import DatasetCard
from ...errors import missing_extra
from ..sources.cbis_ddsm import FILES, TABLES
from . import File, texture

MANIFEST = "manifest-ZkhPvrLo5216730872708713142"
PATHOLOGY = (("BENIGN", "BENIGN_WITHOUT_CALLBACK"), ("MALIGNANT", "MALIGNANT"))


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` benign and malignant masses, and as many calcifications: CC and MLO views of one lesion a patient.

    Unlike the names in the tables, the files are called 1-1.dcm and 1-2.dcm. Crop and mask lie together, in either
    order, or in two series; one mask has 16 bits and is larger than its film. The patients have masses and
    calcifications. Nothing is zipped: the downloader leaves a folder.
    """
    views = sorted((k // 2 * 2 + label, ("CC", "MLO")[k % 2]) for k in range(per_class) for label in range(2))
    for dataset, table in TABLES.items():
        rows: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
        for n, (patient, view) in enumerate(views):
            split = "test" if patient // 2 % 3 == 1 else "train"
            row = _description(DATASETS[dataset], n, len(views), patient, view)
            case = f"{dataset[6:].title()}-{'Test' if split == 'test' else 'Training'}_{row['patient_id']}_LEFT_{view}"
            film, crop, mask = _pictures(rng, patient % 2, larger_mask=n == 2)
            whole, region, other = (_series(rng, name) for name in (case, f"{case}_1", f"{case}_1"))
            if n % 4 == 3:
                found = {f"{region}/1-1.dcm": crop, f"{other}/1-1.dcm": mask}
                named = [f"{region}/000000.dcm", f"{other}/000000.dcm\n"]
            else:
                found = {f"{region}/1-{1 + n % 2}.dcm": crop, f"{region}/1-{2 - n % 2}.dcm": mask}
                named = [f"{region}/000000.dcm", f"{region}/000001.dcm\n"]
            if dataset == "mammo_calc":  # whose tables exchange crop and mask
                named.reverse()
            rows[split].append(row | dict(zip(FILES, [f"{whole}/000000.dcm", *named], strict=True)))
            for path, content in ({f"{whole}/1-1.dcm": film} | found).items():
                yield "", f"{MANIFEST}/CBIS-DDSM/{path}", content
        columns = list(rows["train"][0])
        for split, described in rows.items():
            text = pd.DataFrame(described, columns=columns).to_csv(index=False, lineterminator="\r\n")
            yield "", f"{MANIFEST}/{table.format(split=split)}", text.encode()


def _description(card: DatasetCard, n: int, total: int, patient: int, view: str) -> dict[str, Any]:
    """A row of a table; over all rows every label of every task occurs, and some are left blank."""
    pathology, *tasks = card.tasks
    row: dict[str, Any] = {"patient_id": f"P_{patient + 1:05d}"}
    row |= {a.release_column: 1 for a in card.annotations if a.type == "int32"}
    lesion = "mass" if card.id == "mammo_mass" else "calcification"
    row |= {"left or right breast": "LEFT", "image view": view, "abnormality type": lesion}
    for task in tasks:
        labels = [task.labels[i % len(task.labels)] for i in range(n, max(len(task.labels), total), total)]
        row[task.name] = None if n >= len(task.labels) and n % 5 == 0 else "-".join(labels)
    return row | {pathology.name: PATHOLOGY[patient % 2][n % 2]}


def _series(rng: np.random.Generator, case: str) -> str:
    study, series = (f"1.3.6.1.4.1.9590.100.1.2.{number}" for number in rng.integers(10**15, 10**16, 2))
    return f"{case}/{study}/{series}"


def _pictures(rng: np.random.Generator, label: int, *, larger_mask: bool) -> tuple[bytes, bytes, bytes]:
    """A film, the source's crop of its lesion, and the mask."""
    height, width = int(rng.integers(180, 200)), int(rng.integers(150, 170))
    film = np.asarray(texture(rng, label, 2, (width, height))).astype(np.uint16) * 257
    top, left = int(rng.integers(60, 100)), int(rng.integers(50, 80))
    region = np.s_[top : top + 40, left : left + 30]
    mask = np.zeros((height + 4, width), np.uint16) if larger_mask else np.zeros((height, width), np.uint8)
    mask[region] = 255
    return _dicom(film), _dicom(film[region]), _dicom(mask)


def _dicom(pixels: NDArray[np.unsignedinteger[Any]]) -> bytes:
    """An uncompressed DICOM file with little more than the pixels."""
    try:
        from pydicom.dataset import FileDataset, FileMetaDataset
        from pydicom.uid import UID, ExplicitVRLittleEndian
    except ImportError:
        raise missing_extra("pydicom", "build", "Drawing the miniature of CBIS-DDSM") from None
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.7"), UID("1.2.3")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    picture = FileDataset(buffer, {}, preamble=bytes(128), file_meta=meta, is_implicit_VR=False, is_little_endian=True)
    picture.SOPClassUID, picture.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    picture.Rows, picture.Columns = pixels.shape
    picture.SamplesPerPixel, picture.PhotometricInterpretation, picture.PixelRepresentation = 1, "MONOCHROME2", 0
    picture.BitsAllocated = picture.BitsStored = 8 * pixels.itemsize
    picture.HighBit = picture.BitsStored - 1
    picture.PixelData = pixels.tobytes()
    picture.save_as(buffer)
    return buffer.getvalue()
