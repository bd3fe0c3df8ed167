"""ISIC 2018 task 3: one-hot tables, the optional lesion table, published counts, and what is wrong with bad input."""

from __future__ import annotations

import pandas as pd
import pytest

from medimeta.builders.phantoms import write_miniature
from medimeta.builders.reading.layout import Layout
from medimeta.builders.reading.raw import Raw
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources.isic2018 import CODES, LESIONS, PARTS, manifest
from medimeta.builders.table.splits import official_split
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import SourceBroken, SourceIncomplete, SourceNotFound

TABLE = "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv"


def source(folder, *, partial: bool = True) -> RawSource:
    return RawSource("derm", folder, Options(partial=partial))


@pytest.fixture
def folder(tmp_path):
    return write_miniature("derm", tmp_path / "raw", per_class=4, packed=False)


def test_zips_and_folder_give_equal_rows_with_all_labels(folder, tmp_path):
    packed = source(write_miniature("derm", tmp_path / "zip", per_class=4))

    rows = to_table(source(folder), source(folder).manifest())

    assert rows.equals(to_table(packed, packed.manifest()))
    assert set(rows["disease_category"].to_pylist()) == set(range(7))
    assert rows["original_image_size"][0].as_py() == [320, 240]


def test_published_counts_follow_from_the_public_tables(shared, tmp_path):
    tables = shared / "real" / "tables" / "ham10000"
    metadata = pd.read_csv(tables / "HAM10000_metadata.csv").sort_values("image_id", ignore_index=True)
    known = {"mel": "MEL", "nv": "NV", "bcc": "BCC", "akiec": "AKIEC", "bkl": "BKL", "df": "DF", "vasc": "VASC"}
    train = pd.get_dummies(metadata["dx"].map(known), dtype=float)[list(CODES)]
    train.insert(0, "image", metadata["image_id"])
    for part in PARTS.values():
        (tmp_path / f"{part}_GroundTruth").mkdir()
        name = f"{part}_GroundTruth.csv"
        content = train.to_csv(index=False).encode() if "Train" in part else (tables / name).read_bytes()
        (tmp_path / f"{part}_GroundTruth" / name).write_bytes(content)
    lesions = metadata[["image_id", "lesion_id"]].rename(columns={"image_id": "image"})
    lesions.to_csv(tmp_path / LESIONS, index=False)
    card = DATASETS["derm"]

    rows = manifest(Raw(tmp_path, "derm", Layout(("ISIC2018_Task3_Training_GroundTruth",), card.archives)))

    assert pd.Series(official_split(rows, card.splits)).value_counts().to_dict() == card.splits.counts
    assert rows["disease category"][:10015].value_counts().to_dict() == {
        1: 6705, 0: 1113, 4: 1099, 2: 514, 3: 327, 6: 142, 5: 115,
    }  # fmt: skip
    assert rows["subject_id"].nunique() == 7470
    assert rows["subject_id"].isna().to_list() == [False] * 10015 + [True] * (193 + 1512)


def test_lesions_are_those_of_the_training_images(folder):
    rows = source(folder).manifest()
    train = rows["split"] == "train"

    assert rows["subject_id"][train].notna().all()
    assert rows["subject_id"][~train].isna().all()
    assert rows["subject_id"].nunique() < train.sum()


def test_without_the_lesion_table_there_are_no_subjects(folder):
    (folder / LESIONS).unlink()

    assert source(folder).manifest()["subject_id"].isna().all()


def test_an_image_that_the_lesion_table_lacks_has_no_subject(folder):
    lines = (folder / LESIONS).read_text().splitlines()
    (folder / LESIONS).write_text("\n".join([lines[0], *lines[2:]]))

    assert source(folder).manifest()["subject_id"].isna().to_list()[:2] == [True, False]


def rewrite(file, change) -> None:
    table = pd.read_csv(file)
    change(table).to_csv(file, index=False)


BAD_TABLES = {
    "lacking column": (lambda t: t.drop(columns="AKIEC"), r"lacks the column\(s\) AKIEC; it has image, MEL, NV, BCC"),
    "other names": (lambda t: t.rename(columns={"image": "image_id"}), r"lacks the column\(s\) image; it has image_id"),
    "a class beyond the seven": (lambda t: t.assign(SCC=1.0).assign(MEL=0.0), "not exactly one of MEL, NV.* is 1 for "),
    "two classes": (lambda t: t.assign(MEL=1.0, NV=1.0), "not exactly one of MEL, NV.* is 1 for ISIC_0024306"),
    "a probability": (lambda t: t.assign(MEL=0.5), "not exactly one of"),
    "words": (lambda t: t.assign(MEL="yes"), "not exactly one of"),
    "empty": (lambda t: t.assign(MEL=None), "not exactly one of"),
    "a row twice": (lambda t: pd.concat([t, t[:1]]), r"1 row\(s\) occur twice: .*ISIC_0024306.jpg"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_named(folder, case):
    change, problem = BAD_TABLES[case]
    rewrite(folder / TABLE, change)

    with pytest.raises(SourceBroken, match=problem) as error:
        source(folder).manifest()
    assert case == "a row twice" or TABLE in str(error.value)


def test_a_lesion_table_with_other_columns_is_named(folder):
    rewrite(folder / LESIONS, lambda t: t.rename(columns={"lesion_id": "lesion"}))

    with pytest.raises(SourceBroken, match=rf"{LESIONS} in .*lacks the column\(s\) lesion_id"):
        source(folder).manifest()


def test_a_missing_table_is_named(folder):
    (folder / TABLE).unlink()

    with pytest.raises(SourceNotFound, match=rf"{TABLE} is missing in .*Get ISIC2018_Task3_Training_GroundTruth.zip"):
        source(folder).manifest()


def test_a_table_in_another_encoding_is_named(folder):
    (folder / TABLE).write_text((folder / TABLE).read_text(), encoding="utf-16")

    with pytest.raises(SourceBroken, match=r"UTF-16"):
        source(folder).manifest()


def test_listed_but_absent_is_an_error_or_dropped(folder):
    absent = "ISIC2018_Task3_Training_Input/ISIC_0024307.jpg"
    (folder / absent).unlink()

    with pytest.raises(SourceIncomplete, match=rf"expects 11,720 images, found 27 .*\n.*{absent}"):
        source(folder, partial=False).manifest()
    assert absent not in set(source(folder).manifest()["original_filepath"])


@pytest.mark.parametrize(("kept", "problem"), [(0, "not a readable"), (5_000, "cannot be rendered")])
def test_a_broken_image_is_named(folder, kept, problem):
    file = folder / "ISIC2018_Task3_Training_Input" / "ISIC_0024307.jpg"
    file.write_bytes(file.read_bytes()[:kept])

    with pytest.raises(SourceBroken, match=rf"{file.name} in .*{problem}"):
        source(folder).encode(source(folder).manifest())
