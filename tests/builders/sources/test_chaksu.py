"""glaucoma: joins, spellings, annotations and masks, and what is said about a source that is not as it should be."""

from __future__ import annotations

import hashlib
import io
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fakes.golden import RAW, golden_folder
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.release.text import READERS
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.errors import SourceBroken, SourceIncomplete, SourceNotFound

DECISIONS = "Train/6.0_Glaucoma_Decision/Glaucoma_Decision_Comparison_Bosch_majority.csv"
MEASURED = "Train/6.0_Glaucoma_Decision/Majority/Bosch.csv"


def source(folder, **options):
    return RawSource("glaucoma", folder, Options(**{"partial": True} | options))


def rows_of(folder, **options):
    opened = source(folder, **options)
    return to_table(opened, opened.manifest()).to_pylist()


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return write_miniature("glaucoma", tmp_path_factory.mktemp("miniature"), per_class=6, packed=False)


@pytest.fixture
def folder(miniature, tmp_path):
    return shutil.copytree(miniature, tmp_path / "raw")


@pytest.fixture
def real(shared):
    return shared / "real" / RAW["glaucoma"]


def edit(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def test_annotations_and_patients_are_as_published(shared, real):
    published = pd.read_csv(golden_folder("glaucoma") / "annotations.csv", dtype=str, keep_default_na=False)
    rows = rows_of(real)

    for annotation in source(real).card.annotations:
        texts = published[annotation.release_column]
        assert [row[annotation.column] for row in rows] == [READERS[annotation.type](t) if t else None for t in texts]
    assert [row["subject_id"] or "" for row in rows] == published["patient_id"].to_list()
    assert {row["subject_id"] for row in rows} == {None, "P11", "P12"}  # p28_image1 is not a patient


def test_released_masks_are_the_published_ones(shared, real):
    rows = rows_of(real, with_masks=True)

    for mask in pd.read_csv(golden_folder("glaucoma") / "masks.csv").to_dict("records"):
        found = pixels(rows[mask["index"]][mask["kind"]]["bytes"]).astype(np.uint8)
        assert hashlib.sha256(found.tobytes()).hexdigest() == mask["sha256"]


def test_corrected_masks_are_exchanged_so_that_the_disc_contains_the_cup(folder):
    for released, row in zip(
        rows_of(folder, with_masks=True), rows_of(folder, with_masks=True, labels="corrected"), strict=True
    ):
        assert (row["cup"]["bytes"], row["disc"]["bytes"]) == (released["disc"]["bytes"], released["cup"]["bytes"])
        cup, disc = pixels(row["cup"]["bytes"]), pixels(row["disc"]["bytes"])
        assert 0 < cup.sum() < disc.sum()
        assert disc[cup].all()


def test_miniature_has_the_quirks_and_reads_the_same_zipped(tmp_path, folder):
    zipped = write_miniature("glaucoma", tmp_path / "zipped", per_class=6)

    rows = rows_of(folder, with_masks=True)
    assert rows_of(zipped, with_masks=True) == rows
    assert {row["glaucoma_suspect"] for row in rows} == {0, 1}
    assert "GLAUCOMA  SUSUPECT" in {row["glaucoma_decision_mean"] for row in rows}
    assert any("/Remedio/" in row["mask_staple_original_path"] for row in rows)
    assert None in {row["vcdr_median"] for row in rows}


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        (DECISIONS, b"Expert.3", b"Expert 3", r"Glaucoma_Decision_Comparison_Bosch_majority.csv .*Expert\.3"),
        (DECISIONS, b"Majority Decision", b"Verdict", "no column Majority Decision or Glaucoma Decision"),
        (DECISIONS, b"Images", b"Image", "Images"),
        (
            DECISIONS,
            b",NORMAL\r\n",
            b",MAYBE\r\n",
            r"'MAYBE' is not a label of task 'Glaucoma suspect', in row \d+ \(Train/",
        ),
        (DECISIONS, b",GLAUCOMA SUSPECT\r\n", b",\r\n", "nan is not a label of task 'Glaucoma suspect'"),
        (DECISIONS, b"\xef\xbb\xbf", b"\xff\xfe", "not a readable table .*utf-8"),
        (MEASURED, b"Cup Area", b"Cup Size", "Majority/Bosch.csv .*Cup Area"),
        (MEASURED, b",NaN,", b",high,", "'high' in column 'vcdr_majority', row \\d+, is not float64"),
    ],
)
def test_broken_tables_are_named(folder, path, old, new, message):
    edit(folder / path, old, new)

    with pytest.raises(SourceBroken, match=message):
        source(folder).manifest()


