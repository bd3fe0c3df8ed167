"""Releases that contradict themselves, are damaged or are unsafe: one clear error each."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from fakes.errors import raises
from fakes.release import edit, edit_table, read_bus, zip_release
from medimeta.builders.release.release import ReleaseSource
from medimeta.builders.source import Options
from medimeta.errors import SourceBroken, UnsafeArchive
from medimeta.files import archives
from medimeta.files.archives import StoredMember

PARTIAL = Options(partial=True)
WITH_MASKS = Options(partial=True, with_masks=True)


# Contradictions: what is changed, and what the one message must name


def edit_info(folder: Path, **changes: Any) -> None:
    path = folder / "info.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, sort_keys=False))


def edit_labels(folder: Path, change) -> None:
    path = folder / "task_labels" / "malignancy.npy"
    np.save(path, change(np.load(path)))


def put(row: int, value: int):
    return lambda labels: np.where(np.arange(len(labels)) == row, value, labels)


def only_hdf5(folder: Path, name: str, shape: tuple[int, ...], dtype: str) -> None:
    import h5py

    with h5py.File(folder / "images.hdf5", "w") as file:
        file[name] = np.zeros(shape, dtype)


def split_of(folder: Path, row: int) -> str:
    return str(pd.read_csv(folder / "annotations.csv")["split"][row])


CONTRADICTIONS = {
    "a row out of order": (
        lambda f: edit_table(f, 2, "filepath", "images/000009.tiff"),
        r"annotations.csv.*row 2 is about 'images/000009.tiff'.*'images/000002.tiff'",
    ),
    "an unknown split": (
        lambda f: edit_table(f, 4, "split", "dev"),
        r"annotations.csv.*row 4 has split 'dev'.*train, val, test",
    ),
    "split lists and table disagree": (
        lambda f: edit_table(f, 5, "split", "test" if split_of(f, 5) == "train" else "train"),
        r"splits/\w+.txt.*row 5 \(images/000005.tiff\)",
    ),
    "original split lists and table disagree": (
        lambda f: edit_table(f, 6, "original_split", "val"),
        r"original_splits/val.txt.*row 6 \(images/000006.tiff\).*original_splits/train.txt",
    ),
    "an image in two lists": (
        lambda f: (
            edit(f, "splits/test.txt", lambda text: f"{text}\nimages/000000.tiff\n")
            if split_of(f, 0) != "test"
            else edit(f, "splits/train.txt", lambda text: f"images/000000.tiff\n{text}")
        ),
        r"splits/test.txt.*'images/000000.tiff'.*splits/\w+.txt names too",
    ),
    "an image in a list only": (
        lambda f: edit(f, "splits/train.txt", lambda text: f"{text}\nimages/000012.tiff"),
        r"splits/train.txt.*'images/000012.tiff', which is in no row of annotations.csv",
    ),
    "a list is gone": (lambda f: (f / "splits/train.txt").unlink(), r"splits/train.txt.*does not name it"),
    "labels differ": (lambda f: edit_labels(f, put(7, 5)), r"task_labels/malignancy.npy.*row 7 is 5, but [01] in"),
    "fewer labels": (lambda f: edit_labels(f, lambda a: a[:-1]), r"malignancy.npy.*shape \(11,\); the 12 rows"),
    "labels are not numbers": (
        lambda f: edit_labels(f, lambda a: a.astype(str)),
        "malignancy.npy.*not an array",
    ),
    "labels are damaged": (
        lambda f: (f / "task_labels/malignancy.npy").write_bytes(b"\x93NUMPY\x01\x00"),
        "malignancy.npy.*not a readable array",
    ),
    "a label outside the vocabulary": (
        lambda f: (
            edit_table(f, 3, "tasks/malignancy", "9"),
            edit_labels(f, lambda a: np.where(np.arange(12) == 3, 9, a)),
        ),
        r"9 is not a label of task 'malignancy', in row 3",
    ),
    "a label that is not a number": (
        lambda f: edit_table(f, 3, "tasks/malignancy", "benign"),
        r"annotations.csv, row 3, column 'tasks/malignancy': cannot read 'benign'",
    ),
    "a label is empty": (lambda f: edit_table(f, 3, "tasks/malignancy", ""), r"row 3.*'tasks/malignancy'.*not a label"),
    "an annotation that cannot be read": (
        lambda f: edit_table(f, 8, "original_image_size", "__import__('os').getpid()"),
        r"annotations.csv, row 8, column 'original_image_size': cannot read",
    ),
    "a column is gone": (
        lambda f: edit(f, "annotations.csv", lambda text: text.replace("tasks/malignancy", "tasks/x", 1)),
        r"annotations.csv.*no column tasks/malignancy.*release of bus",
    ),
    "another dataset": (lambda f: edit_info(f, id="pbc"), "info.yaml.*id: 'pbc', expected 'bus'"),
    "another image size": (lambda f: edit_info(f, input_size=[3, 224, 224]), r"info.yaml.*input_size: \[3,"),
    "another total": (lambda f: edit_info(f, total_num_samples=13), "info.yaml.*total_num_samples: 13, expected 12"),
    "other split counts": (
        lambda f: edit_info(f, splits_num_samples={"train": 12, "val": 0, "test": 0}),
        "info.yaml.*splits_num_samples: {'train': 12}",
    ),
    "another task": (
        lambda f: edit(f, "info.yaml", lambda text: text.replace("task_name: malignancy", "task_name: other")),
        r"info.yaml.*names of tasks: \['case category', 'other'\]",
    ),
    "another target": (
        lambda f: edit(f, "info.yaml", lambda text: text.replace("BINARY", "MULTICLASS")),
        "info.yaml.*task 'malignancy' is multiclass, not binary",
    ),
    "labels exchanged": (
        lambda f: edit(f, "info.yaml", lambda text: text.replace("1: benign", "1: odd")),
        "info.yaml.*task 'case category': key 1 does not mean 'benign'",
    ),
    "a label too many": (
        lambda f: edit(f, "info.yaml", lambda text: text.replace("2: malignant\n", "2: malignant\n    3: new\n")),
        "info.yaml.*'case category' has unknown labels {3: 'new'}",
    ),
    "info is not YAML": (lambda f: (f / "info.yaml").write_text("a: [b"), "info.yaml.*not a readable description"),
    "fewer images in HDF5": (
        lambda f: only_hdf5(f, "images", (11, 224, 224), "uint8"),
        "images.hdf5.*holds 11 images, but annotations.csv has 12 rows",
    ),
    "HDF5 of another shape": (
        lambda f: only_hdf5(f, "images", (12, 224, 224, 3), "uint8"),
        r"images.hdf5.*uint8 of shape \(224, 224, 3\), not uint8 of \(224, 224\)",
    ),
    "HDF5 of another type": (lambda f: only_hdf5(f, "images", (12, 224, 224), "float32"), "images.hdf5.*float32"),
    "HDF5 without images": (lambda f: only_hdf5(f, "x", (12, 224, 224), "uint8"), 'images.hdf5.*no dataset "images"'),
    "no HDF5": (lambda f: (f / "images.hdf5").write_bytes(b"no HDF5"), "images.hdf5 in .*signature"),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_contradiction_is_one_clear_error(case, copy):
    change, message = CONTRADICTIONS[case]
    change(copy)
    with pytest.raises(SourceBroken, match=message):
        ReleaseSource("bus", copy, PARTIAL).manifest()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("L", (100, 224)), "100x224"),
        (Image.new("RGB", (224, 224)), "mode RGB, not L"),
        (b"no picture", "not a readable"),
    ],
)
def test_a_wrong_picture_is_named(picture, message, copy):
    (copy / "images.hdf5").unlink()
    buffer = io.BytesIO()
    if isinstance(picture, bytes):
        buffer.write(picture)
    else:
        picture.save(buffer, "TIFF")
    (copy / "images" / "000004.tiff").write_bytes(buffer.getvalue())
    with pytest.raises(SourceBroken, match=rf"images/000004.tiff in .*{message}"):
        read_bus(copy)


def test_a_truncated_picture_is_named(copy):
    (copy / "images.hdf5").unlink()
    path = copy / "images" / "000004.tiff"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceBroken, match=r"images/000004.tiff in .*damaged or cut short"):
        read_bus(copy)


@pytest.mark.parametrize("place", ["folder", "stored", "deflated"])
def test_a_damaged_hdf5_is_named(place, copy, tmp_path):
    shutil.rmtree(copy / "images")
    compression = zipfile.ZIP_DEFLATED if place == "deflated" else zipfile.ZIP_STORED
    location, size = copy, (copy / "images.hdf5").stat().st_size
    if place != "folder":
        location = zip_release(copy, tmp_path / "a.zip", compression=compression)
    source = ReleaseSource("bus", location, PARTIAL)
    manifest = source.manifest()
    if place == "folder":
        with (copy / "images.hdf5").open("rb+") as file:
            file.truncate(size // 2)
    else:
        with zipfile.ZipFile(location) as archive:
            start = archive.getinfo("bus/images.hdf5").header_offset
        with location.open("rb+") as file:
            file.seek(start + (60 if place == "stored" else 5000))
            file.write(b"\xff" * 3000)
    with pytest.raises(SourceBroken, match=r"images.hdf5 in "):
        source.encode(manifest)


# Safety


def test_a_pickled_label_array_is_refused_and_not_run(copy, tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    np.save(copy / "task_labels" / "malignancy.npy", np.array([Bomb()] * 12, dtype=object), allow_pickle=True)
    with pytest.raises(SourceBroken, match=r"malignancy.npy.*allow_pickle"):
        read_bus(copy)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/outside.txt", "bus/../../outside.txt", "C:/outside.txt"])
def test_paths_that_leave_the_archive_are_refused(name, home, tmp_path):
    location = zip_release(home, tmp_path / "a.zip")
    with zipfile.ZipFile(location, "a") as archive:
        archive.writestr(name, "outside")
    with raises(UnsafeArchive, "unsafe-path"):
        read_bus(location)


def test_only_images_hdf5_may_be_larger_than_memory(home, rows, tmp_path, monkeypatch):
    location = zip_release(home, tmp_path / "a.zip")
    monkeypatch.setattr(archives, "MAX_MEMBER", 200_000)
    assert read_bus(location).equals(rows)
    monkeypatch.setattr(archives, "MAX_STREAMED", 200_000)
    with raises(UnsafeArchive, "unsafe-size", "bus/images.hdf5"):
        read_bus(location)


def test_links_in_the_folder_are_followed(copy, tmp_path):
    expected = read_bus(copy, PARTIAL)
    for name in ("annotations.csv", "images"):
        (copy / name).rename(tmp_path / name)
        (copy / name).symlink_to(tmp_path / name)

    assert read_bus(copy, PARTIAL).equals(expected)


@pytest.mark.parametrize("kind", ["external link", "virtual", "external storage", "soft link"])
def test_hdf5_that_points_elsewhere_is_refused(kind, copy, tmp_path):
    import h5py

    shape = (12, 224, 224)
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["images"] = np.zeros(shape, np.uint8)
    with h5py.File(copy / "images.hdf5", "w") as file:
        if kind == "external link":
            file["images"] = h5py.ExternalLink(str(tmp_path / "other.hdf5"), "images")
        elif kind == "soft link":
            file["images"] = h5py.SoftLink("/nowhere")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, np.uint8)
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "images", shape)
            file.create_virtual_dataset("images", layout)
        else:
            size = int(np.prod(shape))
            file.create_dataset("images", shape, np.uint8, external=[(str(tmp_path / "raw"), 0, size)])
    with pytest.raises(SourceBroken, match='no dataset "images"'):
        read_bus(copy)


def test_mask_paths_of_the_table_are_not_followed(copy, tmp_path):
    edit_table(copy, 0, "mask_path", str(tmp_path / "secret.tiff"))
    with pytest.raises(SourceBroken, match=r"annotations.csv.*row 0.*'masks/000000.tiff'"):
        read_bus(copy)


def test_a_stored_member_reads_like_a_file(tmp_path):
    data = bytes(range(256)) * 4
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("first", b"x" * 1000)
        archive.writestr("second", data)
        archive.writestr("third", b"y" * 1000)
        info = archive.getinfo("second")
    with StoredMember(tmp_path / "a.zip", info) as member:
        assert member.read() == data
        assert member.read(5) == b""
        assert member.seek(-4, io.SEEK_END) == 1020
        assert member.read(100) == data[-4:]
        member.seek(256)
        member.seek(2, io.SEEK_CUR)
        assert member.read(3) == b"\x02\x03\x04"
        member.seek(5000)
        assert member.read(1) == b""
