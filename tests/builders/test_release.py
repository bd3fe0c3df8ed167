"""The published release as a source: the same rows from folder, zip, HDF5 and TIFF, and no contradiction unnoticed."""

from __future__ import annotations

import dataclasses
import io
import json
import multiprocessing
import pickle
import shutil
import zipfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from fakes.errors import raises
from fakes.golden import RAW, golden_folder
from fakes.release import write_release, zip_release
from medimeta.builders.images import encode
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.reader import Reader, Released, patients
from medimeta.builders.release import hdf5 as release_hdf5
from medimeta.builders.release.release import ReleaseSource
from medimeta.builders.release.text import READERS, flags, read_column, whole_number
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources import derm7pt
from medimeta.builders.sources.chestxray14 import released_boxes
from medimeta.builders.table.manifest import canonical
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.details import Annotation
from medimeta.cards.facts import Task
from medimeta.errors import MissingExtra, SourceBroken, SourceIncomplete, SourceNotFound, UnsafeArchive
from medimeta.files import archives
from medimeta.files.archives import StoredMember

PARTIAL = Options(partial=True)
WITH_MASKS = Options(partial=True, with_masks=True)
CARD_OF_12 = dataclasses.replace(
    DATASETS["bus"],
    splits=dataclasses.replace(DATASETS["bus"].splits, counts={"train": 8, "validation": 1, "test": 3}),
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> RawSource:
    folder = write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=4, packed=False)
    return RawSource("bus", folder, WITH_MASKS)


@pytest.fixture(scope="module")
def rows(raw):
    return to_table(raw, raw.manifest())


@pytest.fixture(scope="module")
def home(raw, tmp_path_factory) -> Path:
    """A complete release; tests that change one copy it."""
    return write_release(raw, tmp_path_factory.mktemp("release"))


@pytest.fixture
def copy(home, tmp_path) -> Path:
    return Path(shutil.copytree(home, tmp_path / "bus"))


def read(location: Path, options: Options = WITH_MASKS) -> Any:
    source = ReleaseSource("bus", location, options)
    return to_table(source, source.manifest())


@pytest.mark.parametrize("form", ["both", "hdf5", "tiff", "parent", "stored", "deflated", "no root", "deflated hdf5"])
def test_every_form_gives_the_rows_and_pixels_of_the_raw_source(form, home, copy, rows, tmp_path):
    if form == "hdf5":
        shutil.rmtree(copy / "images")
    if form == "tiff":
        (copy / "images.hdf5").unlink()
    location = {
        "parent": lambda: home.parent,
        "stored": lambda: zip_release(home, tmp_path / "a.zip", without="images/"),
        "deflated": lambda: zip_release(home, tmp_path / "a.zip", compression=zipfile.ZIP_DEFLATED),
        "no root": lambda: zip_release(home, tmp_path / "a.zip", root=""),
        "deflated hdf5": lambda: zip_release(
            home, tmp_path / "a.zip", compression=zipfile.ZIP_DEFLATED, without="images/"
        ),
    }.get(form, lambda: copy)()
    assert read(location).equals(rows)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_rows_in_any_order_and_number(home, rows, tmp_path, compression):
    location = zip_release(home, tmp_path / "a.zip", compression=compression, without="images/")
    source = ReleaseSource("bus", location, PARTIAL)
    manifest = source.manifest()
    images = [cell["bytes"] for cell in rows["image"].to_pylist()]
    for picked in ([11, 0, 1, 2, 7, 7], [5], [], [0, 1, 2, 10, 11]):
        assert [row["image"] for row in source.encode(manifest.iloc[picked])] == [images[i] for i in picked]


def test_without_h5py_tiff_files_serve_and_hdf5_alone_says_what_to_install(home, copy, rows, monkeypatch):
    monkeypatch.setattr(release_hdf5, "find_spec", lambda name: None)
    assert read(home).equals(rows)
    shutil.rmtree(copy / "images")
    with raises(MissingExtra, None, "h5py", "pip install"):
        read(copy)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.slow