def test_further_columns_and_rows_of_no_photograph_do_not_matter(folder):
    expected = source(folder).manifest()
    lines = (folder / DECISIONS).read_text("utf-8-sig").splitlines()
    lines.append(lines[-1].replace("NORMAL", "GLAUCOMA SUSPECT"))  # 999x, a second time and otherwise
    (folder / DECISIONS).write_text("\n".join(f"{line},{n}" for n, line in enumerate(lines)), "utf-8")

    pd.testing.assert_frame_equal(source(folder).manifest(), expected)


@pytest.mark.parametrize("table", ["Majority", "Mean", "Median"])
def test_a_photograph_measured_twice_is_an_error(folder, table):
    path = folder / MEASURED.replace("Majority", table)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines, lines[-1]]))

    stem = lines[-1].decode().partition(".")[0].lower()
    with pytest.raises(SourceBroken, match=rf"/{table}/\*.csv in .* more than one row or file for {stem}"):
        source(folder).manifest()


def test_a_photograph_with_two_decisions_is_an_error(folder):
    lines = (folder / DECISIONS).read_bytes().splitlines(keepends=True)  # header, the first row twice, ...
    lines[1] = lines[1].replace(b"-1.jpg,NORMAL", b"-1.jpg,GLAUCOMA SUSPECT")
    (folder / DECISIONS).write_bytes(b"".join(lines))

    with pytest.raises(SourceBroken, match="more than one row or file"):
        source(folder).manifest()


def test_a_photograph_without_decision_is_an_error(folder):
    picture = next((folder / "Train/1.0_Original_Fundus_Images/Bosch").glob("*.JPG"))
    picture.with_stem("P99_image_1").write_bytes(picture.read_bytes())

    with pytest.raises(SourceBroken, match=r"nan is not a label .*P99_image_1.JPG"):
        source(folder).manifest()


def test_tables_that_are_not_there_are_named(folder):
    for path in folder.glob("*/6.0_Glaucoma_Decision/Mean/*.csv"):
        path.unlink()

    with pytest.raises(
        SourceNotFound, match=r"6.0_Glaucoma_Decision/Mean/\*.csv is missing in .*Get Train.zip, Test.zip"
    ):
        source(folder).manifest()


def test_fewer_photographs_need_partial(folder):
    rows = source(folder).manifest()
    (folder / rows["original_filepath"].iloc[0]).unlink()

    assert source(folder).manifest()["original_filepath"].to_list() == rows["original_filepath"].to_list()[1:]
    with pytest.raises(SourceIncomplete, match="glaucoma expects 1,345 images, found 11"):
        source(folder, partial=False).manifest()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:700], "cannot be rendered|not a readable"),
        (lambda data: b"text", "not a readable"),
    ],
)
def test_damaged_photographs_are_named(folder, damage, message):
    row = source(folder).manifest()[-1:]
    path = folder / row["original_filepath"].iloc[0]
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(SourceBroken, match=rf"{path.name} in .*({message})"):
        source(folder).encode(row)


def test_outlines_that_are_not_there_matter_for_masks_only(folder):
    name = source(folder).manifest()["mask_staple_original_path"].iloc[0]
    (folder / name).unlink()

    assert rows_of(folder)[0]["mask_staple_original_path"] is None
    with pytest.raises(SourceNotFound, match="has no merged outlines"):
        rows_of(folder, with_masks=True)
