"""Small sources to damage."""

from __future__ import annotations

import numpy as np
import pytest

from fakes.images.volumes import BATCH_1, TRAINING, nifti, write
from medimeta.builders.phantoms import write_miniature


@pytest.fixture
def liver(tmp_path):
    """A volume that shows nothing but its liver, bright on dark, and a box at the border that cuts through it."""
    x, y, z = np.mgrid[:48, :40, :30]
    inside = ((x - 10) / 11) ** 2 + ((y - 21) / 9) ** 2 + ((z - 24) / 8) ** 2 < 1
    zooms = (0.7, 0.9, 2.0)
    return write(
        tmp_path / "raw",
        {
            f"{BATCH_1}/volume-0.nii": nifti(np.where(inside, 250, -150).astype(np.int16), zooms),
            f"{BATCH_1}/segmentation-0.nii": nifti(inside.astype(np.uint8) * 2, zooms),
            f"{TRAINING}/segmentation-0.txt": b"liver 1 0 21 13 30 17 29\r\n",
        },
    )


@pytest.fixture
def mass(tmp_path):
    return write_miniature("mammo_mass", tmp_path, per_class=4)
