"""ChestX-ray14: packed in three ways, findings, lists, boxes, published counts, and what is wrong with bad input."""

from __future__ import annotations

import ast
import gzip
import io
import logging
import shutil
import tarfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.golden import golden_folder
from fakes.tars import unpack
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.reading.layout import Layout
from medimeta.builders.reading.raw import Raw
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources.chestxray14 import BOXES, LISTS, MARKERS, TABLE, manifest, released_boxes
from medimeta.builders.table.splits import official_split
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import SourceBroken, SourceIncomplete, SourceNotFound, UnsafeArchive


def source(folder, *, partial: bool = True) -> RawSource:
    return RawSource("cxr", folder, Options(partial=partial, with_masks=True))


@pytest.fixture(scope="session")
def tarred(tmp_path_factory):
    """`CXR8/` as CXR8.zip unpacks: tar.gz files in `images/`."""
    return write_miniature("cxr", tmp_path_factory.mktemp("cxr"), per_class=1, packed=False)


@pytest.fixture
def folder(tarred, tmp_path):
    """All unpacked: one folder `CXR8/images/`."""
    shutil.copytree(tarred / "CXR8", tmp_path / "CXR8")
    _unpack(tmp_path / "CXR8" / "images", tmp_path / "CXR8")
    return tmp_path


def _unpack(tars, target):
    for path in sorted(tars.glob("*.tar.gz")):
        unpack(path, target)
        path.unlink()


@pytest.fixture
def in_tars(tarred, tmp_path):
    shutil.copytree(tarred / "CXR8", tmp_path / "CXR8")
    return tmp_path


def rows_of(source):
    return to_table(source, source.manifest())


def test_zip_tars_and_folder_give_equal_rows_with_all_labels(tarred, folder, tmp_path):
    rows = rows_of(source(folder))

    assert rows.equals(rows_of(source(tarred)))
    assert rows.equals(rows_of(source(write_miniature("cxr", tmp_path / "zip", per_class=1))))
    assert rows.equals(rows_of(source(tmp_path / "zip" / "CXR8.zip")))
    assert {label for labels in rows["disease_labels"].to_pylist() for label in labels} == set(range(14))
    assert [] in rows["disease_labels"].to_pylist()
    assert set(rows["patient_sex"].to_pylist()) == {0, 1}
    assert set(rows["original_filepath"].to_pylist()) == {f"images/{p.name}" for p in folder.rglob("*.png")}


def test_tars_beside_the_tables_and_half_unpacked_give_the_same(in_tars, tarred):
    home = in_tars / "CXR8"
    for number, path in enumerate(sorted((home / "images").iterdir())):
        if number < 6:  # under the names that the download script gives them
            path.rename(home / f"images_{number + 1:02d}.tar.gz")
    _unpack(home / "images", home)

    assert rows_of(source(in_tars)).equals(rows_of(source(tarred)))


def test_one_folder_per_tar_gives_the_same(in_tars, tarred):
    for path in sorted((in_tars / "CXR8" / "images").iterdir()):
        unpack(path, in_tars / "CXR8" / path.name.partition(".")[0])
        path.unlink()

    assert rows_of(source(in_tars)).equals(rows_of(source(tarred)))


def test_tars_are_listed_only_when_an_image_is_nowhere_else(folder, tarred, caplog):
    caplog.set_level(logging.INFO, "medimeta")
    shutil.copy(tarred / "CXR8" / "images" / "images_001.tar.gz", folder / "CXR8" / "images")

    source(folder).manifest()
    assert "Listing" not in caplog.text
    source(tarred).manifest()
    assert "Listing CXR8/images/images_001.tar.gz" in caplog.text


def test_workers_read_from_tars_without_listing_them(tarred):
    made = source(tarred)
    rows = made.manifest()
    halves = [rows[:8], rows[8:]]

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        tables = [*executor.map(to_table, [made, made], halves)]

    assert [table.to_pylist() for table in tables] == [to_table(made, half).to_pylist() for half in halves]


def test_rgba_becomes_grey(folder):
    modes = {Image.open(io.BytesIO(path.read_bytes())).mode for path in folder.rglob("*.png")}
    rows = source(folder).manifest()

    assert modes == {"L", "RGBA"}
    assert {Image.open(io.BytesIO(row["image"])).mode for row in source(folder).encode(rows)} == {"L"}


