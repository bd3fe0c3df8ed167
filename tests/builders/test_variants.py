"""Other versions and copies of sources: read where nothing is in doubt, otherwise named, with what to get."""

from __future__ import annotations

import os
import shutil
import zipfile

import pytest
from PIL import Image

from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.errors import MedIMetaError, SourceBroken, SourceIncomplete, SourceNotFound


def rows(dataset, folder, *, partial=True):
    source = open_source(dataset, folder, Options(partial=partial))
    manifest = source.manifest()
    return manifest.drop(columns=["path"]).to_json(), source.encode(manifest[:3])


def miniature(dataset, folder, *, packed=False):
    return write_miniature(dataset, folder, per_class=1, packed=packed)


def _first_table(folder):
    path = next(folder.rglob("Data_Entry_2017_v2020.csv"))
    path.rename(path.with_name("Data_Entry_2017.csv"))


def _descriptive(folder):
    for case in sorted(next(folder.rglob("CBIS-DDSM")).iterdir()):
        for study in sorted(case.iterdir()):
            renamed = study.rename(case / "08-29-2017-DDSM-NA-96009")
            for number, series in enumerate(sorted(renamed.iterdir())):
                series.rename(renamed / f"{number}.000000-full mammogram images-63992")


def _per_series(folder):
    for case in sorted(next(folder.rglob("CBIS-DDSM")).iterdir()):
        for series in sorted(case.glob("*/*")):
            series.rename(case / series.name)


def _ham10000(folder):
    shutil.rmtree(folder)
    (folder / "HAM10000_images_part_1").mkdir(parents=True)
    (folder / "HAM10000_metadata.csv").write_text("lesion_id,image_id,dx\n")


def _kermany_2(folder):
    next(folder.rglob("OCT")).rename(folder / "OCT2017")


@pytest.mark.parametrize(
    ("dataset", "change", "words"),
    [
        ("cxr", _first_table, "Data_Entry_2017_v2020.csv"),
        ("mammo_mass", _descriptive, "Classic Directory Name"),
        ("mammo_calc", _per_series, "Classic Directory Name"),
        ("derm", _ham10000, "HAM10000"),
        ("oct", _kermany_2, "version 2"),
    ],
)
@pytest.mark.parametrize("partial", [True, False])
def test_other_versions_are_named(dataset, change, words, partial, tmp_path):
    change(miniature(dataset, tmp_path))

    with pytest.raises(MedIMetaError, match=words) as caught:
        rows(dataset, tmp_path, partial=partial)
    assert not (partial and "--partial" in str(caught.value))


def test_several_manifests_are_one_source(tmp_path):
    expected = rows("mammo_mass", miniature("mammo_mass", tmp_path / "one"))
    folder = miniature("mammo_mass", tmp_path / "two")
    for number, case in enumerate(sorted(next(folder.rglob("CBIS-DDSM")).iterdir())):
        home = folder / f"manifest-{number}" / "CBIS-DDSM"
        home.mkdir(parents=True)
        case.rename(home / case.name)
    for path in list(folder.rglob("*.csv")):
        path.rename(folder / path.name)

    assert rows("mammo_mass", folder) == expected


@pytest.mark.parametrize("zipped", [True, False])
def test_the_parts_of_ieee_dataport_are_read(zipped, tmp_path):
    expected = rows("fundus", miniature("fundus", tmp_path / "one"))
    root = next(miniature("fundus", tmp_path / "two").glob("A.*"))
    for part, name, letter, images, table in (
        ("Training_Set", "Training", "a. ", "a. Training Set", "RFMiD_Training_Labels.csv"),
        ("Evaluation_Set", "Validation", "b. ", "b. Validation Set", "RFMiD_Validation_Labels.csv"),
        ("Test_Set", "Test", "c. ", "c. Testing Set", "RFMiD_Testing_Labels.csv"),
    ):
        home = tmp_path / "three" / part / part
        home.mkdir(parents=True)
        (root / "1. Original Images" / images).rename(home / name)
        (root / "2. Groundtruths" / f"{letter}{table}").rename(home / table)
        if zipped:
            shutil.make_archive(str(tmp_path / "three" / part), "zip", home.parent)
            shutil.rmtree(home.parent)

    assert rows("fundus", tmp_path / "three") == expected


def test_a_class_folder_renamed_in_place_is_read_and_both_are_refused(tmp_path):
    folder = miniature("pbc", tmp_path)
    expected = rows("pbc", folder)
    old = next(folder.rglob("ig"))
    shutil.copytree(old, old.with_name("immature granulocyte"))

    with pytest.raises(SourceBroken, match=r"ig/.*immature granulocyte"):
        rows("pbc", folder)
    shutil.rmtree(old)
    assert rows("pbc", folder) == expected


def test_a_renamed_archive_is_read_unless_two_differ(tmp_path):
    folder = miniature("bus", tmp_path, packed=True)
    expected = rows("bus", folder)
    (folder / "Dataset_BUSI.zip").rename(folder / "Dataset_BUSI (1).zip")
    assert rows("bus", folder) == expected

    with zipfile.ZipFile(folder / "Dataset_BUSI (1).zip") as old, zipfile.ZipFile(folder / "archive.zip", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data + b"\0" if name.endswith("benign (1).png") else data)
    with pytest.raises(SourceBroken, match=r"Dataset_BUSI \(1\).zip.*archive.zip|archive.zip.*Dataset_BUSI \(1\).zip"):
        rows("bus", folder)


def test_what_was_seen_is_listed(tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "1.txt").write_text("1")
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4cut")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("x/y.txt", "1")

    with pytest.raises(SourceNotFound) as caught:
        rows("bus", tmp_path)
    assert all(word in str(caught.value) for word in ("benign", "holiday", "cut.zip", "damaged", "other.zip"))


def test_a_copy_without_its_original_is_no_row(tmp_path):
    path = next(miniature("bus", tmp_path).rglob("malignant (1).png"))
    path.rename(path.with_name("malignant (1) (1).png"))

    with pytest.raises(SourceIncomplete, match=r"malignant \(1\) \(1\).png"):
        rows("bus", tmp_path)


def test_the_archive_goes_before_a_folder_that_only_shares_names(tmp_path):
    folder = miniature("bus", tmp_path, packed=True)
    expected = rows("bus", folder)
    for name in ("benign", "malignant"):
        (folder / "Archive" / name).mkdir(parents=True)
        Image.new("RGB", (300, 300)).save(folder / "Archive" / name / f"{name} (1).png")

    assert rows("bus", folder) == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "Dataset_BUSI.zip")

    for location in (tmp_path, tmp_path / "Dataset_BUSI.zip"):
        with pytest.raises(SourceNotFound):
            rows("bus", location)
