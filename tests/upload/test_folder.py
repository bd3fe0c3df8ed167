"""The Hub folder: golden rows through Parquet, layout, resume, and never anything half-built."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from datasets import Features, load_dataset

import medimeta
from fakes.golden import RAW, as_golden, golden_rows
from fakes.tiers import quick
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import features
from medimeta.builders.source import Options
from medimeta.errors import MedIMetaError, SourceBroken
from medimeta.files.parallel import pool
from medimeta.upload.folder import writing as folder
from medimeta.upload.folder.writing import build

PARTIAL = Options(partial=True)


def contents(place: Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


def build_one(dataset, raw, out, options=PARTIAL, **more):
    return build(open_source(dataset, raw, options), out, version="0", **more)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=10)


@pytest.fixture(scope="module")
def pbc(tmp_path_factory):
    return write_miniature("pbc", tmp_path_factory.mktemp("pbc"), per_class=20)


@pytest.fixture(scope="module")
def pbc_hub(pbc, tmp_path_factory):
    """A Hub folder of it; only to be read."""
    out = tmp_path_factory.mktemp("hub") / "hub"
    build_one("pbc", pbc, out)
    return out


@pytest.mark.parametrize("dataset", quick("bus", "cxr", "dr_uwf", "mammo_calc", "pbc", of=RAW))
def test_every_golden_row_through_parquet(shared, tmp_path, dataset):
    build_one(dataset, shared / "real" / RAW[dataset], tmp_path / "hub")

    loaded = load_dataset(str(tmp_path / "hub"), dataset)

    card = medimeta.DATASETS[dataset]
    rows = [as_golden(card, row, split, row["image"]) for split in loaded for row in loaded[split]]
    assert sorted(rows, key=lambda row: int(row["index"])) == golden_rows(dataset)


def test_needs_only_datasets_and_streams(raw, tmp_path):
    build_one("bus", raw, tmp_path / "hub")
    code = (
        "import sys; from datasets import load_dataset; d = sys.argv[1]\n"
        "plain = load_dataset(d, 'bus'); stream = load_dataset(d, 'bus', streaming=True)\n"
        "for s in plain: assert plain[s]['index'][:] == [r['index'] for r in stream[s]]\n"
        "assert 'medimeta' not in sys.modules; print(plain['train'].features['malignancy'].names)"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}

    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path / "hub")], env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert "no malignant finding" in done.stdout


def test_shards_are_what_the_viewer_wants(pbc_hub):
    path = pbc_hub / "pbc" / "train-00000-of-00001.parquet"
    footer = pq.read_metadata(path)

    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [100, 12]
    column = footer.row_group(0).column(0)
    assert column.path_in_schema == "image.bytes"
    assert column.compression == "UNCOMPRESSED"
    assert column.has_offset_index
    assert footer.row_group(0).column(2).has_column_index  # no statistics are kept of values as long as images
    assert footer.row_group(0).column(2).compression == "SNAPPY"
    assert footer.metadata[b"use_content_defined_chunking"] == b"true"
    assert json.loads(footer.metadata[b"content_defined_chunking"])["norm_level"] == 0
    stored = json.loads(footer.metadata[b"huggingface"])["info"]["features"]
    assert stored["original_image_size"]["_type"] == "Sequence"
    assert Features.from_dict(stored) == features(medimeta.DATASETS["pbc"])


@pytest.mark.parametrize("dataset", medimeta.DATASETS)
def test_features_survive_metadata_and_card_in_every_datasets(dataset):
    from medimeta.cards.config_entries import info_entry
    from medimeta.upload.folder.shards import stored_features

    wanted = features(medimeta.DATASETS[dataset], Options(with_masks=True))
    stored = stored_features(wanted)

    assert '"List"' not in json.dumps(stored)
    assert Features.from_dict(stored) == wanted
    in_card = yaml.safe_load(yaml.safe_dump(info_entry(dataset, stored, {})["features"]))
    assert Features._from_yaml_list(in_card) == wanted


def test_datasets_built_one_after_another_share_a_folder(raw, pbc_hub, tmp_path):
    out = shutil.copytree(pbc_hub, tmp_path / "hub")
    before = contents(out / "pbc")
    build_one("bus", raw, out)

    front = yaml.safe_load((out / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert [config["config_name"] for config in front["configs"]] == ["bus", "pbc"]
    assert [info["config_name"] for info in front["dataset_info"]] == ["bus", "pbc"]
    assert contents(out / "pbc") == before
    assert len(load_dataset(str(out), "pbc", split="train")) == front["dataset_info"][1]["splits"][0]["num_examples"]
    assert "Incomplete" in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_bytes(pbc, pbc_hub, tmp_path):
    with pool(2, at_once=True) as (executor, _):
        build_one("pbc", pbc, tmp_path / "two", executor=executor, workers=2)

    assert contents(tmp_path / "two") == contents(pbc_hub)


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes(pbc, pbc_hub, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not in the oldest environment")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster,
        pool(dask=cluster.scheduler_address) as (executor, workers),
    ):
        assert workers == 4
        build_one("pbc", pbc, tmp_path / "two", executor=executor, workers=workers)

    assert contents(tmp_path / "two") == contents(pbc_hub)


def test_a_cluster_that_does_not_answer(monkeypatch):
    pytest.importorskip("distributed", reason="dask.distributed is not in the oldest environment")
    with pytest.raises(MedIMetaError, match=r"ftp://x .*--num-proc"), pool(dask="ftp://x"):
        pass


def test_hub_folder_and_raw_source_give_the_same_rows(raw, tmp_path):
    build_one("bus", raw, tmp_path / "hub")
    build_one("bus", tmp_path / "hub", tmp_path / "again")

    first, second = contents(tmp_path / "hub" / "bus"), contents(tmp_path / "again" / "bus")
    assert {name: data for name, data in first.items() if name != "build.json"} == {
        name: data for name, data in second.items() if name != "build.json"
    }


def test_an_unchanged_build_is_not_done_again(raw, tmp_path, monkeypatch):
    build_one("bus", raw, tmp_path / "hub")
    monkeypatch.setattr(folder, "to_table", lambda *_: pytest.fail("rendered again"))
    finished = []

    build_one("bus", raw, tmp_path / "hub", advance=finished.append)

    assert sum(finished) == 30


def test_finished_shards_are_reused(pbc, pbc_hub, tmp_path, monkeypatch):
    original, calls = folder.write_shard, []

    def fail_at_last(path, tables, columns):
        calls.append(path.name)
        if path.name.startswith("test"):
            raise OSError(28, "No space left on device", str(path))
        original(path, tables, columns)

    monkeypatch.setattr(folder, "write_shard", fail_at_last)
    with pytest.raises(OSError, match="No space left"):
        build_one("pbc", pbc, tmp_path / "hub")
    assert not (tmp_path / "hub").exists()

    monkeypatch.setattr(folder, "write_shard", lambda *args: calls.append(args[0].name) or original(*args))
    calls.clear()
    build_one("pbc", pbc, tmp_path / "hub")
    assert calls == ["test-00000-of-00001.parquet"]
    assert contents(tmp_path / "hub") == contents(pbc_hub)


def test_a_broken_image_leaves_the_old_folder(tmp_path):
    raw = write_miniature("bus", tmp_path / "raw", per_class=4, packed=False)
    build_one("bus", raw, tmp_path / "hub")
    before = contents(tmp_path / "hub")
    image = raw / "Dataset_BUSI_with_GT" / "normal" / "normal (3).png"
    image.write_bytes(image.read_bytes()[:2000])

    with pytest.raises(SourceBroken, match=r"normal \(3\).png .*(cannot be rendered|damaged or cut)"):
        build_one("bus", raw, tmp_path / "hub")

    assert contents(tmp_path / "hub") == before
