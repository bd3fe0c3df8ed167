"""Quality flags: what ships, as columns, as filters, and what follows from an audit."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.data.exclusion import quality
from medimeta.learn.data.exclusion.copies import shipped
from medimeta.learn.data.exclusion.ledger import Ledger

SHIPPED = sorted(path.stem for path in quality.FOLDER.glob("*.parquet"))


@pytest.mark.parametrize("id", SHIPPED)
def test_shipped_flags_have_sources_and_hold_what_the_ledger_says(id):
    table = pq.read_table(quality.FOLDER / f"{id}.parquet")
    rows = table.to_pandas()

    assert table.schema.equals(quality.SCHEMA)
    assert set(rows["flag"]) <= set(quality.FLAGS)
    assert (rows["source"].str.len() > 10).all()
    assert not rows.duplicated(["original_filepath", "flag", "note"]).any()
    derived = quality.of_ledger(shipped(id), id, "test").to_pandas()
    keys = [set(zip(frame["original_filepath"], frame["flag"], strict=True)) for frame in (rows, derived)]
    assert keys[1] <= keys[0]


@pytest.mark.parametrize("id", ["bus", "pbc"])
def test_one_image_of_each_group_of_copies_stays(id):
    rows = shipped(id).rows
    gone = quality.flagged(id, ["duplicate"])

    for _, group in rows.groupby("group"):
        assert len(group[~group["original_filepath"].isin(gone)]) <= 1
    last = rows.assign(late=rows["split"].map({"train": 0, "validation": 1, "test": 2}))
    alone = [group for _, group in last.groupby("group") if not group.duplicated("original_filepath").any()]
    for group in alone:
        staying = group[~group["original_filepath"].isin(gone)]
        assert staying.empty or staying["late"].item() == group["late"].max()


@pytest.mark.slow
def test_flags_are_columns_and_filters(tmp_path):
    raw = write_miniature("bus", tmp_path / "raw", per_class=60)
    options = {"data_dir": raw, "partial": True, "split": "train", "task": "malignancy"}

    view = medimeta.load_task("bus", flags=True, **options)
    kept = medimeta.load_task("bus", flags=True, exclude_flags=["duplicate"], **options)
    stream = medimeta.load_task("bus", flags=True, exclude_flags=["duplicate"], streaming=True, **options)

    flags = view["flags"][:]
    assert 0 < sum("duplicate" in given for given in flags) < len(flags)
    assert kept["flags"][:] == [given for given in flags if "duplicate" not in given]
    assert [row["flags"] for row in stream] == kept["flags"][:]
    assert "flags" not in medimeta.load_task("bus", **options).column_names


def test_mistakes_are_named_before_data_are_read():
    with pytest.raises(UnknownName, match="Did you mean 'duplicate'"):
        medimeta.load_task("bus", exclude_flags=["duplicates"], data_dir="nowhere")
    with pytest.raises(MedIMetaError, match="No quality flags of crc ship"):
        medimeta.load_task("crc", exclude_flags=["duplicate"], data_dir="nowhere")
    for severity in (0, 2):
        with pytest.raises(MedIMetaError, match="no corruption is named"):
            medimeta.load_task("bus", severity=severity, data_dir="nowhere")


def test_an_audit_writes_flags(tmp_path):
    quality.write_flags(shipped("pbc"), tmp_path)

    rows = pq.read_table(tmp_path / "pbc.parquet").to_pandas()
    wrong = rows[rows["flag"] == "contradiction"]
    assert wrong["note"].tolist() == [
        "labelled eosinophil; neutrophil/BNE_191112.jpg is neutrophil",
        "labelled neutrophil; eosinophil/EO_225902.jpg is eosinophil",
    ]


def test_a_ledger_without_groups_gives_no_flags():
    ledger = shipped("bus")
    empty = Ledger(ledger.table.slice(0, 0))

    assert quality.of_ledger(empty, "bus", "test").num_rows == 0
