"""The order of rows in a built folder: random, stable, the same for every source, and undone by a load."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

import medimeta
from medimeta.builders.hub import tables as hub_tables
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import batches, to_table
from medimeta.builders.shard_files import shards
from medimeta.builders.source import Options
from medimeta.builders.table.order import in_order
from medimeta.errors import SourceBroken, UnknownName
from medimeta.upload.folder import spool, writing
from medimeta.upload.folder.writing import build

PARTIAL = Options(partial=True)
CARD = medimeta.DATASETS["pbc"]


def manifest(paths, card=CARD):
    return pd.DataFrame({"original_filepath": paths, "index": range(len(paths)), "split": "train"})


def paths(count):
    return [f"folder/{number:05d}.jpg" for number in range(count)]


def stored(folder, dataset):
    """Indices per split, in the order of the files."""
    return {
        split: [index for path in files for index in pq.read_table(path, columns=["index"])["index"].to_pylist()]
        for split, files in shards(folder / dataset).items()
    }


@pytest.fixture(scope="module")
def pbc(tmp_path_factory):
    return write_miniature("pbc", tmp_path_factory.mktemp("pbc"), per_class=50, packed=False)


@pytest.fixture(scope="module")
def hub(pbc, tmp_path_factory):
    out = tmp_path_factory.mktemp("hub") / "hub"
    build(open_source("pbc", pbc, PARTIAL), out, version="0")
    return out


def test_the_order_is_pinned():
    """Another order of a published dataset would send all of it again."""
    found = in_order(manifest(paths(12)), CARD, "shuffled")["index"].to_list()

    assert found == [6, 9, 3, 8, 2, 10, 4, 0, 7, 1, 5, 11]


def test_rows_that_come_or_go_move_no_others():
    all_paths = paths(500)
    whole = in_order(manifest(all_paths), CARD, "shuffled")["original_filepath"].to_list()
    fewer = in_order(manifest(all_paths[3:200] + all_paths[210:]), CARD, "shuffled")["original_filepath"].to_list()

    assert fewer == [path for path in whole if path in set(fewer)]


def test_it_does_not_depend_on_the_order_of_the_manifest():
    rows = manifest(paths(50) + ["volume.nii"] * 6)

    again = in_order(rows.sample(frac=1, random_state=0), CARD, "shuffled")

    assert again["index"].to_list() == in_order(rows, CARD, "shuffled")["index"].to_list()
    assert sorted(again["index"]) == list(range(56))
    assert in_order(rows[::-1], CARD, "published")["index"].to_list() == list(range(56))
    with pytest.raises(UnknownName, match="shuffled, published"):
        in_order(rows, CARD, "random")


def test_any_prefix_of_a_split_has_its_class_mix():
    """Of 8 classes in blocks of 400 rows, the first 640 rows as stored."""
    rows = manifest(paths(3200)).assign(label=np.repeat(range(8), 400))

    prefix = in_order(rows, CARD, "shuffled")["label"].iloc[:640]

    chisquare = pytest.importorskip("scipy.stats", reason="SciPy is not in the lowest environment").chisquare
    assert chisquare(prefix.value_counts().reindex(range(8), fill_value=0)).pvalue > 0.001


def test_a_built_folder_is_shuffled_within_splits_and_has_two_shards_of_large_ones(hub, pbc):
    rows = open_source("pbc", pbc, PARTIAL).manifest()
    found = stored(hub, "pbc")

    for split, indices in found.items():
        published = rows.loc[rows["split"] == split, "index"].to_list()
        assert sorted(indices) == published
        assert indices != published
    assert [len(files) for files in shards(hub / "pbc").values()] == [2, 1, 1]
    assert all(pq.read_metadata(path).num_rows % 100 == 0 for path in shards(hub / "pbc")["train"][:-1])


@pytest.mark.slow
def test_the_published_order_is_an_option(pbc, tmp_path):
    build(open_source("pbc", pbc, PARTIAL), tmp_path / "hub", version="0", order="published")
    record = build(open_source("pbc", pbc, PARTIAL), tmp_path / "hub", version="0", order="published")

    assert all(indices == sorted(indices) for indices in stored(tmp_path / "hub", "pbc").values())
    assert record.order == "published"


@pytest.mark.slow
def test_every_source_is_stored_in_the_same_order_and_loaded_in_the_published_one(hub, pbc, tmp_path):
    build(open_source("pbc", hub), tmp_path / "again", version="0")
    build(open_source("pbc", hub), tmp_path / "plain", version="0", order="published")

    assert stored(tmp_path / "again", "pbc") == stored(hub, "pbc")
    ours = medimeta.load_dataset("pbc", data_dir=hub)
    raw = medimeta.load_dataset("pbc", data_dir=pbc, partial=True)
    published = medimeta.load_dataset("pbc", data_dir=tmp_path / "plain")
    for split in raw:
        assert ours[split]["index"][:] == raw[split]["index"][:] == published[split]["index"][:]
        assert ours[split].with_format("arrow")[:].equals(raw[split].with_format("arrow")[:])


def test_a_stream_comes_as_it_is_stored(hub):
    found = stored(hub, "pbc")
    plain = load_dataset(str(hub), "pbc", streaming=True)
    own = medimeta.load_dataset("pbc", data_dir=hub, streaming=True)

    for split, indices in found.items():
        assert [row["index"] for row in plain[split].select_columns(["index"])] == indices
        assert [row["index"] for row in own[split].select_columns(["index"])] == indices


@pytest.mark.slow
def test_two_processes_load_the_same_rows(hub, tmp_path):
    one = medimeta.load_dataset("pbc", data_dir=hub, split="train")
    two = medimeta.load_dataset("pbc", data_dir=hub, split="train", num_proc=2, cache_dir=tmp_path)

    assert one.with_format("arrow")[:].equals(two.with_format("arrow")[:])


@pytest.mark.parametrize("block", [1, 200_000, 1 << 29])
def test_rows_are_read_in_any_blocks(hub, block, monkeypatch):
    monkeypatch.setattr(hub_tables, "BLOCK", block)
    source = open_source("pbc", hub, PARTIAL)
    rows = source.manifest()

    for frame in (rows, source.reading_order(rows), rows[::3]):
        parts = batches(frame, "train")
        found = list(hub_tables.tables(source, parts))
        assert [len(table) for table in found] == [len(part) for part in parts]
        assert all(table.equals(to_table(source, part)) for table, part in zip(found, parts, strict=True))


@pytest.mark.slow
def test_a_source_is_read_in_its_own_order(pbc, tmp_path, monkeypatch):
    source = open_source("pbc", pbc, PARTIAL)
    seen = []
    encode = type(source).encode
    monkeypatch.setattr(type(source), "encode", lambda self, rows: seen.extend(rows["index"]) or encode(self, rows))

    build(source, tmp_path / "hub", version="0")

    assert seen == sorted(seen)
    assert len(seen) == len(set(seen)) == len(source.manifest())


@pytest.mark.slow
def test_what_was_spooled_is_not_rendered_again(pbc, hub, tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "PIECE", 1)
    source = open_source("pbc", pbc, PARTIAL)
    encode, calls = type(source).encode, []

    def until_full(self, rows):
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        calls.append(len(rows))
        return encode(self, rows)

    monkeypatch.setattr(type(source), "encode", until_full)
    with pytest.raises(OSError, match="No space"):
        build(source, tmp_path / "hub", version="0")
    monkeypatch.setattr(type(source), "encode", lambda self, rows: calls.append(len(rows)) or encode(self, rows))
    finished = []
    build(source, tmp_path / "hub", version="0", advance=finished.append)

    assert sum(calls) == sum(finished) == len(source.manifest())
    assert stored(tmp_path / "hub", "pbc") == stored(hub, "pbc")
    assert not list((tmp_path / ".hub.medimeta").glob("pbc-*"))


def test_a_hub_folder_in_the_right_order_is_copied_without_a_spool(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "Spool", lambda *_: pytest.fail("spooled"))

    build(open_source("pbc", hub), tmp_path / "hub", version="0")

    assert stored(tmp_path / "hub", "pbc") == stored(hub, "pbc")


def test_a_damaged_picture_is_named_by_its_row(hub, tmp_path):
    folder = shutil.copytree(hub, tmp_path / "hub")
    shard = shards(folder / "pbc")["train"][1]
    with pq.ParquetFile(shard) as file:
        rows, metadata = file.read().to_pylist(), file.schema_arrow.metadata
        schema = file.schema_arrow
    rows[7]["image"]["bytes"] = rows[7]["image"]["bytes"][:200]
    pq.write_table(pa.Table.from_pylist(rows, schema.with_metadata(metadata)), shard)

    with pytest.raises(SourceBroken, match=rf"{shard.name}, row 7: image is not a readable picture"):
        medimeta.load_dataset("pbc", data_dir=folder)
