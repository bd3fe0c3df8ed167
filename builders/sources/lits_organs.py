"""Organs in abdominal CT: LiTS volumes with boxes around organs (datasets `organs_axial`, `_coronal`, `_sagittal`).

Source  https://competitions.codalab.org/competitions/17094: two shared folders, as such or zipped;
        https://ieee-dataport.org/documents/annotations-body-organ-localization-based-miccai-lits-dataset: the boxes
Layout  LITS Challenge/Training Batch {1,2}/{volume,segmentation}-<n>.nii, LITS-Challenge-Test-Data/test-volume-<n>.nii;
        annotations for lits/annotations_of_{training,testing}_set/{,test-}segmentation-<n>.txt, or those text files
        elsewhere next to the volumes: per organ a line "<organ> <number> <x0> <x1> <y0> <y1> <z0> <z1>"
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from ...cards.catalogue import DATASETS
from ...cards.facts import SPLITS
from ...errors import SourceNotFound, some
from ..crops import Box, cut, ratio_cut, window
from ..images import resize, resize_mask
from ..reader import Reader, Released
from ..reading import nifti
from ..reading.axes import other_axes
from ..reading.raw import Raw, Row

MARKERS = ("LITS Challenge", "LITS-Challenge-Test-Data")
ANNOTATION = re.compile(r"(.*/)?(test-)?segmentation-\d{1,6}\.txt", re.IGNORECASE)
OWN_FOLDER = re.compile(r"(^|/)annotations_of_(training|testing)_set/[^/]+$", re.IGNORECASE)
FIRST_OF_BATCH_2 = 28
SWAPPED = "test-volume-59.nii"  # stored with its second and third axis exchanged; its boxes are right
SEGMENTED = (0, 1, 2)  # background, liver, tumour
AXIS = {"organs_axial": 2, "organs_coronal": 1, "organs_sagittal": 0}  # the one that the slice is taken across

ORGANS = {
    "heart": "heart",
    "lung-l": "left lung",
    "lung-r": "right lung",
    "liver": "liver",
    "spleen": "spleen",
    "pancreas": "pancreas",
    "kidney-l": "left kidney",
    "kidney-r": "right kidney",
    "bladder": "bladder",
    "femur-l": "left femoral head",
    "femur-r": "right femoral head",
}


def manifest(raw: Raw) -> pd.DataFrame:
    """One row per organ: training volumes first, then by file name as text ("-10" before "-2").

    The published code took the volumes as the file system listed them, so the split that follows from this order is not
    the published one. Volumes that do not tell their voxel size are left out before the split.
    """
    texts = _texts(raw)
    if not texts:
        raise SourceNotFound(
            f"{raw.root} holds no boxes (segmentation-<n>.txt, test-segmentation-<n>.txt). Get them from "
            f"{DATASETS[raw.dataset].sources[1].url} and put them there, unpacked or as the archives are."
        )
    rows: list[dict[str, Any]] = []
    for name in sorted(texts, key=lambda name: (name.startswith("test-"), name)):
        volume, segmentation = _paths(name)
        shape, zooms = _geometry(raw, volume) if volume in raw else (None, None)
        if zooms is not None and np.allclose(zooms, 1):
            continue
        boxes = list(_boxes(raw, texts[name], shape))
        liver = dict(boxes).get("liver")
        rows += [
            {
                "original_filepath": volume,
                "original_split": "test" if segmentation is None else "train",
                "subject_id": PurePosixPath(volume).stem,
                "organ label": organ,
                "original_image_size": shape,
                "original_voxel_dims": zooms,
                "original_mask_filepath": segmentation,
                "original_bbox": box,
                "liver_bbox": liver,
            }
            for organ, box in boxes
        ]
    return pd.DataFrame(rows)


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """By split, then by volume number; the release numbered its images after the split."""
    keys = [(SPLITS.index(split), _number(name)) for split, name in zip(rows["split"], rows["subject_id"], strict=True)]
    return rows.iloc[sorted(range(len(keys)), key=keys.__getitem__)].reset_index(drop=True)


def render(raw: Raw, row: Row, side: int) -> Image.Image:
    """Middle slice of the organ's box, window of 400 HU about 50, square in millimetres, resized.

    The first voxel axis runs down the image: not turned to the radiological view, as published.
    """
    if row["liver_bbox"] is not None and row["original_mask_filepath"] in raw:
        _check_axes(raw, row["path"], row["original_mask_filepath"], tuple(row["liver_bbox"]))
    values = _slice(raw, row, row["path"])
    if np.isin(values, SEGMENTED).all():
        raise raw.broken(row["path"], f"all values are among {some(SEGMENTED)}: this is a segmentation, not a volume")
    return resize(Image.fromarray(cut(window(values, width=400, level=50), _square(raw, row))), side)


def masks(raw: Raw, row: Row, labels: str, side: int) -> dict[str, Image.Image | None]:
    """The liver with its tumours, whatever the organ; None for test volumes, whose segmentation is not public."""
    if (path := row["original_mask_filepath"]) is None:
        return {"liver_mask": None}
    values = _slice(raw, row, path)
    if not np.isin(values, SEGMENTED).all():
        raise raw.broken(path, f"has other values than {some(SEGMENTED)}: this is not a segmentation of the liver")
    liver = values > 0
    if labels == "corrected":  # the published masks show the whole slice and are not aligned with the images
        liver = cut(liver, _square(raw, row))
    return {"liver_mask": resize_mask(Image.fromarray(liver), side)}


def released_subjects(texts: pd.DataFrame) -> list[str | None]:
    """The volume of every row, from its file's name."""
    return [PurePosixPath(path).stem for path in texts["original_filepath"]]


