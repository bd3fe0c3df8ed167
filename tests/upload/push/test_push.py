"""Publishing: one commit for everything that changed, nothing else touched, and refusals that say what to do."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from datasets import Features
from huggingface_hub import HfApi
from PIL import Image

import medimeta
from fakes.hub import Hub
from fakes.parquet import rows_of
from fakes.publishing import (
    BOTH,
    PARTIAL,
    REPO,
    TRANSPORTS,
    build_folder,
    change_a_row,
    contents,
    holds,
    in_this_process,
    other_client,
    publish,
    shard_of,
    without_waiting,
)
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import features
from medimeta.builders.source import Options
from medimeta.cli import app as cli
from medimeta.errors import PushRefused
from medimeta.upload.folder.writing import build
from medimeta.upload.push.plan import owner

FOREIGN = {
    "notes.txt": b"mine",
    "bus/notes.txt": b"mine too",
    "bus/old.parquet": b"no rows of bus: its name says so",
    "bus/train.csv": b"a,b",
    "assets/logo.png": b"a logo",
    "assets/nothing-montage.png": b"of no dataset of the catalogue",
    "mydata/train-00000-of-00001.parquet": b"another dataset",
    "scripts/medimeta.py": b"not in the root",
}


def titles(hub):
    return [commit.title for commit in hub.repos[REPO].history()]


@pytest.mark.parametrize("hub", BOTH, indirect=True)
def test_everything_in_one_commit_and_nothing_the_second_time(hub, small):
    pushed = publish(hub, small)

    assert holds(hub, small)
    assert titles(hub) == ["Release bus, crc, pneumonia", "initial commit"]
    assert pushed.made
    assert pushed.commit == hub.repos[REPO].heads["main"]
    before = len(hub.log), hub.sent
    again = publish(hub, small)
    assert (again.made, again.commit) == (False, pushed.commit)
    assert hub.sent == before[1]
    assert all(request.startswith("GET") for request in hub.log[before[0] :])


def test_only_what_differs_is_sent_and_only_ours_is_deleted(hub, folder):
    publish(hub, folder)
    hub.commit(REPO, FOREIGN | {"bus/train-00000-of-00002.parquet": b"stale", "records/crc/card.json": b"edited"})
    change_a_row(folder)
    (folder / "notes.tex").write_text("never sent")
    before = hub.received

    plan = publish(hub, folder).plan

    assert plan.deleted == ("bus/train-00000-of-00002.parquet",)
    cards = {"records/bus/card.json", "records/crc/card.json"}
    assert set(plan.changed) >= {"bus/train-00000-of-00001.parquet", "README.md"} | cards
    assert not any(path.startswith("pneumonia/") for path, _ in plan.new)
    (folder / "notes.tex").unlink()
    assert holds(hub, folder, foreign=FOREIGN)
    assert hub.received - before < 2 * plan.bytes + 50_000
    assert len(titles(hub)) == 4


def test_a_dry_run_shows_the_plan_and_changes_nothing(lfs_hub, folder):
    first = publish(lfs_hub, folder, dry_run=True).plan
    assert not lfs_hub.repos
    assert len(first.added) == len(contents(folder))
    publish(lfs_hub, folder)
    lfs_hub.commit(REPO, {"crc/train-00001-of-00002.parquet": b"stale"})
    change_a_row(folder)
    head, before = lfs_hub.repos[REPO].heads["main"], len(lfs_hub.log)

    done = publish(lfs_hub, folder, dry_run=True)

    assert done.commit is None
    assert lfs_hub.repos[REPO].heads["main"] == head
    assert all(request.startswith("GET") for request in lfs_hub.log[before:])
    lines = done.plan.summary().splitlines()
    size = shard_of(folder).stat().st_size
    assert f"~ bus/train-00000-of-00001.parquet ({size:,} bytes)" in lines
    assert "- crc/train-00001-of-00002.parquet" in lines
    assert lines[-1] == f"One commit, at most {done.plan.bytes:,} bytes to send."
    assert f"{len(done.plan.unchanged)} unchanged" in lines[-2]
    assert done.plan.bytes >= size


def test_datasets_one_by_one_give_the_repository_that_all_at_once_give(lfs_hub, small):
    for name in ("pneumonia", "bus", "crc"):
        publish(lfs_hub, small, only=(name,))
    assert holds(lfs_hub, small)
    assert len(titles(lfs_hub)) == 4
    assert not publish(lfs_hub, small).made
    assert not publish(lfs_hub, small, only=("crc",)).made


def test_a_dataset_goes_only_when_it_is_named(lfs_hub, small):
    publish(lfs_hub, small)
    lfs_hub.commit(REPO, FOREIGN)

    plan = publish(lfs_hub, small, only=("bus", "crc"), remove=("pneumonia",)).plan

    gone = {
        path for path in contents(small) if path.startswith(("pneumonia/", "records/pneumonia/", "assets/pneumonia-"))
    }
    assert set(plan.deleted) == gone
    after = lfs_hub.files(REPO)
    assert set(after) == ({*contents(small), *FOREIGN, ".gitattributes"}) - gone
    front = yaml.safe_load(after["README.md"].split(b"---\n")[1])
    assert [entry["config_name"] for entry in front["configs"]] == ["bus", "crc"]


@pytest.mark.slow
def test_changed_features_are_told_by_the_card(lfs_hub, tmp_path):
    plain = build_folder(tmp_path, {"bus": 3, "crc": 1}, name="plain")
    masks = build_folder(tmp_path, {"bus": 3}, options=Options(partial=True, with_masks=True), name="masks")

    for source, options in ((plain, Options()), (masks, Options(with_masks=True)), (plain, Options())):
        publish(lfs_hub, source, only=("bus",))
        front = yaml.safe_load(lfs_hub.files(REPO)["README.md"].split(b"---\n")[1])
        told = Features._from_yaml_list(front["dataset_info"][0]["features"])
        assert told == features(medimeta.DATASETS["bus"], options)


@pytest.mark.slow
def test_what_may_not_be_passed_on(lfs_hub, tmp_path):
    derm7pt = build_folder(tmp_path, {"skinl_derm": 1, "bus": 3})

    with pytest.raises(
        PushRefused, match=r"skinl_derm do not allow(.|\n)*--private.*--i-hold-permission-for skinl_derm\..*--only bus"
    ):
        publish(lfs_hub, derm7pt)
    with pytest.raises(PushRefused, match="do not allow"):
        publish(lfs_hub, derm7pt, gated="manual", permissions=("skinl_photo",))
    assert not lfs_hub.repos
    publish(lfs_hub, derm7pt, private=True)
    assert lfs_hub.repos.pop(REPO).private
    publish(lfs_hub, derm7pt, only=("bus",))
    publish(lfs_hub, derm7pt, permissions=("skinl_derm",))
    assert holds(lfs_hub, derm7pt)
    assert "assets/skinl_derm-montage.png" not in lfs_hub.files(REPO)


LOAD = """
import hashlib, json, sys
import datasets
datasets.config.USE_PARQUET_EXPORT = False
found = {}
for revision in sys.argv[1:]:
    for streaming in (False, True):
        loaded = datasets.load_dataset("ns/medimeta", "crc", revision=revision, streaming=streaming)
        rows = {split: list(loaded[split]) for split in loaded}
        for split in rows.values():
            for row in split:
                row["image"] = [row["image"].mode, hashlib.sha256(row["image"].tobytes()).hexdigest()]
        found[f"{revision} {streaming}"] = rows