def test_two_processes_read_one_archive(home, rows, tmp_path, method):
    location = zip_release(home, tmp_path / "a.zip", compression=zipfile.ZIP_DEFLATED, without="images/")
    source = ReleaseSource("bus", location, WITH_MASKS)
    manifest = source.manifest()
    source.encode(manifest[:3])  # so that a forked worker inherits open files
    batches = [manifest[start : start + 3] for start in range(0, 12, 3)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        tables = list(pool.map(partial(to_table, source), batches))
    assert [row for table in tables for row in table.to_pylist()] == rows.to_pylist()


def test_a_pickled_source_is_small(home, tmp_path):
    source = ReleaseSource("bus", zip_release(home, tmp_path / "a.zip"), PARTIAL)
    source.encode(source.manifest())
    assert len(pickle.dumps(source)) < 1000


def test_stamp_changes_with_a_file(copy):
    before = ReleaseSource("bus", copy).stamp
    (copy / "LICENSE").write_text("other")
    assert ReleaseSource("bus", copy).stamp != before


def test_splits_from_another_release(home, tmp_path):
    table = pd.read_csv(home / "annotations.csv").assign(split="test")
    table.to_csv(tmp_path / "annotations.csv", index=False)
    options = Options(partial=True, splits_from=str(tmp_path / "annotations.csv"))
    assert set(ReleaseSource("bus", home, options).manifest()["split"]) == {"test"}


# What is missing


def test_fewer_rows_than_published_need_partial(home):
    with pytest.raises(SourceIncomplete, match=r"bus expects 780 images.*lists 12.*train: 8 of 546.*\n.*--partial"):
        read(home, Options())


def test_a_complete_release_needs_no_partial(home, monkeypatch):
    monkeypatch.setattr(ReleaseSource, "card", CARD_OF_12)
    assert read(home, Options()).num_rows == 12


def test_missing_images_are_listed_or_left_out_with_their_numbers_kept(copy, rows, monkeypatch):
    monkeypatch.setattr(ReleaseSource, "card", CARD_OF_12)
    (copy / "images.hdf5").unlink()
    (copy / "images" / "000003.tiff").unlink()
    with pytest.raises(SourceIncomplete, match=r"12 images of bus, but 1 file\(s\) are missing: images/000003.tiff"):
        read(copy, Options())
    kept = read(copy)
    assert kept["index"].to_pylist() == [0, 1, 2, *range(4, 12)]
    assert kept["image"].to_pylist() == [cell for i, cell in enumerate(rows["image"].to_pylist()) if i != 3]


def test_a_missing_mask_is_listed_unless_the_release_says_that_there_is_none(copy, monkeypatch):
    monkeypatch.setattr(ReleaseSource, "card", CARD_OF_12)
    options = Options(with_masks=True)
    (copy / "masks" / "000003.tiff").unlink()
    with pytest.raises(SourceIncomplete, match=r"masks/000003.tiff"):
        read(copy, options)
    edit(copy, "annotations.csv", lambda text: text.replace("masks/000003.tiff", ""))
    assert [i for i, cell in enumerate(read(copy, options)["mask"].to_pylist()) if cell is None] == [3]


def test_a_file_put_in_place_later_is_found(copy, rows):
    picture = copy / "images" / "000003.tiff"
    (copy / "images.hdf5").unlink()
    data = picture.read_bytes()
    picture.unlink()
    assert read(copy).num_rows == 11
    picture.write_bytes(data)
    assert read(copy).equals(rows)


def test_no_images_at_all(copy):
    shutil.rmtree(copy / "images")
    (copy / "images.hdf5").unlink()
    with pytest.raises(SourceIncomplete, match="no images of bus"):
        read(copy)


def test_no_release_at_all(tmp_path, home):
    with pytest.raises(SourceNotFound, match=r"not a release of bus.*annotations.csv"):
        read(tmp_path)
    with pytest.raises(SourceNotFound, match="not a release of bus"):
        read(zip_release(home, tmp_path / "a.zip", root="elsewhere"))


# Contradictions: what is changed, and what the one message must name


def edit(folder: Path, name: str, change) -> None:
    path = folder / name
    path.write_text(change(path.read_text()))


def edit_info(folder: Path, **changes: Any) -> None:
    path = folder / "info.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, sort_keys=False))


def edit_table(folder: Path, row: int, column: str, value: str) -> None:
    table = pd.read_csv(folder / "annotations.csv", dtype=str, keep_default_na=False)
    table.loc[row, column] = value
    table.to_csv(folder / "annotations.csv", index=False)


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
        read(copy)


def test_a_truncated_picture_is_named(copy):
    (copy / "images.hdf5").unlink()
    path = copy / "images" / "000004.tiff"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceBroken, match=r"images/000004.tiff in .*damaged or cut short"):
        read(copy)


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
        read(copy)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/outside.txt", "bus/../../outside.txt", "C:/outside.txt"])
