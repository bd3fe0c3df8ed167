"""dr_regular and dr_uwf: paths, order, eye grades, workbooks, and what is said about a source that is broken."""

from __future__ import annotations

import shutil
import sys

import pandas as pd
import pytest

from fakes.golden import RAW, golden_folder
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources import deepdrid
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import MissingExtra, SourceBroken, SourceIncomplete, SourceNotFound

REGULAR = "DeepDRiD-master/regular_fundus_images"
TRAINING = f"{REGULAR}/regular-fundus-training/regular-fundus-training.csv"
TEST = f"{REGULAR}/Online-Challenge1&2-Evaluation"


def source(folder, dataset="dr_regular", **options):
    return RawSource(dataset, folder, Options(**{"partial": True} | options))


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return write_miniature("dr_regular", tmp_path_factory.mktemp("miniature"), per_class=4, packed=False)


@pytest.fixture
def folder(miniature, tmp_path):
    return shutil.copytree(miniature, tmp_path / "raw")


@pytest.fixture
def real(shared):
    return shared / "real" / RAW["dr_regular"]


def edit(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize("dataset", ["dr_regular", "dr_uwf"])
def test_annotations_and_patients_are_as_published(shared, real, dataset):
    published = pd.read_csv(golden_folder(dataset) / "annotations.csv", dtype={"patient_id": str})
    manifest = source(real, dataset).manifest()

    assert manifest["subject_id"].to_list() == published["patient_id"].to_list()
    for column in {"image_id", "left_eye_dr_level", "right_eye_dr_level", "source", "position"} & set(published):
        expected = [None if pd.isna(value) else value for value in published[column]]
        assert manifest[column].to_list() == expected


def test_corrected_level_is_the_one_that_the_table_has_for_the_eye(shared, real):
    published = pd.read_csv(golden_folder("dr_regular") / "annotations.csv")
    released, corrected = source(real).manifest(), source(real, labels="corrected").manifest()
    eye = published["left_eye_dr_level"].fillna(published["right_eye_dr_level"])

    assert released["dr_level"].to_list() == published["tasks/DR level"].to_list()
    assert corrected["dr_level"].to_list() == eye.fillna(published["tasks/DR level"]).to_list()
    changed = released["dr_level"] != corrected["dr_level"]
    assert set(released.loc[changed, "split"]) == {"train"}
    others = [column for column in released if column != "dr_level"]
    pd.testing.assert_frame_equal(corrected[others], released[others])


def test_corrected_takes_the_image_s_eye_first_and_never_what_is_no_grade():
    rows = pd.DataFrame(
        {
            "image_id": ["1_l1", "1_r1", "2_l1", "3_r1", "4_l1", None],
            "left_eye_dr_level": [0, 0, None, None, 5, None],
            "right_eye_dr_level": [1, 1, 2, None, None, None],
            "DR level": [4, 4, 4, 4, 4, 4],
        },
        dtype=object,  # as read from a release
    )

    assert deepdrid.corrected(rows)["DR level"].to_list() == [0, 1, 2, 4, 4, 4]


def test_ultra_widefield_has_nothing_to_correct(folder):
    released = source(folder, "dr_uwf").manifest()

    pd.testing.assert_frame_equal(source(folder, "dr_uwf", labels="corrected").manifest(), released)


@pytest.mark.parametrize("dataset", ["dr_regular", "dr_uwf"])
def test_miniature_has_all_labels_and_reads_the_same_zipped(tmp_path, folder, dataset):
    zipped = write_miniature(dataset, tmp_path / "zipped", per_class=4)

    tables = [to_table(s, s.manifest()) for s in (source(folder, dataset), source(zipped, dataset))]
    assert tables[0].equals(tables[1])
    for task in DATASETS[dataset].tasks:
        assert set(tables[0][task.column].to_pylist()) == set(range(len(task.labels)))


def test_ungradable_images_are_left_out_and_names_without_patient_found(folder):
    manifest = source(folder, "dr_uwf").manifest()

    assert not {"118", "119", "120"} & set(manifest["subject_id"])
    row = manifest.set_index("subject_id").loc["121"]
    assert row["image_id"] == "121_r3"
    assert row["original_filepath"].endswith("/Images/121/r3.jpg")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("image_path", r"regular-fundus-training.csv in .*image_path"),
        ("Clarity", r"regular-fundus-training in .*its tables have no column clarity"),
        ("patient_DR_Level", r"regular-fundus-training in .*its tables have no column dr_level"),
    ],
)
def test_missing_columns_are_named(folder, column, message):
    edit(folder / TRAINING, column.encode(), b"Else")

    with pytest.raises(SourceBroken, match=message):
        source(folder).manifest()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "Overall quality",
            "3",
            r"3 is not a label of task 'Overall quality', in row \d+ \(.*_l1.jpg\)",
        ),
        ("Artifact", "2", "2 is not a label of task 'Artifact'"),
        ("patient_DR_Level", "", "nan is not a label of task 'DR level'"),
        ("left_eye_DR_Level", "low", "'low' in column 'left_eye_dr_level', row \\d+, is not int32"),
        ("patient_id", "four", "column 'patient_id' has four"),
        ("image_id", "", "a row has no image_id"),
    ],
)
def test_wrong_values_are_named(folder, column, value, message):
    table = pd.read_csv(folder / TRAINING, dtype=str)
    table.loc[0, column] = value
    table.to_csv(folder / TRAINING, index=False)

    with pytest.raises(SourceBroken, match=message):
        source(folder).manifest()