def _texts(raw: Raw) -> dict[str, str]:
    """Path of each text file with boxes, by name: in the folders of the source or, failing that, anywhere."""
    texts: dict[str, list[str]] = {}
    for path in filter(ANNOTATION.fullmatch, raw.files):
        texts.setdefault(path.rpartition("/")[2].lower(), []).append(path)
    for name, paths in texts.items():
        own = [path for path in paths if OWN_FOLDER.search(path)] or paths
        if len(own) > 1:
            raise raw.broken(name, f"there is more than one: {some(own)}")
        texts[name] = own
    return {name: paths[0] for name, paths in texts.items()}


def _number(name: str) -> int:
    return int(re.findall(r"\d+", name)[-1])


def _paths(name: str) -> tuple[str, str | None]:
    """Volume and segmentation that the name of a text file stands for."""
    number = _number(name)
    if name.startswith("test-"):
        return f"LITS-Challenge-Test-Data/test-volume-{number}.nii", None
    folder = f"LITS Challenge/Training Batch {1 if number < FIRST_OF_BATCH_2 else 2}"
    return f"{folder}/volume-{number}.nii", f"{folder}/segmentation-{number}.nii"


def _boxes(raw: Raw, path: str, shape: list[int] | None) -> Iterator[tuple[str, list[int]]]:
    """Organ and [x0, x1, y0, y1, z0, z1] of every line; the shape is None when the volume is not there."""
    for number, line in enumerate(raw.read(path).decode("utf-8", "replace").splitlines(), start=1):
        if not line.strip():
            continue
        organ, *numbers = line.split()
        if len(numbers) != 7 or not all(text.isdecimal() for text in numbers):
            raise raw.broken(path, f'line {number} is not "<organ> <number> <x0> <x1> <y0> <y1> <z0> <z1>": {line!r}')
        if organ not in ORGANS:
            raise raw.broken(path, f"line {number} names none of the organs {some(list(ORGANS), 11)}: {line!r}")
        if any(len(text) > 5 for text in numbers[1:]):
            raise raw.broken(path, f"line {number} has a number that no volume has voxels for: {line[:80]!r}")
        box = [int(text) for text in numbers[1:]]
        ends = list(zip(box[::2], box[1::2], strict=True))
        # A box may reach past the volume, as its square may, but its middle slices must be there.
        sizes: Sequence[float] = shape or [math.inf] * 3
        if any(low > high or (low + high) // 2 >= size for (low, high), size in zip(ends, sizes, strict=True)):
            raise raw.broken(path, f"line {number} has a box that is not in the volume of {shape} voxels: {line!r}")
        yield ORGANS[organ], box


@lru_cache(maxsize=1)
def _check_axes(raw: Raw, volume: str, segmentation: str, box: Sequence[int]) -> None:
    """Refuse a volume whose axes were turned after the boxes were drawn, as its liver shows."""
    if turned := other_axes(nifti.voxels(raw, segmentation, nifti.header(raw, segmentation)), box):
        raise raw.broken(
            volume, f"its axes are not those of its boxes: the liver of {segmentation} would fit on ({turned})"
        )


def _square(raw: Raw, row: Row) -> Box:
    """The organ's box in the slice, made square in millimetres."""
    rows, columns = (axis for axis in range(3) if axis != AXIS[raw.dataset])
    box, zooms = row["original_bbox"], np.array(row["original_voxel_dims"], dtype=np.float32)
    # The quotient of two 32-bit numbers is rounded to 32 bits: in 64 bits, boxes on an edge would differ.
    ratio = float(zooms[rows] / zooms[columns])
    return ratio_cut((box[2 * rows : 2 * rows + 2], box[2 * columns : 2 * columns + 2]), ratio)


def _slice(raw: Raw, row: Row, path: str) -> NDArray[Any]:
    """The slice through the middle of the organ's box of a volume, or of its segmentation, in stored units scaled."""
    header, axis = nifti.header(raw, path), AXIS[raw.dataset]
    voxels = nifti.voxels(raw, path, header)
    if PurePosixPath(path).name == SWAPPED:
        voxels = voxels.swapaxes(1, 2)
    if list(voxels.shape) != list(row["original_image_size"]):
        raise raw.broken(path, f"{voxels.shape} voxels, not {tuple(row['original_image_size'])} as its volume")
    first, last = row["original_bbox"][2 * axis : 2 * axis + 2]
    plane = np.moveaxis(voxels, axis, 0)[(first + last) // 2]
    slope, intercept = header.get_slope_inter()
    values = np.array(plane) if slope is None else plane.astype(np.float64) * slope + intercept
    if not np.isfinite(values).all():
        raise raw.broken(path, "some voxels are NaN or infinite, which has no value in 8 bits")
    return values


def _geometry(raw: Raw, path: str) -> tuple[list[int], list[float]]:
    """Voxels and voxel size along x, y and z."""
    header = nifti.header(raw, path)
    x, y, z = header.get_data_shape()
    dx, dy, dz = (float(str(zoom)) for zoom in header.get_zooms())  # 0.7, not the 0.699999988 that 32 bits make of it
    if PurePosixPath(path).name == SWAPPED:
        return [x, z, y], [dx, dz, dy]
    return [x, y, z], [dx, dy, dz]


READER = Reader(
    MARKERS,
    manifest,
    render,
    masks=masks,
    ordered=ordered,
    several=True,
    scattered=True,
    renames={r"\.nii\.gz$": ".nii", r"\.nii$": ".nii"},
    variants={
        r"(^|/)volume_pt\d+/": "a copy that has the training volumes only, in other folders. Get the folders "
        "LITS Challenge and LITS-Challenge-Test-Data, or arrange the volumes as in them.",
    },
    released=Released(masks={"liver_mask": ("masks", "mask_filepath")}, subjects=released_subjects),
)