def test_paths_that_leave_the_archive_are_refused(name, home, tmp_path):
    location = zip_release(home, tmp_path / "a.zip")
    with zipfile.ZipFile(location, "a") as archive:
        archive.writestr(name, "outside")
    with raises(UnsafeArchive, "unsafe-path"):
        read(location)


def test_only_images_hdf5_may_be_larger_than_memory(home, rows, tmp_path, monkeypatch):
    location = zip_release(home, tmp_path / "a.zip")
    monkeypatch.setattr(archives, "MAX_MEMBER", 200_000)
    assert read(location).equals(rows)
    monkeypatch.setattr(archives, "MAX_STREAMED", 200_000)
    with raises(UnsafeArchive, "unsafe-size", "bus/images.hdf5"):
        read(location)


def test_links_in_the_folder_are_followed(copy, tmp_path):
    expected = read(copy, PARTIAL)
    for name in ("annotations.csv", "images"):
        (copy / name).rename(tmp_path / name)
        (copy / name).symlink_to(tmp_path / name)

    assert read(copy, PARTIAL).equals(expected)


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
        read(copy)


def test_mask_paths_of_the_table_are_not_followed(copy, tmp_path):
    edit_table(copy, 0, "mask_path", str(tmp_path / "secret.tiff"))
    with pytest.raises(SourceBroken, match=r"annotations.csv.*row 0.*'masks/000000.tiff'"):
        read(copy)


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


# Kinds of labels and annotations that bus has none of


@dataclasses.dataclass(frozen=True)
class Made:
    """A source with one multilabel and one ordinal task and all types of annotations."""

    kind = "made"
    location = Path("/nowhere")
    stamp = ""
    options: Options = PARTIAL

    @property
    def card(self):
        tasks = (
            Task("findings", "multilabel", ("Mass", "Nodule", "Hernia"), dataset="bus", is_main=True),
            Task("Clarity", "ordinal", ("bad", "fair", "good"), (1, 4, 10), dataset="bus"),
        )
        annotations = (
            Annotation("size", "list<int32>", "", "Original Size"),
            Annotation("spacing", "list<float64>", ""),
            Annotation("remark", "string", ""),
            Annotation("age", "int32", ""),
            Annotation("number", "int64", ""),
            Annotation("ratio", "float64", ""),
            Annotation("boxes", "boxes", "", "bounding_box"),
        )
        return dataclasses.replace(
            DATASETS["bus"], channels=3, subject="patient", tasks=tasks, annotations=annotations, masks=()
        )

    def manifest(self):
        boxes = [{"label": "Mass: left", "x": 1.5, "y": 2.0, "width": 3.25, "height": 4.0}]
        return canonical(
            pd.DataFrame(
                {
                    "original_filepath": ["a", "b", "c", "d"],
                    "original_split": ["train", "train", "val", "test"],
                    "split": ["train", "train", "validation", "test"],
                    "findings": [[0, 2], [], [1], [0, 1, 2]],
                    "Clarity": [1, 10, 4, 10],
                    "subject_id": ["7", None, "P11", "7"],
                    "size": [[600, 450], None, [31, 47, 16], [1, 2]],
                    "spacing": [[0.168, 0.168], [1.0, 2.5], None, [0.1, 0.2]],
                    "remark": ["None", "NA", None, 'a, "b"\nc'],
                    "age": [3, None, 0, 99],
                    "number": [2**40, 1, None, -1],
                    "ratio": [0.9629629629629629, None, 2.0, 1e-9],
                    "boxes": [None, boxes, boxes * 2, None],
                }
            ),
            self.card,
        )

    def encode(self, rows):
        return [{"image": encode(Image.new("RGB", (224, 224), (int(i), 50, 200)))} for i in rows["index"]]


