"""Miniature of LiTS: small CT volumes whose boxes hold an organ's texture in each plane, and liver segmentations."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cards.catalogue import DATASETS
from ...errors import missing_extra
from ..sources.lits_organs import ORGANS, SWAPPED
from . import File, texture

SIDE = 64  # voxels of a volume
BOX = 20  # voxels of an organ; 27 such boxes fit into a volume
ANNOTATIONS = "annotations for lits"


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` volumes with eleven organs each, every third for testing, and volume 47 without voxel size.

    Volumes are int16, once float32, once with an intercept; the first test volume has two axes exchanged.
    """
    tests = [n for n in range(per_class) if n % 3 == 1]
    for n in tests:
        number = 2 * n if n != tests[0] else 59
        voxels, _, boxes = _body(rng)
        name = f"test-volume-{number}.nii"
        stored, zooms = (voxels.swapaxes(1, 2), (0.8, 1.0, 0.8)) if name == SWAPPED else (voxels, (0.8, 0.8, 1.0))
        yield "LITS-Challenge-Test-Data.zip", f"LITS-Challenge-Test-Data/{name}", _nifti(stored, zooms)
        text = f"{ANNOTATIONS}/annotations_of_testing_set/test-segmentation-{number}.txt"
        yield f"{ANNOTATIONS}.zip", text, boxes
    trains: list[int | None] = [n for n in range(per_class) if n not in tests]
    for k in [*trains, None]:
        number = 47 if k is None else k + 100 * (k % 2)  # of both batches
        folder = f"LITS Challenge/Training Batch {1 if number < 28 else 2}"
        voxels, liver, boxes = _body(rng)
        zooms = (1.0, 1.0, 1.0) if k is None else (0.8, 0.8, 1.0) if k % 2 else (0.7, 0.75, 0.9)
        kind, intercept = (np.float32, 0) if k == 2 else (np.int16, -1024 if k == 3 else 0)
        volume = _nifti((voxels - intercept).astype(kind), zooms, intercept)
        yield "LITS Challenge.zip", f"{folder}/volume-{number}.nii", volume
        yield "LITS Challenge.zip", f"{folder}/segmentation-{number}.nii", _nifti(liver, zooms)
        text = f"{ANNOTATIONS}/annotations_of_training_set/segmentation-{number}.txt"
        yield f"{ANNOTATIONS}.zip", text, boxes


def _body(rng: np.random.Generator) -> tuple[NDArray[np.int16], NDArray[np.uint8], bytes]:
    """A volume in Hounsfield units, the segmentation of its liver, and its annotation file."""
    labels = DATASETS["organs_axial"].tasks[0].labels
    voxels = np.full((SIDE, SIDE, SIDE), -60, np.int16)
    liver = np.zeros(voxels.shape, np.uint8)
    places = list(product(range(1, SIDE - BOX, BOX + 1), repeat=3))
    lines = []
    for number, (organ, place) in enumerate(zip(ORGANS, rng.permutation(places)[: len(ORGANS)].tolist(), strict=True)):
        picture = texture(rng, labels.index(ORGANS[organ]), len(labels), (3 * BOX, 3 * BOX))
        pattern = np.asarray(picture)[:BOX, :BOX] / 255 * 400 - 150  # within the window
        inside = tuple(slice(start, start + BOX) for start in place)
        voxels[inside] = pattern[:, :, None]
        middle = (BOX - 1) // 2
        voxels[inside][:, middle] = voxels[inside][middle] = pattern
        if organ == "liver":
            liver[inside][2:-2, 2:-2, 2:-2] = 1
            liver[inside][8:12, 8:12, 8:12] = 2  # a tumour
        ends = " ".join(f"{start} {start + BOX - 1}" for start in place)
        lines.append(f"{organ} {number} {ends}\r\n")
    return voxels, liver, "".join(lines).encode()


def _nifti(voxels: NDArray[Any], zooms: tuple[float, float, float], intercept: int = 0) -> bytes:
    try:
        from nibabel.nifti1 import Nifti1Header
    except ImportError:
        raise missing_extra("nibabel", "build", "Drawing the miniature of LiTS") from None
    header = Nifti1Header()
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    header.set_zooms(zooms)
    header.set_slope_inter(1, intercept)
    header.set_data_offset(header.single_vox_offset)
    return bytes(header.binaryblock) + bytes(header.single_vox_offset - header.sizeof_hdr) + voxels.tobytes(order="F")
