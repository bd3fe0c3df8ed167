"""RFMiD: numbers that begin again in every part, 45 findings, published counts, and what is wrong with bad input."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from medimeta.builders.phantoms import write_miniature
from medimeta.builders.reading.layout import Layout
from medimeta.builders.reading.raw import Raw
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources.rfmid import MARKERS, PARTS, ROOT, TABLES, manifest
from medimeta.builders.table.splits import official_split
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import SourceBroken, SourceIncomplete, SourceNotFound

TABLE = f"{ROOT}/{TABLES}/a. RFMiD_Training_Labels.csv"


def source(folder, *, partial: bool = True) -> RawSource:
    return RawSource("fundus", folder, Options(partial=partial))


@pytest.fixture
def folder(tmp_path):
    return write_miniature("fundus", tmp_path / "raw", per_class=4, packed=False)


def test_zip_and_folder_give_equal_rows_with_all_labels(folder, tmp_path):
    packed = source(write_miniature("fundus", tmp_path / "zip", per_class=4))

    rows = to_table(source(folder), source(folder).manifest())

    assert rows.equals(to_table(packed, packed.manifest()))
    assert set(rows["disease_presence"].to_pylist()) == {0, 1}
    assert {label for labels in rows["disease_labels"].to_pylist() for label in labels} == set(range(45))
    assert rows["original_image_size"][0].as_py() == [320, 240]


def test_published_counts_follow_from_the_public_tables(shared, tmp_path):
    (tmp_path / TABLES).mkdir()
    for _, table in PARTS.values():
        shutil.copy(shared / "real" / "tables" / "rfmid" / table, tmp_path / TABLES)
    card = DATASETS["fundus"]

    rows = manifest(Raw(tmp_path, "fundus", Layout(MARKERS, card.archives)))

    assert pd.Series(official_split(rows, card.splits)).value_counts().to_dict() == card.splits.counts
    assert rows["original_filepath"].iloc[[0, 1919, 1920, -1]].to_list() == [
        f"{ROOT}/1. Original Images/a. Training Set/1.png",
        f"{ROOT}/1. Original Images/a. Training Set/1920.png",
        f"{ROOT}/1. Original Images/b. Validation Set/1.png",
        f"{ROOT}/1. Original Images/c. Testing Set/640.png",
    ]
    findings = rows["disease labels"].explode().value_counts()
    assert (findings[["HR", "MCA", "HPED"]] == 1).all()
    assert set(findings.index) == set(card.task("disease labels").labels)


def test_the_inner_folder_may_be_given(folder):
    assert source(folder / ROOT).manifest().equals(source(folder).manifest())


def test_rows_follow_the_table_and_not_the_names(folder):
    table = pd.read_csv(folder / TABLE, encoding="utf-8-sig")
    table[::-1].to_csv(folder / TABLE, index=False)  # and without a byte-order mark

    rows = source(folder).manifest()

    names = rows["original_filepath"][rows["split"] == "train"].str.rpartition("/")[2]
    assert names.to_list() == [f"{number}.png" for number in table["ID"][::-1]]


BAD_TABLES = {
    "lacking column": (lambda t: t.drop(columns="VH"), r"lacks the column\(s\) VH; it has ID, Disease_Risk"),
    "a finding too many": (lambda t: t.assign(ARMD2=0), "has findings that fundus does not know: ARMD2"),
    "neither 0 nor 1": (lambda t: t.assign(DR=2), "findings other than 0 and 1 for ID 1, 2"),
    "empty": (lambda t: t.assign(DR=None), "findings other than 0 and 1 for ID"),
    "no such risk": (lambda t: t.assign(Disease_Risk=7), "7 is not a label of task 'disease presence', in row 0"),
    "no number": (lambda t: t.assign(Disease_Risk="high"), "'high' is not a label of task 'disease presence'"),
    "a row twice": (lambda t: pd.concat([t, t[:1]]), r"1 row\(s\) occur twice: .*a\. Training Set/1\.png"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_named(folder, case):
    change, problem = BAD_TABLES[case]
    change(pd.read_csv(folder / TABLE, encoding="utf-8-sig")).to_csv(folder / TABLE, index=False)

    with pytest.raises(SourceBroken, match=problem):
        source(folder).manifest()


def test_a_missing_table_is_named(folder):
    (folder / TABLE).unlink()

    with pytest.raises(SourceNotFound, match=rf"{TABLES}/a\. RFMiD_Training_Labels\.csv is missing in "):
        source(folder).manifest()


def test_a_table_in_another_encoding_is_named(folder):
    (folder / TABLE).write_text((folder / TABLE).read_text(encoding="utf-8-sig"), encoding="utf-16")

    with pytest.raises(SourceBroken, match=r"UTF-16"):
        source(folder).manifest()


def test_listed_but_absent_is_an_error_or_dropped(folder):
    absent = "1. Original Images/b. Validation Set/1.png"
    (folder / ROOT / absent).unlink()

    with pytest.raises(SourceIncomplete, match=rf"expects 3,200 images, found 7 .*\n.*{absent}"):
        source(folder, partial=False).manifest()
    assert absent not in set(source(folder).manifest()["path"])


@pytest.mark.parametrize(("kept", "problem"), [(0, "not a readable"), (50_000, "(cannot be rendered|damaged or cut)")])
def test_a_broken_image_is_named(folder, kept, problem):
    file = folder / ROOT / "1. Original Images" / "a. Training Set" / "2.png"
    file.write_bytes(file.read_bytes()[:kept])

    with pytest.raises(SourceBroken, match=rf"a\. Training Set/2\.png in .*{problem}"):
        source(folder).encode(source(folder).manifest())