def test_multilabel_ordinal_and_typed_annotations_survive(tmp_path, monkeypatch):
    made = Made()
    home = write_release(made, tmp_path)
    monkeypatch.setattr(ReleaseSource, "card", made.card)
    monkeypatch.setattr(
        ReleaseSource, "reader", Reader((), None, None, released=Released(columns={"boxes": released_boxes}))
    )
    assert list(np.load(home / "task_labels" / "Clarity.npy")) == [1, 10, 4, 10]  # published keys, with gaps
    release = ReleaseSource("bus", home, PARTIAL)
    assert to_table(release, release.manifest()).to_pylist() == to_table(made, made.manifest()).to_pylist()


def test_a_multilabel_list_of_another_length_is_named(tmp_path, monkeypatch):
    home = write_release(Made(), tmp_path)
    monkeypatch.setattr(ReleaseSource, "card", Made().card)
    edit_table(home, 1, "tasks/findings", "[0, 0]")
    with pytest.raises(SourceBroken, match=r"row 1, column 'tasks/findings': '\[0, 0\]' is not a label"):
        read(home, PARTIAL)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("list<int32>", "(600, 450)", [600, 450]),
        ("list<int32>", "(2048,2500)", [2048, 2500]),
        ("list<int32>", "((31, 47), (16, 47), (11, 20))", [31, 47, 16, 47, 11, 20]),
        ("list<int32>", "[512.0, 496.0]", [512, 496]),
        ("list<float64>", "(0.168,0.168)", [0.168, 0.168]),
        ("int32", "1.0", 1),
        ("int64", "1099511627776", 2**40),
        ("float64", "0.9629629629629629", 0.9629629629629629),
        ("string", "None", "None"),
    ],
)
def test_annotation_text(kind, text, value):
    assert read_column([text, ""], READERS[kind], "x") == [value, None]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int32", "1.5"),
        ("int32", "nan"),
        ("int32", "inf"),
        ("list<int32>", "7"),
        ("list<int32>", "(1, 'a')"),
        ("list<int32>", "(1.5, 2)"),
        ("list<int32>", "(1, 2"),
        ("list<int32>", "[x for x in y]"),
        ("list<float64>", "(" * 500 + ")" * 500),
        ("boxes", "['Mass: (1,2,3,4)']"),  # how they are written, only the dataset's own module knows
    ],
)
def test_other_annotation_text_is_refused(kind, text):
    with pytest.raises(SourceBroken, match=r"annotations.csv, row 1, column 'x': cannot read"):
        read_column(["", text], READERS[kind], "x")


def test_labels_and_ids_as_text():
    assert flags("[0, 1, 1]") == (0, 1, 1)
    with pytest.raises(ValueError, match="0 and 1"):
        flags("[0, 2]")
    assert [whole_number("4"), whole_number("4.0")] == [4, 4]
    ids = ["3", "3.0", "P11", "P_00001", "v1.0", ""]
    assert patients(pd.DataFrame({"patient_id": ids})) == ["3", "3", "P11", "P_00001", "v1.0", None]


# The annotations that the published code wrote for the real samples


def golden_release(dataset: str, folder: Path) -> Path:
    """A release around a golden annotations.csv, with lists, labels and info made from the table itself."""
    import h5py

    card = DATASETS[dataset]
    home = folder / dataset
    table = pd.read_csv(golden_folder(dataset) / "annotations.csv", dtype=str, keep_default_na=False)
    for name in ("splits", "original_splits", "task_labels"):
        (home / name).mkdir(parents=True)
    shutil.copy(golden_folder(dataset) / "annotations.csv", home)
    for column, lists in (("split", "splits"), ("original_split", "original_splits")):
        for split, part in table.groupby(column):
            (home / lists / f"{split}.txt").write_text("\n".join(part["filepath"]))
    for task in card.tasks:
        np.save(home / "task_labels" / f"{task.name}.npy", [json.loads(text) for text in table[f"tasks/{task.name}"]])
    tasks = [
        {"task_name": t.name, "task_target": t.kind, "labels": dict(zip(t.keys, t.labels, strict=True))}
        for t in card.tasks
    ]
    info = {
        "id": dataset,
        "tasks": tasks,
        "input_size": [card.channels, 224, 224],
        "total_num_samples": len(table),
        "splits_num_samples": table["split"].value_counts().to_dict(),
    }
    (home / "info.yaml").write_text(yaml.safe_dump(info))
    shape = (len(table), 224, 224) if card.channels == 1 else (len(table), 224, 224, 3)
    with h5py.File(home / "images.hdf5", "w") as file:
        file.create_dataset("images", shape, np.uint8)
    return home


