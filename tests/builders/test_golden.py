"""Every row of the golden tables, from the sample folders and from archives packed as the sources pack them."""

from __future__ import annotations

import gzip
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd
import pyarrow as pa
import pytest

from fakes.golden import RAW, as_golden, golden_folder, golden_rows, pack
from medimeta.builders.rows import batches, splits_of, to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.table.splits import official_split
from medimeta.cards.catalogue import DATASETS

PARTIAL = Options(partial=True)


def rebuilt(source, executor=None):
    manifest = source.manifest()
    work = [(source, batch) for split in splits_of(manifest) for batch in batches(manifest, split)]
    tables = executor.map(to_table, *zip(*work, strict=True)) if executor else [to_table(*item) for item in work]
    rows = [row for table in tables for row in table.to_pylist()]
    splits = dict(zip(manifest["index"], manifest["split"], strict=True))
    rows.sort(key=lambda row: row["index"])
    return [as_golden(source.card, row, splits[row["index"]], row["image"]["bytes"]) for row in rows]


@pytest.mark.parametrize("dataset", RAW)
def test_folder_reproduces_every_golden_row(shared, dataset):
    source = RawSource(dataset, shared / "real" / RAW[dataset], PARTIAL)

    assert rebuilt(source) == golden_rows(dataset)


@pytest.fixture(scope="module")
def two_processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize("dataset", RAW)
@pytest.mark.slow
def test_two_processes_reproduce_every_golden_row_from_archives(shared, tmp_path, two_processes, dataset):
    source = RawSource(dataset, pack(RAW[dataset], shared / "real", tmp_path / "raw"), PARTIAL)

    assert rebuilt(source, two_processes) == golden_rows(dataset)


@pytest.mark.parametrize("dataset", DATASETS)
def test_golden_tables_follow_the_catalogue(dataset):
    card = DATASETS[dataset]
    rows = pd.read_csv(golden_folder(dataset) / "golden.csv", dtype=str)

    for task in card.tasks:
        keys = rows[f"task:{task.name}"]
        if task.kind == "multilabel":
            assert set(keys.str.len()) == {len(task.labels)}
        else:
            assert set(keys) <= set(map(str, task.keys))
    if card.splits.by != "subject_id" and card.splits.order == "source":  # the tables do not name subjects
        split = pd.Series(official_split(rows, card.splits)).replace("validation", "val")
        assert split.to_list() == rows["split"].to_list()


@pytest.mark.parametrize("dataset", ["bus", "cxr", "organs_axial"])  # zip, tar.gz in zip, several zips
def test_archives_reproduce_every_golden_row(shared, tmp_path, dataset):
    source = RawSource(dataset, pack(RAW[dataset], shared / "real", tmp_path / "raw"), PARTIAL)

    assert rebuilt(source) == golden_rows(dataset)


@pytest.mark.parametrize("dataset", ["bus", "pbc", "skinl_derm", "skinl_photo"])
def test_split_of_the_complete_archive_follows_from_the_names(shared, dataset):
    with gzip.open(shared / "golden" / "full_membership" / f"{dataset}.csv.gz", "rt", encoding="utf-8") as file:
        official = pd.read_csv(file)

    split = official_split(official, DATASETS[dataset].splits)

    assert [{"validation": "val"}.get(name, name) for name in split] == official["split"].to_list()
    assert len(official) == DATASETS[dataset].total


def test_tables_have_the_schema_of_the_features(shared):
    source = RawSource("bus", shared / "real" / "busi", Options(partial=True, with_masks=True))
    manifest = source.manifest()

    table = to_table(source, manifest.iloc[:3])

    assert table.schema.field("mask").type == pa.struct({"bytes": pa.binary(), "path": pa.string()})
    assert table["original_image_size"].to_pylist()[0] == [323, 473]
