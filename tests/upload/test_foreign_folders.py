"""Hub folders that others made or changed: every command ends well or with an error that names the file."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import medimeta
from fakes.damage import replaced, set_record, shard
from fakes.parquet import rows_of
from fakes.publishing import build_folder
from medimeta.builders.images import encode
from medimeta.errors import MedIMetaError, SourceBroken
from medimeta.files.remote.repository import Remote, State
from medimeta.learn.leakage import audit
from medimeta.upload.folder.writing import write_card
from medimeta.upload.preview.contents import contents
from medimeta.upload.push.options import PushOptions
from medimeta.upload.push.publish import push
from medimeta.upload.verify.findings import clean, summary
from medimeta.upload.verify.folder import verify_folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return build_folder(tmp_path_factory.mktemp("whole"), {"bus": 3, "cxr": 1})


@pytest.fixture
def hub(whole, tmp_path):
    """A Hub folder to damage."""
    return shutil.copytree(whole, tmp_path / "hub")


def load(hub):
    return medimeta.load_dataset("bus", data_dir=hub)


def verify(hub):
    findings = verify_folder(hub)
    if not clean(findings):
        raise MedIMetaError(summary(findings))


def preview(hub):
    return contents(hub)


def find_leaks(hub):
    return audit.audit(audit.find_sources([str(hub)]))


def card(hub):
    return write_card(hub, "0")


def publish(hub):
    return push(hub, "ns/medimeta", PushOptions(dry_run=True, partial=True), version="0")


@pytest.fixture(autouse=True)
def empty_hub(monkeypatch):
    monkeypatch.setattr(Remote, "state", lambda *_: State())


COMMANDS = (load, verify, preview, find_leaks, card, publish)


def table_of(hub, split="train", dataset="bus"):
    return pq.read_table(shard(hub, split, dataset))


def write(hub, table, split="train", dataset="bus"):
    pq.write_table(table, shard(hub, split, dataset))


def with_column(hub, name, values, kind=None, dataset="bus"):
    table = table_of(hub, dataset=dataset)
    place = table.schema.get_field_index(name)
    write(hub, table.set_column(place, name, pa.array(values(table[name].to_pylist()), kind)), dataset=dataset)


def with_picture(hub, data, column="image"):
    with_column(hub, column, lambda rows: [rows[0] | {"bytes": data}, *rows[1:]], table_of(hub)[column].type)


def twice(hub):
    table = table_of(hub)
    write(hub, table.append_column("case_category", table["case_category"]))


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def repeated(hub, times):
    """A million rows of one value each, without pictures, in a file of some kilobytes."""
    table = table_of(hub).slice(0, 1)
    columns = [
        pa.nulls(times, field.type) if field.name == "image" else pa.repeat(table[field.name][0], times)
        for field in table.schema
    ]
    write(hub, pa.table(columns, schema=table.schema))


TRAIN = "train-00000-of-00001.parquet"
# What is done to the folder, which commands must refuse it, and words that the message must hold.
ROWS = {
    "label below zero": (lambda h: with_column(h, "malignancy", lambda v: [-1, *v[1:]]), "row 0", "-1"),
    "label too large": (lambda h: with_column(h, "case_category", lambda v: [*v[:-1], 3]), "row 5", "3"),
    "half a label": (lambda h: with_column(h, "malignancy", lambda v: [*map(float, v[:-1]), 0.5]), "row 5", "0.5"),
    "not a number": (lambda h: with_column(h, "malignancy", lambda v: [float("nan"), *map(float, v[1:])]), "row 0"),
    "no label": (lambda h: with_column(h, "malignancy", lambda v: [None, *v[1:]]), "malignancy"),
    "labels as text": (lambda h: with_column(h, "malignancy", lambda v: list(map(str, v))), "malignancy"),
    "no path": (lambda h: with_column(h, "original_filepath", lambda v: [None, *v[1:]]), "original_filepath"),
    "no index": (lambda h: with_column(h, "index", lambda v: [None, *v[1:]]), "index"),
    "huge index": (lambda h: with_column(h, "index", lambda v: [2**40, *v[1:]]), "index"),
    "index below zero": (lambda h: with_column(h, "index", lambda v: [-1, *v[1:]]), "row 0", "-1"),
    "index twice": (lambda h: with_column(h, "index", lambda v: [v[1], *v[1:]]), "row 1", "index"),
    "index of lists": (lambda h: with_column(h, "index", lambda v: [[i] for i in v]), "index"),
    "finding too large": (
        lambda h: with_column(h, "disease_labels", lambda v: [[0, 14], *v[1:]], dataset="cxr"), "disease_labels",
    ),
    "column twice": (twice, "case_category"),
    "no column": (lambda h: write(h, table_of(h).drop_columns(["malignancy"])), "malignancy"),
    "plain bytes": (lambda h: with_column(h, "image", lambda v: [row["bytes"] for row in v]), "image"),
    "only a path": (lambda h: with_picture(h, None), "image"),
    "another format": (lambda h: with_picture(h, encoded(Image.new("L", (224, 224)), "GIF")), "image"),
    "postscript": (lambda h: with_picture(h, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage"), "image"),
    "cut picture": (lambda h: with_picture(h, rows_of(shard(h))[0]["image"]["bytes"][:-200]), "image"),
    "large picture": (lambda h: with_picture(h, encoded(Image.new("L", (13_000, 13_000)), "PNG")), "13000x13000"),
    "colour": (lambda h: with_picture(h, encode(Image.new("RGB", (224, 224)))), "RGB"),
    "a million rows": (lambda h: repeated(h, 1_000_000), "1,000,000"),
    "no shard": (lambda h: shard(h).write_bytes(b""), TRAIN),
    "not a shard": (lambda h: shard(h).write_bytes(b"PAR1" + b"x" * 500 + b"PAR1"), TRAIN),
    "half a shard": (lambda h: shard(h).write_bytes(shard(h).read_bytes()[:-50]), TRAIN),
    "empty shards": (lambda h: [write(h, table_of(h, s).slice(0, 0), s) for s in ("train", "test")], "bus"),
}  # fmt: skip
RECORD = "records/bus/build.json"
RECORDS = {
    "unknown membership": (lambda h: set_record(h, membership="mine"), "membership"),
    "unknown source": (lambda h: set_record(h, source=7), "source"),
    "rows in words": (lambda h: set_record(h, rows={"train": "many"}), "rows"),
    "infinite size": (lambda h: set_record(h, source_bytes=float("inf")), "source_bytes"),
    "another dataset": (
        lambda h: replaced(h / RECORD, '"dataset": "bus"', '"dataset": "pbc"'),
        "pbc",
    ),
    "unknown dataset": (
        lambda h: replaced(h / RECORD, '"dataset": "bus"', '"dataset": "nope"'),
        "nope",
    ),
    "long number": (lambda h: replaced(h / RECORD, '"source_bytes": ', '"source_bytes": ' + "1" * 5000),),
    "deep": (lambda h: (h / RECORD).write_text("[" * 200_000),),
    "binary": (lambda h: (h / RECORD).write_bytes(b"\xff\xfe"),),
    "list": (lambda h: (h / RECORD).write_text("[]"),),
}
READMES = {
    "impossible date": "date: 2024-13-45\n",
    "long number": f"x: {'1' * 5000}\n",
    "deep": f"x: {'[' * 100_000}\n",
    "deep lists": f"x:\n{'- ' * 50_000}\n",
    "many aliases": "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
    "aliases in an entry": "a0: &a0 [x, x]\n"
    + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    + "configs: [{config_name: bus, data_files: *a59}]\n",
    "keys of lists": "? [a, b]\n: c\n",
    "names of lists": "dataset_info: [{config_name: bus, features: [{name: [a]}], splits: [{name: [a]}]}]\n",
    "names of numbers": "configs: [{config_name: {a: b}}, {config_name: [1]}]\ndataset_info: {config_name: 1}\n",
    "python": "x: !!python/object/apply:os.system ['true']\n",
}


@pytest.mark.parametrize("case", ROWS)
def test_rows(hub, case):
    damage, *words = ROWS[case]
    damage(hub)

    for command in COMMANDS:
        if (case, command) == ("finding too large", load):
            continue  # of the other dataset
        with pytest.raises(MedIMetaError) as raised:
            pytest.fail(f"{command.__name__} returned {command(hub)}")
        assert command not in (card, find_leaks) or all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize("case", RECORDS)
def test_build_records(hub, case):
    damage, *words = RECORDS[case]
    damage(hub)

    for command in (verify, preview, card, publish):
        with pytest.raises(MedIMetaError) as raised:
            command(hub)
        assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize("case", READMES)
def test_readmes(hub, case):
    (hub / "README.md").write_text(f"---\n{READMES[case]}---\n# x\n")

    with pytest.raises(MedIMetaError, match=r"README\.md") as raised:
        verify(hub)

    assert len(str(raised.value)) < 20_000
    load(hub)
    preview(hub)
    card(hub)
    verify(hub)


@pytest.mark.parametrize("command", COMMANDS)
def test_git_lfs_pointers(hub, command):
    for path in hub.rglob("*.parquet"):
        path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n")

    with pytest.raises(MedIMetaError, match="git lfs pull") as raised:
        command(hub)

    assert "medimeta card" not in str(raised.value)
    if command not in (verify, publish):
        assert (type(raised.value), raised.value.code) == (SourceBroken, "lfs-pointer")


def by_pandas(path):
    frame = pd.read_parquet(path)
    frame.to_parquet(path)


def by_pandas_with_categories(path):
    frame = pd.read_parquet(path)
    frame.assign(original_split=frame["original_split"].astype("category")).to_parquet(path)


def by_polars(path):
    polars = pytest.importorskip("polars", reason="Polars is not in the oldest environment")
    polars.read_parquet(path).write_parquet(path)


def by_duckdb(path):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not in the oldest environment")
    duckdb.sql(f"copy (select * from '{path}') to '{path}.new' (format parquet)")
    path.with_name(f"{path.name}.new").replace(path)


@pytest.mark.parametrize(
    "rewrite",
    [
        by_pandas,
        by_pandas_with_categories,
        pytest.param(by_polars, marks=pytest.mark.clients),
        pytest.param(by_duckdb, marks=pytest.mark.clients),
    ],
)
def test_shards_that_another_library_rewrote_hold_the_same_rows(hub, rewrite):
    before = {name: [list(rows[split]) for split in rows] for name, rows in loaded(hub)}
    page = json.dumps(preview(hub))
    for path in hub.glob("*/*.parquet"):
        rewrite(path)

    assert {name: [list(rows[split]) for split in rows] for name, rows in loaded(hub)} == before
    assert json.dumps(preview(hub)) == page
    find_leaks(hub)
    card(hub)
    with pytest.raises(MedIMetaError, match="lacks the metadata"):
        verify(hub)
    assert "Traceback" not in page


def loaded(hub):
    for name in ("bus", "cxr"):
        yield name, medimeta.load_dataset(name, data_dir=hub).map(pixels, features=None)


def pixels(row):
    return {"image": np.asarray(row["image"]).tolist()[0][:5]}
