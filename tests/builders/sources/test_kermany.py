"""oct and pneumonia: order, patients, labels, and what is said about version 2 and other wrong trees."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.golden import RAW, golden_folder
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import SourceBroken, SourceIncomplete

SCAN = "CellData/OCT/train/CNV/CNV-5-1.jpeg"


def source(folder, dataset, **options):
    return RawSource(dataset, folder, Options(**{"partial": True} | options))


def write(folder, *paths, image=None):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (image or Image.new("L", (230, 240), 99)).save(folder / path)
    return folder


@pytest.mark.parametrize("dataset", ["oct", "pneumonia"])
def test_patients_and_sizes_are_as_published(shared, dataset):
    published = pd.read_csv(golden_folder(dataset) / "annotations.csv", dtype=str)
    opened = source(shared / "real" / RAW[dataset], dataset)
    rows = to_table(opened, opened.manifest()).to_pylist()

    assert [row["subject_id"] for row in rows] == published["patient_id"].to_list()
    assert [str(tuple(row["original_image_size"])) for row in rows] == published["original_image_size"].to_list()
    assert [str(row["original_image_ratio"]) for row in rows] == published["original_image_ratio"].to_list()


@pytest.mark.parametrize("dataset", ["oct", "pneumonia"])
def test_miniature_has_all_labels_and_reads_the_same_zipped(tmp_path, dataset):
    sources = [
        source(write_miniature(dataset, tmp_path / name, per_class=5, packed=packed), dataset)
        for name, packed in (("zipped", True), ("unpacked", False))
    ]

    tables = [to_table(opened, opened.manifest()) for opened in sources]
    assert tables[0].equals(tables[1])
    for task in DATASETS[dataset].tasks:
        assert set(tables[0][task.column].to_pylist()) == set(range(len(task.labels)))
    assert set(tables[0]["original_split"].to_pylist()) == {"train", "test"}


def test_labels_follow_folder_and_name(tmp_path):
    folder = write(tmp_path, *(f"CellData/OCT/train/{name}/{name}-{n}-1.jpeg" for n, name in enumerate("ABCD")))
    for path, name in zip(sorted(folder.rglob("*.jpeg")), ("CNV", "DME", "DRUSEN", "NORMAL"), strict=True):
        write(folder, f"CellData/OCT/train/{name}/{name}{path.name[1:]}")
        path.unlink()
    write(
        folder,
        "CellData/chest_xray/train/NORMAL/NORMAL-1-0001.jpeg",
        "CellData/chest_xray/train/PNEUMONIA/BACTERIA-2-0001.jpeg",
        "CellData/chest_xray/train/PNEUMONIA/VIRUS-3-0001.jpeg",
    )

    scans, radiographs = source(folder, "oct").manifest(), source(folder, "pneumonia").manifest()

    assert scans["disease_class"].to_list() == [0, 1, 2, 3]
    assert scans["urgent_referral"].to_list() == [1, 1, 0, 0]
    assert radiographs["pneumonia_presence"].to_list() == [0, 1, 1]
    assert radiographs["disease_class"].to_list() == [0, 1, 2]


def test_a_patient_is_a_number_and_all_its_images_follow_the_first(tmp_path):
    write(
        tmp_path,
        "CellData/OCT/train/CNV/CNV-7-1.jpeg",
        "CellData/OCT/train/CNV/CNV-80-10.jpeg",
        "CellData/OCT/train/CNV/CNV-80-2.jpeg",
        "CellData/OCT/train/DME/DME-0007-1.jpeg",
        "CellData/OCT/test/DRUSEN/DRUSEN-9-1.jpeg",
    )
    (tmp_path / "CellData/OCT/train/DME/.DME-7-9.jpeg").touch()

    manifest = source(tmp_path, "oct").manifest()

    assert manifest["original_filepath"].to_list() == [
        "test/DRUSEN/DRUSEN-9-1.jpeg",
        "train/CNV/CNV-7-1.jpeg",
        "train/DME/DME-0007-1.jpeg",
        "train/CNV/CNV-80-10.jpeg",
        "train/CNV/CNV-80-2.jpeg",
    ]
    assert manifest["subject_id"].to_list() == ["9", "7", "7", "80", "80"]


@pytest.mark.parametrize("dataset", ["oct", "pneumonia"])
def test_images_are_grey_whatever_the_file(tmp_path, dataset):
    path = SCAN if dataset == "oct" else "CellData/chest_xray/train/NORMAL/NORMAL-5-0001.jpeg"
    write(tmp_path, path, image=Image.new("RGB", (300, 230), (200, 100, 0)))
    opened = source(tmp_path, dataset)

    image = np.asarray(Image.open(io.BytesIO(opened.encode(opened.manifest())[0]["image"])))

    assert image.shape == (224, 224)
    assert image[112, 112] == pytest.approx(118, abs=2)


@pytest.mark.parametrize(
    ("dataset", "path", "difference"),
    [
        ("pneumonia", "chest_xray/train/PNEUMONIA/person1_virus_6.jpeg", "a val folder of 16 images"),
        ("pneumonia", "chest_xray/test/NORMAL/NORMAL2-IM-0001-0001.jpeg", "other file names"),
        ("pneumonia", "chest_xray/train/NORMAL/IM-0115-0001.jpeg", "without the patients' numbers"),
        ("pneumonia", "chest_xray/chest_xray/train/NORMAL/IM-0115-0001.jpeg", "other file names"),
        ("pneumonia", "chest_xray/val/NORMAL/NORMAL-5-0001.jpeg", "a val folder of 16 images"),
        ("oct", "OCT/val/CNV/CNV-6294785-1.jpeg", "fewer images and another split, with a val folder"),
        ("oct", "OCT2017/train/CNV/CNV-1016042-1.jpeg", "fewer images and another split, with a val folder"),
    ],
)
@pytest.mark.parametrize("partial", [True, False])
def test_version_2_is_refused_with_what_differs_and_what_to_get(tmp_path, dataset, path, difference, partial):
    write(tmp_path, path, "chest_xray/test/NORMAL/IM-0001-0001.jpeg")

    with pytest.raises(
        SourceBroken, match=f"version 2 .*{difference}.*cannot be derived.*ZhangLabData.zip of version 3"
    ):
        source(tmp_path, dataset, partial=partial).manifest()


@pytest.mark.parametrize("folder", ["OCT2017", "OCT2017 "])
def test_version_2_alone_is_refused_by_its_folder(tmp_path, folder):
    write(tmp_path, f"{folder}/train/CNV/CNV-1016042-1.jpeg")

    with pytest.raises(SourceBroken, match="holds version 2 of the source of oct"):
        source(tmp_path, "oct").manifest()


def test_version_2_of_the_other_images_does_not_matter(tmp_path):
    write(tmp_path, "OCT/train/CNV/CNV-5-1.jpeg", "OCT2017/val/CNV/CNV-5-1.jpeg", "chest_xray/val/NORMAL/IM-1-1.jpeg")

    assert source(tmp_path, "oct").manifest()["original_filepath"].to_list() == ["train/CNV/CNV-5-1.jpeg"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("CellData/OCT/train/CNV/CNV-x7-1.jpeg", r"CNV-x7-1.jpeg in .*not named \{train,test\}/<class>/"),
        ("CellData/OCT/more/CNV/CNV-7-1.jpeg", r"OCT/more/CNV/CNV-7-1.jpeg in .*not named"),
        ("CellData/OCT/train/CNV/DME-7-1.jpeg", r"train/CNV/DME-7-1.jpeg in .*tell different classes"),
        (
            "CellData/OCT/train/GLAUCOMA/GLAUCOMA-7-1.jpeg",
            r"'GLAUCOMA' is not a label of task 'disease class'",
        ),
        ("CellData/OCT/test/DME/DME-05-1.jpeg", "patients in both train and test: 5"),
    ],
)
def test_files_that_lie_where_they_cannot_are_named(tmp_path, path, message):
    write(tmp_path, SCAN, path)

    with pytest.raises(SourceBroken, match=message):
        source(tmp_path, "oct").manifest()


def test_fewer_images_need_partial(tmp_path):
    write(tmp_path, SCAN)

    assert len(source(tmp_path, "oct").manifest()) == 1
    with pytest.raises(SourceIncomplete, match="oct expects 109,309 images, found 1 in"):
        source(tmp_path, "oct", partial=False).manifest()
    with pytest.raises(SourceIncomplete, match="no images of pneumonia"):
        source(tmp_path, "pneumonia").manifest()


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_a_damaged_image_is_named(tmp_path, content):
    write(tmp_path, SCAN)
    (tmp_path / SCAN).write_bytes(content)
    opened = source(tmp_path, "oct")

    with pytest.raises(SourceBroken, match=r"CNV-5-1.jpeg in .*(not a readable|cannot be rendered)"):
        opened.encode(opened.manifest())
