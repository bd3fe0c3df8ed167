"""AML cytomorphology: the line-by-line table, the two places where it may lie, and what is wrong with bad input."""

from __future__ import annotations

import pytest

from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources.aml_cytomorphology import CODES
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import SourceBroken, SourceIncomplete, SourceNotFound


def source(folder, *, partial: bool = True) -> RawSource:
    return RawSource("aml", folder, Options(partial=partial))


@pytest.fixture
def folder(tmp_path):
    return write_miniature("aml", tmp_path / "raw", per_class=1, packed=False)


@pytest.fixture
def lines(folder):
    return (folder / "annotations.dat").read_text().splitlines()


def rewrite(folder, lines) -> RawSource:
    (folder / "annotations.dat").write_text("\n".join(lines))
    return source(folder)


def test_codes_are_the_first_words_of_the_labels():
    assert [label.split()[0] for label in DATASETS["aml"].tasks[0].labels] == list(CODES)


def test_zip_and_folder_give_equal_rows_with_all_labels(folder, tmp_path):
    packed = source(write_miniature("aml", tmp_path / "zip", per_class=1))

    rows = to_table(source(folder), source(folder).manifest())

    assert rows.equals(to_table(packed, packed.manifest()))
    assert set(rows["morphological_class"].to_pylist()) == set(range(15))
    assert rows["original_image_size"][0].as_py() == [240, 240]


def test_rows_are_in_the_order_of_the_table_and_nan_is_none(folder, lines):
    rows = source(folder).manifest()

    assert rows["original_filepath"].to_list() == [line.split()[0] for line in lines]
    assert rows["annotation"].to_list() == [line.split()[1] for line in lines]
    again = [line.split()[3] for line in lines]
    assert rows["second_reannotation"].to_list() == [None if code == "nan" else code for code in again]


def test_the_folder_is_the_label_whatever_the_annotations_say(folder, lines):
    name = lines[0].split()[0]

    row = rewrite(folder, [f"{name} BAS KSC KSC", *lines[1:]]).manifest().iloc[0]

    assert CODES[row["morphological_class"]] == name[:3]


def test_the_table_may_lie_among_the_class_folders(folder):
    before = source(folder).manifest()
    (folder / "annotations.dat").rename(folder / "AML-Cytomorphology" / "annotations.dat")

    assert source(folder).manifest().drop(columns="path").equals(before.drop(columns="path"))


def test_without_the_table_there_is_no_source(folder):
    (folder / "annotations.dat").unlink()

    with pytest.raises(SourceNotFound, match=r"found none of annotations\.dat in it"):
        source(folder).manifest()


BAD_TABLES = {
    "XYZ/XYZ_0001.tiff XYZ nan nan": "'XYZ' is not a label of task 'morphological class', in row 15",
    "BAS/BAS_0001.tiff BAS nan nan nan": "annotations.dat in .*not a readable table",
}


@pytest.mark.parametrize("line", BAD_TABLES)
def test_a_bad_line_is_named(folder, lines, line):
    file = folder / "AML-Cytomorphology" / line.split()[0]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"not looked at")

    with pytest.raises(SourceBroken, match=BAD_TABLES[line]):
        rewrite(folder, [*lines, line]).manifest()


def test_a_line_that_stands_twice_is_named(folder, lines):
    with pytest.raises(SourceBroken, match=rf"1 row\(s\) occur twice: {lines[3].split()[0]}"):
        rewrite(folder, [*lines, lines[3]]).manifest()


def test_a_table_in_another_encoding_is_named(folder):
    (folder / "annotations.dat").write_text("BAS/BAS_0001.tiff BAS nan nan", encoding="utf-16")

    with pytest.raises(SourceBroken, match=r"annotations\.dat in .*UTF-16"):
        source(folder).manifest()


def test_an_empty_table_is_no_dataset(folder):
    with pytest.raises(SourceBroken, match=r"annotations.dat in .*an empty file"):
        rewrite(folder, []).manifest()


def test_listed_but_absent_is_an_error_or_dropped(folder, lines):
    name = lines[2].split()[0]
    (folder / "AML-Cytomorphology" / name).unlink()

    with pytest.raises(SourceIncomplete, match=rf"expects 18,365 images, found 14 .*\n.*{name}"):
        source(folder, partial=False).manifest()
    assert name not in set(source(folder).manifest()["original_filepath"])


@pytest.mark.parametrize(("kept", "problem"), [(0, "not a readable"), (100_000, "cannot be rendered")])
def test_a_broken_image_is_named(folder, lines, kept, problem):
    file = folder / "AML-Cytomorphology" / lines[0].split()[0]
    file.write_bytes(file.read_bytes()[:kept])

    with pytest.raises(SourceBroken, match=rf"{file.name} in .*{problem}"):
        source(folder).encode(source(folder).manifest())