def test_rows_follow_the_follow_up_and_not_the_names(folder):
    rows = source(folder).manifest()

    assert not rows["original_filepath"].is_monotonic_increasing
    keys = list(zip(rows["subject_id"].astype(int), rows["follow_up_nb"], strict=True))
    assert keys == sorted(keys)


def test_no_patient_is_in_two_splits(folder):
    assert (source(folder).manifest().groupby("subject_id")["split"].nunique() == 1).all()


@pytest.fixture(scope="module")
def complete(shared, tmp_path_factory):
    """The rows that the complete tables give, without images."""
    tables, folder = shared / "real" / "tables" / "cxr14", tmp_path_factory.mktemp("tables")
    for name in (*LISTS.values(), BOXES):
        shutil.copy(tables / name, folder)
    (folder / TABLE).write_bytes(gzip.decompress((tables / f"{TABLE}.gz").read_bytes()))
    rows = manifest(Raw(folder, "cxr", Layout(MARKERS, ("CXR8.zip",))))
    return rows.assign(split=official_split(rows, DATASETS["cxr"].splits))


@pytest.mark.slow
def test_published_counts_follow_from_the_public_tables(complete):
    card = DATASETS["cxr"]

    assert complete["split"].value_counts().to_dict() == card.splits.counts
    patients = complete.groupby("split")["subject_id"].nunique()
    assert (patients["train"], patients["validation"]) == (23806, 4202)
    assert (complete.groupby("subject_id")["split"].nunique() == 1).all()
    assert complete["original_split"].value_counts().to_dict() == card.splits.original
    assert (complete["disease labels"].str.len() == 0).sum() == 60361
    known = card.task("disease labels").labels
    assert set(complete["disease labels"].explode().dropna()) == set(known)


def test_published_boxes_follow_from_the_public_table(complete):
    boxes = complete["bounding_boxes"]

    assert (boxes.str.len().sum(), (boxes.str.len() > 0).sum()) == (984, 880)
    assert "Infiltrate" in {box["label"] for row in boxes for box in row}


def test_annotations_are_those_of_the_golden_release(shared):
    golden = pd.read_csv(golden_folder("cxr") / "annotations.csv", keep_default_na=False)
    rows = source(shared / "real" / "cxr14").manifest()

    assert rows["subject_id"].to_list() == golden["patient_id"].astype(str).to_list()
    for ours, theirs in (("patient_age", "patient_age"), ("follow_up_nb", "follow-up_nb")):
        assert rows[ours].to_list() == golden[theirs].to_list()
    assert rows["view_position"].to_list() == golden["view_position"].to_list()
    for column in ("original_image_size", "original_pixel_spacing"):
        theirs = [ast.literal_eval(text) for text in golden[column]]
        assert np.allclose(rows[column].to_list(), theirs, rtol=0, atol=1e-15)
    for boxes, text in zip(rows["bounding_boxes"], golden["bounding_box"], strict=True):
        found = [f"{b['label']}: ({b['x']},{b['y']},{b['width']},{b['height']})" for b in boxes]
        assert found == (ast.literal_eval(text) if text else [])


def test_boxes_as_the_release_writes_them():
    assert released_boxes("['Infiltrate: (225.8,370.1,686.0,400.5)', 'Mass: (1,2,3,4)']") == [
        {"label": "Infiltrate", "x": 225.8, "y": 370.1, "width": 686.0, "height": 400.5},
        {"label": "Mass", "x": 1.0, "y": 2.0, "width": 3.0, "height": 4.0},
    ]


@pytest.mark.parametrize("text", ["['Mass (1,2,3,4)']", "['Mass: (1,2,3)']", "['Mass: (1,2,3,x)']", "[1]"])
def test_other_text_is_not_a_box(text):
    with pytest.raises(ValueError):
        released_boxes(text)


def test_without_the_box_table_boxes_are_unknown(folder):
    (folder / "CXR8" / BOXES).unlink()

    assert source(folder).manifest()["bounding_boxes"].isna().all()


def edit(folder, name, change) -> RawSource:
    file = folder / "CXR8" / name
    file.write_text(change(file.read_text()))
    return source(folder)


