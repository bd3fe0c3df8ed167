"""CT volumes and segmentations as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

# Folders of LiTS and of its annotations.
TRAINING, TESTING = (f"annotations for lits/annotations_of_{part}_set" for part in ("training", "testing"))
BATCH_1, BATCH_2 = ("LITS Challenge/Training Batch 1", "LITS Challenge/Training Batch 2")


def header(shape, zooms=(0.8, 0.8, 2.5), kind=np.int16) -> bytes:
    head = Nifti1Header()
    head.set_data_dtype(kind)
    head.set_data_shape(shape)
    head.set_zooms(zooms)
    head.set_data_offset(352)
    return bytes(head.binaryblock) + bytes(4)


def nifti(voxels, zooms=(0.8, 0.8, 2.5)) -> bytes:
    return header(voxels.shape, zooms, voxels.dtype) + voxels.tobytes(order="F")


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
