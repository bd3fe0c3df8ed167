"""LiTS with lines, volumes or segmentations that are wrong or missing."""

from __future__ import annotations

import io
import shutil
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from fakes.images.volumes import BATCH_1, TRAINING, header, nifti, write
from medimeta.builders.source import Options, RawSource
from medimeta.errors import MissingExtra, SourceBroken, SourceIncomplete, SourceNotFound

PARTIAL = Options(partial=True)


def pixels(item: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(item)))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("liver 1 0 21 13 30 17", r'line 2 is not "<organ> <number> <x0> <x1> <y0> <y1> <z0> <z1>": .liver 1 0 21'),
        ("liver 1 0 21 13 30 17 29 4", "line 2 is not"),
        ("liver 1 0 21 13 30 17 2.5", "line 2 is not"),
        ("stomach 1 0 21 13 30 17 29", "line 2 names none of the organs heart, .*femur-r: 'stomach 1"),
        ("liver 1 0 21 13 30 40 49", r"line 2 has a box that is not in the volume of \[48, 40, 30\] voxels"),
        ("liver 1 0 21 30 13 17 29", "line 2 has a box that is not in the volume"),
    ],
)
def test_a_bad_line(liver, line, message):
    with (liver / TRAINING / "segmentation-0.txt").open("ab") as file:
        file.write(f"{line}\r\n".encode())

    with pytest.raises(SourceBroken, match=f"segmentation-0.txt in .*: {message}.* Get LITS Challenge"):
        RawSource("organs_axial", liver, PARTIAL).manifest()


def test_a_box_may_reach_past_the_volume(liver):
    (liver / TRAINING / "segmentation-0.txt").write_bytes(b"liver 1 0 60 13 45 17 29\r\n")
    source = RawSource("organs_axial", liver, PARTIAL)

    assert pixels(source.encode(source.manifest())[0]["image"]).shape == (224, 224)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda data: data[:-100], r"cut short: [\d,]+ bytes instead of [\d,]+"),
        (lambda data: data[:100], r"not a NIfTI volume \("),
        (lambda data: b"", r"not a NIfTI volume \("),
        (lambda data: b"x" * 1000, r"not a NIfTI volume \("),
        (lambda data: header((5, 5, 5, 2), (1, 1, 2, 1)) + bytes(500), "a volume of 4 dimensions, not 3"),
    ],
)
def test_a_volume_that_is_none(liver, tmp_path, packed, content, message):
    path = liver / BATCH_1 / "volume-0.nii"
    path.write_bytes(content(path.read_bytes()))
    if packed:
        shutil.make_archive(str(tmp_path / "zip" / "LITS Challenge"), "zip", liver, "LITS Challenge")
        shutil.copytree(liver / "annotations for lits", tmp_path / "zip" / "annotations for lits")

    with pytest.raises(SourceBroken, match=f"volume-0.nii in .*: {message}"):
        RawSource("organs_axial", tmp_path / "zip" if packed else liver, PARTIAL).manifest()


def test_a_damaged_zip_member_is_named(liver, tmp_path):
    with zipfile.ZipFile(tmp_path / "LITS Challenge.zip", "w") as file:
        for path in sorted(liver.rglob("*.nii")):
            file.write(path, path.relative_to(liver))
    data = bytearray((tmp_path / "LITS Challenge.zip").read_bytes())
    data[60_000] ^= 0xFF
    (tmp_path / "LITS Challenge.zip").write_bytes(data)
    shutil.copytree(liver / "annotations for lits", tmp_path / "annotations for lits")
    shutil.rmtree(liver)
    source = RawSource("organs_axial", tmp_path, Options(partial=True, with_masks=True))

    with pytest.raises(SourceBroken, match=r"LITS Challenge.zip is damaged"):
        source.encode(source.manifest())


def test_missing_volumes_are_listed_or_left_out(liver):
    write(liver, {f"{TRAINING}/segmentation-100.txt": b"spleen 10 1 20 3 15 4 15\r\nliver 1 1 20 3 15 4 15\r\n"})

    with pytest.raises(SourceIncomplete, match=r"(?s)expects 1,645 images, .*Training Batch 2/volume-100.nii"):
        RawSource("organs_axial", liver).manifest()
    assert RawSource("organs_axial", liver, PARTIAL).manifest()["subject_id"].to_list() == ["volume-0"]


def test_a_missing_segmentation(liver):
    (liver / BATCH_1 / "segmentation-0.nii").unlink()
    manifest = RawSource("organs_axial", liver, PARTIAL).manifest()

    assert RawSource("organs_axial", liver, PARTIAL).encode(manifest)[0]["image"]
    with pytest.raises(SourceNotFound, match=r"segmentation-0.nii is missing in .* Get LITS Challenge"):
        RawSource("organs_axial", liver, Options(partial=True, with_masks=True)).encode(manifest)


def test_a_segmentation_of_another_size(liver):
    write(liver, {f"{BATCH_1}/segmentation-0.nii": nifti(np.zeros((48, 40, 31), np.uint8))})
    source = RawSource("organs_axial", liver, Options(partial=True, with_masks=True))

    with pytest.raises(SourceBroken, match=r"segmentation-0.nii in .*\(48, 40, 31\) voxels, not \(48, 40, 30\)"):
        source.encode(source.manifest())


def test_volumes_without_boxes(liver):
    shutil.rmtree(liver / "annotations for lits")

    with pytest.raises(SourceNotFound, match=r"holds no boxes \(segmentation-<n>.txt, .*ieee-dataport.org"):
        RawSource("organs_axial", liver, PARTIAL).manifest()


def test_without_nibabel(liver, monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "nibabel"]:
        monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra, match=r"Reading .* needs nibabel"):
        RawSource("organs_axial", liver, PARTIAL).manifest()