BAD_TABLES = {
    "lacking column": (TABLE, lambda t: t.replace("Patient Age", "Age"), r"lacks the column\(s\) Patient Age; it has"),
    "a field too many": (
        TABLE,
        lambda t: t.replace("\n", ",7\n").replace(",7", "", 1),
        "not a readable table|more fields",
    ),
    "unknown finding": (
        TABLE,
        lambda t: t.replace("Hernia", "Hernya"),
        "'Hernya' is not a label of task 'disease labels'",
    ),
    "no finding text": (TABLE, lambda t: t.replace(",No Finding,", ",,"), "'' is not a label of task 'disease labels'"),
    "unknown sex": (TABLE, lambda t: t.replace(",M,PA", ",X,PA"), "'X' is not a label of task 'patient sex', in row"),
    "no age": (TABLE, lambda t: t.replace(",21,", ",058Y,"), "column 'Patient Age' has 058Y"),
    "a row twice": (TABLE, lambda t: t + t.splitlines()[-1], r"1 row\(s\) occur twice: images/"),
    "in no list": (
        LISTS["train"],
        lambda t: t.partition("\n")[2],
        "are in none of train_val_list.txt, test_list.txt: 0",
    ),
    "in both lists": (LISTS["test"], lambda t: t + "\n00000001_000.png", "1 images are in train_val_list.txt too: 000"),
    "empty list": (LISTS["test"], lambda _: "", r"test_list\.txt in .*not a readable table .*empty"),
    "empty table": (TABLE, lambda _: "", r"Data_Entry_2017_v2020\.csv in .*not a readable table"),
    "box without label": (BOXES, lambda t: t.replace("Finding Label", "Label"), r"lacks the column\(s\) Finding Label"),
    "box of words": (BOXES, lambda t: t.replace("60.5", "left"), r"BBox_List_2017\.csv in .*not a readable .*left"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_named(folder, case):
    name, change, problem = BAD_TABLES[case]

    with pytest.raises(SourceBroken, match=problem):
        edit(folder, name, change).manifest()


def test_a_table_in_another_encoding_is_named(folder):
    file = folder / "CXR8" / TABLE
    file.write_text(file.read_text(), encoding="utf-16")

    with pytest.raises(SourceBroken, match=r"UTF-16"):
        source(folder).manifest()


@pytest.mark.parametrize("name", LISTS.values())
def test_a_missing_list_is_named(in_tars, name):
    (in_tars / "CXR8" / name).unlink()

    with pytest.raises(SourceNotFound, match=rf"{name} is missing in .*CXR8. Get CXR8\.zip again"):
        source(in_tars).manifest()


def test_listed_but_absent_is_an_error_or_dropped(folder):
    (folder / "CXR8" / "images" / "00000001_000.png").unlink()

    with pytest.raises(SourceIncomplete, match=r"expects 112,120 images, found 16 .*\n.*images/00000001_000\.png"):
        source(folder, partial=False).manifest()
    assert "images/00000001_000.png" not in set(source(folder).manifest()["original_filepath"])


@pytest.mark.parametrize(("kept", "problem"), [(0, "not a readable"), (10_000, "(cannot be rendered|damaged or cut)")])
def test_a_broken_image_is_named(folder, kept, problem):
    file = folder / "CXR8" / "images" / "00000001_000.png"
    file.write_bytes(file.read_bytes()[:kept])

    with pytest.raises(SourceBroken, match=rf"images/00000001_000\.png in .*{problem}"):
        source(folder).encode(source(folder).manifest())


def test_a_truncated_tar_is_named(in_tars):
    file = in_tars / "CXR8" / "images" / "images_003.tar.gz"
    rows = source(in_tars).manifest()
    file.write_bytes(file.read_bytes()[:-200])

    for attempt in (source(in_tars).manifest, lambda: source(in_tars).encode(rows)):
        with pytest.raises(SourceBroken, match=r"images/images_003\.tar\.gz in .* is damaged or incomplete"):
            attempt()


def test_an_unsafe_tar_member_is_refused(in_tars):
    with tarfile.open(in_tars / "CXR8" / "images" / "images_003.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("../../outside.png"))

    with pytest.raises(UnsafeArchive, match=r"'\.\./\.\./outside\.png' in .*images_003\.tar\.gz .*outside"):
        source(in_tars).manifest()
