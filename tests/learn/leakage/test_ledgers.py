"""Ledgers: saved and loaded, summarised, with contradictory labels, and mistakes named."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from fakes.images.copies import PARTIAL, groups, picture, pictures
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import MedIMetaError, SourceNotFound, UnknownName
from medimeta.learn.leakage.audit import Ledger, audit, find_sources, leaked_indices


def test_a_ledger_survives_its_file(tmp_path):
    image = picture(0)
    ledger = audit(
        [pictures("derm", ("train", "L1", image), ("test", None, image), ("test", "L1", picture(2)))], distance=3
    )
    ledger.save(tmp_path / "ledger.parquet")

    again = Ledger.load(tmp_path / "ledger.parquet")

    assert again.table.equals(ledger.table, check_metadata=True)
    assert (again.distance, again.images) == (3, {"derm": {"train": 1, "test": 2}})
    assert leaked_indices(tmp_path / "ledger.parquet", "derm", "train") == {0}
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.parquet"]
    assert ledger.rows["subject_id"].isna().tolist() == [False, True, False, False]


def test_summary_counts_groups_per_pair_of_splits():
    copies = [picture(seed) for seed in range(3)]
    rows = [("train", None, copies[0]), ("train", None, copies[0]), ("test", None, copies[0])]
    rows += [
        ("train", None, copies[1]),
        ("test", None, copies[1]),
        ("train", None, copies[2]),
        ("train", None, copies[2]),
    ]

    ledger = audit([pictures("bus", *rows)])

    expected = [("train", "train", 2, 4, 4), ("train", "test", 2, 3, 2)]
    counts = ledger.counts()
    assert list(
        counts[["split", "other_split", "groups", "images", "other_images"]].itertuples(index=False, name=None)
    ) == (expected)
    lines = ledger.summary().splitlines()
    assert lines[0].startswith("Images compared: 7 of bus.")
    assert [line.split() for line in lines[2:]] == [
        ["exact", "bus", "train", "within", "2", "4"],
        ["exact", "bus", "train", "bus", "test", "2", "3", "+", "2"],
    ]
    assert [len(group) for group in groups(ledger.across_splits(), "exact")] == [3, 2]
    assert ledger.across_splits().images == ledger.images
    assert "No leaks found" in audit([pictures("bus", ("train", None, picture(0)))]).summary()


def test_mistakes_are_named(tmp_path):
    one = pictures("bus", ("train", None, picture(0)))
    ledger = audit([one])
    assert ledger.across_splits().table.num_rows == 0

    with pytest.raises(MedIMetaError, match="bus is given more than once"):
        audit([one, one])
    with pytest.raises(MedIMetaError, match="distance is 17; it must be from 0"):
        audit([one], distance=17)
    with pytest.raises(UnknownName, match=r"Unknown dataset of the ledger 'pbc'.*medimeta audit"):
        leaked_indices(ledger, "pbc", "train")
    with pytest.raises(UnknownName, match=r"Unknown kind of leak 'exakt'. Did you mean 'exact'"):
        leaked_indices(ledger, "bus", "train", kinds=("exakt",))
    with pytest.raises(UnknownName, match="Unknown split 'trian'"):
        leaked_indices(ledger, "bus", "trian")
    with pytest.raises(MedIMetaError, match=r"nothing.parquet is not a ledger.*medimeta audit"):
        leaked_indices(tmp_path / "nothing.parquet", "bus", "train")
    pq.write_table(ledger.table.select(["kind"]), tmp_path / "other.parquet")
    with pytest.raises(MedIMetaError, match="it has other columns"):
        Ledger.load(tmp_path / "other.parquet")
    for metadata in (None, b"", b"[]", b"{}", b'{"distance": "7", "images": {"bus": 3}}', b"[" * 9999, b"\xff"):
        broken = ledger.table.replace_schema_metadata(None if metadata is None else {b"medimeta": metadata})
        pq.write_table(broken, tmp_path / "other.parquet")
        with pytest.raises(MedIMetaError, match="its metadata"):
            Ledger.load(tmp_path / "other.parquet")
    with pytest.raises(SourceNotFound, match=r"not a Hub folder with datasets.*ID=PATH"):
        find_sources([str(tmp_path)])
    with pytest.raises(SourceNotFound, match="does not exist"):
        find_sources([f"bus={tmp_path / 'nowhere'}"])


def test_contradictory_labels_come_first_with_both_labels(tmp_path):
    raw = write_miniature("bus", tmp_path / "raw", per_class=4, packed=False)
    folder = raw / "Dataset_BUSI_with_GT"
    (folder / "normal" / "normal (1).png").write_bytes((folder / "benign" / "benign (2).png").read_bytes())
    (folder / "benign" / "benign (3).png").write_bytes((folder / "benign" / "benign (4).png").read_bytes())

    ledger = audit([open_source("bus", raw, PARTIAL)])
    ledger.save(tmp_path / "ledger.parquet")

    table = pq.read_table(tmp_path / "ledger.parquet").to_pandas()
    assert table["case_category"].tolist() == ["benign", "normal", "benign", "benign"]
    assert set(table["malignancy"]) == {"no malignant finding"}
    first, *lines = Ledger.load(tmp_path / "ledger.parquet").summary().splitlines()
    assert first == "1 group(s) of copies have contradictory labels:"
    assert [line.partition("  case_category: ")[2] for line in lines[1:3]] == ["benign", "normal"]
    assert {row["contradicts"] for row in ledger.as_dict()["contradictions"]} == {"case_category"}
    assert set(ledger.contradictions()["original_filepath"]) == {"benign/benign (2).png", "normal/normal (1).png"}