@pytest.mark.parametrize("dataset", DATASETS)
def test_golden_annotations_are_read_whole(dataset, tmp_path):
    card = DATASETS[dataset]
    rows = ReleaseSource(dataset, golden_release(dataset, tmp_path), PARTIAL).manifest()
    golden = pd.read_csv(golden_folder(dataset) / "golden.csv", dtype=str, keep_default_na=False)
    assert rows["original_filepath"].to_list() == golden["original_filepath"].to_list()
    assert rows["split"].to_list() == golden["split"].replace("val", "validation").to_list()
    for task in card.tasks:
        texts = golden[f"task:{task.name}"]
        if task.kind == "multilabel":
            expected = [[i for i, flag in enumerate(text) if flag == "1"] for text in texts]
        else:
            expected = [task.keys.index(int(text)) for text in texts]
        assert rows[task.column].to_list() == expected
    table = pd.read_csv(golden_folder(dataset) / "annotations.csv", dtype=str, keep_default_na=False)
    for annotation in card.annotations:
        if annotation.release_column in table:
            empty = table[annotation.release_column] == ""
            assert rows[annotation.column].isna().to_list() == empty.to_list()
    if "patient_id" in table:
        assert rows["subject_id"].fillna("").to_list() == table["patient_id"].to_list()


@pytest.mark.parametrize("dataset", ["cxr", "dr_regular", "glaucoma", "mammo_calc", "organs_axial"])
def test_real_samples_come_back_from_a_release_as_they_went_in(dataset, shared, tmp_path):
    raw = RawSource(dataset, shared / "real" / RAW[dataset], WITH_MASKS)
    release = ReleaseSource(dataset, write_release(raw, tmp_path), WITH_MASKS)
    assert to_table(release, release.manifest()).equals(to_table(raw, raw.manifest()))


@pytest.mark.parametrize("dataset", ["dr_regular", "mammo_calc", "mammo_mass"])
def test_corrections_work_on_a_release(dataset, shared, tmp_path):
    options = Options(partial=True, labels="corrected")
    raw = RawSource(dataset, shared / "real" / RAW[dataset], options).manifest()
    rows = ReleaseSource(dataset, golden_release(dataset, tmp_path), options).manifest()
    for task in DATASETS[dataset].tasks:
        known = raw[task.column].notna()  # a release cannot tell a blank label from none
        assert rows.loc[known, task.column].to_list() == raw.loc[known, task.column].to_list()


@pytest.mark.parametrize("dataset", ["glaucoma", "organs_axial"])
def test_corrected_masks_are_not_in_a_release(dataset, tmp_path):
    options = Options(partial=True, labels="corrected", with_masks=True)
    source = ReleaseSource(dataset, golden_release(dataset, tmp_path), options)
    with pytest.raises(SourceIncomplete, match="masks as released, not corrected"):
        source.manifest()


def test_cases_are_numbered_in_row_order_when_all_are_there(tmp_path, monkeypatch):
    home = golden_release("skinl_derm", tmp_path)
    assert ReleaseSource("skinl_derm", home, PARTIAL).manifest()["subject_id"].isna().all()
    table = pd.read_csv(home / "annotations.csv")
    counts = table["split"].replace("val", "validation").value_counts().to_dict()
    card = DATASETS["skinl_derm"]
    card = dataclasses.replace(card, splits=dataclasses.replace(card.splits, counts=counts))
    monkeypatch.setattr(ReleaseSource, "card", card)
    monkeypatch.setattr(derm7pt, "CASES", len(table))
    subjects = ReleaseSource("skinl_derm", home).manifest()["subject_id"].to_list()
    assert subjects == [str(case) for case in range(1, len(table) + 1)]