def test_a_wrong_encoding_is_named(folder):
    (folder / TRAINING).write_bytes((folder / TRAINING).read_text().encode("utf-16"))

    with pytest.raises(SourceBroken, match=r"regular-fundus-training.csv in .*UTF-16"):
        source(folder).manifest()


def test_further_columns_do_not_matter(folder):
    expected = source(folder).manifest()
    path = folder / TRAINING
    path.write_text("\n".join(f"{line},{n}" for n, line in enumerate(path.read_text().splitlines())))

    pd.testing.assert_frame_equal(source(folder).manifest()[expected.columns], expected)


def test_a_label_outside_the_vocabulary_is_named(folder):
    path = folder / TEST / "Challenge1_labels.xlsx"
    pd.read_excel(path).assign(DR_Levels=7).to_excel(path, index=False)

    with pytest.raises(SourceBroken, match=r"7 is not a label of task 'DR level', in row 0 \(.*Evaluation/Images"):
        source(folder).manifest()


def test_an_image_listed_twice_is_an_error(folder):
    lines = (folder / TRAINING).read_text().splitlines()
    (folder / TRAINING).write_text("\n".join([*lines, lines[1]]))

    with pytest.raises(SourceBroken, match=r"regular-fundus-training.csv in .* \d+_l1 is there twice"):
        source(folder).manifest()


@pytest.mark.parametrize("content", [b"", b"no workbook", b"PK\5\6" + bytes(18)])
def test_a_broken_workbook_is_named(folder, content):
    (folder / TEST / "Challenge2_labels.xlsx").write_bytes(content)

    with pytest.raises(SourceBroken, match=r"Challenge2_labels.xlsx in .*not a readable workbook"):
        source(folder).manifest()


def test_a_cut_workbook_is_named(folder):
    path = folder / TEST / "Challenge2_labels.xlsx"
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(SourceBroken, match=r"Challenge2_labels.xlsx in .*not a readable workbook"):
        source(folder).manifest()


def test_a_workbook_without_names_is_an_error(folder):
    path = folder / TEST / "Challenge2_labels.xlsx"
    pd.read_excel(path).drop(columns="image_id").to_excel(path, index=False)

    with pytest.raises(SourceBroken, match="no column image_id"):
        source(folder).manifest()


def test_reading_workbooks_names_the_package_it_needs(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)

    with pytest.raises(MissingExtra, match="needs openpyxl"):
        source(folder).manifest()


def test_tables_that_are_not_there_are_an_error(folder):
    for path in (folder / TEST).glob("*.xlsx"):
        path.unlink()

    with pytest.raises(SourceNotFound, match=r"Online-Challenge1&2-Evaluation/.*xlsx is missing"):
        source(folder).manifest()


def test_a_source_of_the_other_images_only_is_an_error(tmp_path):
    (tmp_path / "ultra-widefield_images").mkdir()
    (tmp_path / "ultra-widefield_images" / "Readme.txt").touch()

    with pytest.raises(SourceNotFound, match=r"No split folder in .*regular_fundus_images.* Get DeepDRiD-master.zip"):
        source(tmp_path).manifest()


def test_images_listed_but_absent_need_partial(folder):
    rows = source(folder).manifest()
    gone = rows["original_filepath"].iloc[-1]
    (folder / "DeepDRiD-master" / gone).unlink()

    assert source(folder).manifest()["original_filepath"].to_list() == rows["original_filepath"].to_list()[:-1]
    with pytest.raises(SourceIncomplete, match=rf"(?s)dr_regular expects 2,000 images.*missing files \(1\): {gone}"):
        source(folder, partial=False).manifest()


def test_a_damaged_image_is_named(folder):
    row = source(folder).manifest()[:1]
    path = folder / "DeepDRiD-master" / row["original_filepath"].iloc[0]
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(SourceBroken, match=rf"{path.name} in .*cannot be rendered"):
        source(folder).encode(row)
