"""Libraries that read folders of Parquet read a built dataset as it is; each is skipped where it is not installed."""

from __future__ import annotations

import pytest

from fakes.publishing import build_folder

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return build_folder(tmp_path_factory.mktemp("hub"), {"bus": 4})


@pytest.fixture(scope="module")
def expected(hub):
    """Index and label of every row, by plain pyarrow, file by file."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["index", "malignancy"]) for path in (hub / "bus").iterdir()]
    return sorted(pair for table in tables for pair in zip(*table.to_pydict().values(), strict=True))


def pairs(index, labels):
    return sorted(zip(map(int, index), map(int, labels), strict=True))


def test_pandas(hub, expected):
    import pandas as pd

    rows = pd.read_parquet(hub / "bus")

    assert pairs(rows["index"], rows["malignancy"]) == expected
    assert rows["image"].iloc[0]["bytes"][:4] == b"\x89PNG"


def test_pyarrow_dataset(hub, expected):
    dataset = pytest.importorskip("pyarrow.dataset")

    table = dataset.dataset(hub / "bus").to_table(columns=["index", "malignancy"])

    assert pairs(table["index"].to_pylist(), table["malignancy"].to_pylist()) == expected


def test_polars(hub, expected):
    pl = pytest.importorskip("polars")

    rows = pl.read_parquet(hub / "bus")
    lazy = pl.scan_parquet(hub / "bus").filter(pl.col("malignancy") == 1).collect()

    assert pairs(rows["index"], rows["malignancy"]) == expected
    assert len(lazy) == sum(label for _, label in expected)


def test_duckdb(hub, expected):
    duckdb = pytest.importorskip("duckdb")

    rows = duckdb.sql(f"""select "index", malignancy from '{hub}/bus/*.parquet'""").fetchall()

    assert sorted(rows) == expected


def test_dask(hub, expected):
    dd = pytest.importorskip("dask.dataframe")

    rows = dd.read_parquet(hub / "bus", columns=["index", "malignancy"]).compute()

    assert pairs(rows["index"], rows["malignancy"]) == expected


def test_ray(hub, expected):
    ray = pytest.importorskip("ray.data", reason="ray is not installed")

    rows = ray.read_parquet(str(hub / "bus"), columns=["index", "malignancy"]).to_pandas()

    assert pairs(rows["index"], rows["malignancy"]) == expected


def test_datasets_as_plain_parquet(hub, expected):
    from datasets import load_dataset

    rows = load_dataset("parquet", data_dir=str(hub / "bus"), split="train+validation+test")

    assert pairs(rows["index"], rows["malignancy"]) == expected


def test_mlcroissant(hub, expected):
    mlc = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")

    described = mlc.Dataset(jsonld=hub / "croissant.json")

    assert not described.metadata.ctx.issues.errors
    found = [(record["bus/index"], record["bus/malignancy"]) for record in described.records("bus")]
    assert sorted(found) == expected


def test_tfds(hub, tmp_path):
    from datasets import load_dataset

    builders = pytest.importorskip("tensorflow_datasets", reason="tensorflow_datasets is not installed")

    builder = builders.core.dataset_builders.CroissantBuilder(
        jsonld=hub / "croissant.json", record_set_ids=["bus"], file_format="array_record", data_dir=tmp_path
    )
    builder.download_and_prepare()

    stored = load_dataset(str(hub), "bus")
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        name: len(split) for name, split in stored.items()
    }


def test_timm(hub):
    timm_data = pytest.importorskip("timm.data", reason="timm is not installed")

    reader = timm_data.create_dataset(
        "hfds/" + str(hub), root=str(hub), split="train", input_key="image", target_key="malignancy"
    )

    assert reader[0][1] in (0, 1)