assert "medimeta" not in sys.modules
print(json.dumps(found))
"""


def rows_in(folder):
    """All rows of crc, with the hash of the decoded pixels for an image."""
    found = {}
    for split in ("train", "validation", "test"):
        found[split] = rows_of(shard_of(folder, "crc", split))
        for row in found[split]:
            image = Image.open(io.BytesIO(row["image"]["bytes"]))
            row["image"] = [image.mode, hashlib.sha256(image.tobytes()).hexdigest()]
    return found


@pytest.mark.parametrize("hub", TRANSPORTS[:1], indirect=True)
@pytest.mark.slow
def test_load_dataset_gives_every_row_of_this_release_and_of_the_last(hub, tmp_path):
    old = build_folder(tmp_path, {"crc": 4, "bus": 3}, name="old")
    new = build_folder(tmp_path, {"crc": 5}, seed=1, name="new")
    publish(hub, old, tag="v1.0.0")
    publish(hub, new, tag="v2.0.0")

    more = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HOME": str(tmp_path / "hf")}
    command = [sys.executable, "-P", "-c", LOAD, "v1.0.0", "main"]
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for streaming in (False, True):
        assert found[f"v1.0.0 {streaming}"] == rows_in(old)
        assert found[f"main {streaming}"] == rows_in(new)


@pytest.mark.slow
def test_a_hundredth_of_the_labels_sends_less_than_a_tenth(tmp_path, monkeypatch):
    """Over Xet, which sends the pieces that are new; of the other datasets not a byte."""
    without_waiting(monkeypatch, lfs=False)
    folder = build_folder(tmp_path, {"bus": 3})
    raw = write_miniature("derm", tmp_path / "raw", per_class=50, packed=False)
    build(open_source("derm", raw, PARTIAL), folder, version="0")
    with Hub(tmp_path / "server") as hub, other_client():
        publish(hub, folder)
        before = hub.sent
        path = next(raw.rglob("ISIC2018_Task3_Training_GroundTruth.csv"))
        table = pd.read_csv(path, index_col="image")
        some = np.random.default_rng(0).choice(len(table), max(1, len(table) // 100), replace=False)
        table.iloc[some] = np.roll(table.iloc[some], 1, axis=1)
        table.to_csv(path)
        build(open_source("derm", raw, PARTIAL), folder, version="0")

        plan = publish(hub, folder).plan

        assert [path for path in plan.changed if path.startswith("derm/train-")]
        assert {owner(path) for path, _ in plan.new} == {"", "derm"}
        size = sum(path.stat().st_size for path in folder.glob("derm/*"))
        assert hub.sent - before < size / 10
        assert holds(hub, folder)


@pytest.mark.clients
def test_other_readers_of_parquet(lfs_hub, small, tmp_path):
    """A downloaded copy opens in Polars and DuckDB."""
    polars = pytest.importorskip("polars", reason="Polars is not in the oldest environment")
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not in the oldest environment")
    publish(lfs_hub, small)
    api = HfApi(lfs_hub.url, lfs_hub.token)
    copy = Path(api.snapshot_download(REPO, repo_type="dataset", local_dir=tmp_path / "copy"))
    rows = [row for split in ("train", "test") for row in rows_of(shard_of(small, "bus", split))]

    frame = polars.read_parquet(copy / "bus" / "*.parquet").sort("index")
    counts = duckdb.sql(f"select malignancy, count(*) from '{copy}/bus/*.parquet' group by all order by all").fetchall()

    assert frame["image"].struct.field("bytes").to_list() == [
        row["image"]["bytes"] for row in sorted(rows, key=lambda row: row["index"])
    ]
    assert dict(counts) == Counter(row["malignancy"] for row in rows)


def test_the_command(lfs_hub, small, monkeypatch, capsys):
    in_this_process(monkeypatch, lfs_hub)

    def command(*arguments):
        with pytest.raises(SystemExit) as caught:
            cli.main(["push", str(small), REPO, *arguments])
        shown = capsys.readouterr()
        assert lfs_hub.token not in shown.out + shown.err
        return caught.value.code, shown.out, shown.err

    code, _, error = command()
    assert code == 1
    assert "--partial" in error
    code, out, error = command("--partial", "--dry-run")
    assert code == 0, error
    assert out.startswith("ns/medimeta, main:\n+ LICENSE.md")
    assert out.endswith("bytes to send.\nDry run: nothing was changed.\n")
    assert not lfs_hub.repos
    code, out, error = command("--partial", "--tag", "v1", "--only", "bus, crc")
    assert code == 0, error
    assert f"Published: {lfs_hub.url}/datasets/ns/medimeta/tree/main (commit {lfs_hub.repos[REPO].tags['v1']})." in out
    assert "Already there: " in command("--partial", "--only", "crc,bus", "--tag", "v1")[1]
    assert "/discussions/1 (commit" in command("--partial", "--create-pr")[1]
