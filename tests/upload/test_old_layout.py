"""Folders of the layout before version 0.3, with records next to the Parquet files, are read and published."""

from __future__ import annotations

import shutil

import pytest

import medimeta
from fakes.hub import Hub
from fakes.publishing import REPO, build_folder, other_client, publish, without_waiting
from medimeta.builders.locate import open_source
from medimeta.builders.source import Options
from medimeta.upload.folder.record import read_records, record_path
from medimeta.upload.folder.writing import build, write_card
from medimeta.upload.verify.findings import clean
from medimeta.upload.verify.folder import verify_folder


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    return build_folder(tmp_path_factory.mktemp("new"), {"bus": 4, "pbc": 2})


@pytest.fixture
def hub(tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    with Hub(tmp_path / "server") as server, other_client():
        yield server


@pytest.fixture
def old(new, tmp_path):
    """The same folder as an earlier version wrote it; records knew no order."""
    folder = shutil.copytree(new, tmp_path / "old")
    for name in ("bus", "pbc"):
        text = (folder / "records" / name / "build.json").read_text().replace('  "order": "shuffled",\n', "")
        (folder / name / "build.json").write_text(text)
    shutil.rmtree(folder / "records")
    return folder


def test_it_is_read_and_verified(old, new):
    assert [record.dataset for record in read_records(old)] == ["bus", "pbc"]
    assert {record.order for record in read_records(old)} == {"published"}
    findings = verify_folder(old)
    assert clean(findings)
    assert {finding.rule for finding in findings if finding.severity == "note"} >= {"other files"}
    write_card(old, "0")
    assert (old / "README.md").read_bytes() == (new / "README.md").read_bytes()
    ours, theirs = (medimeta.load_dataset("bus", data_dir=folder, split="train") for folder in (old, new))
    assert ours["index"][:] == theirs["index"][:]


def test_a_build_into_it_moves_the_record(old, tmp_path):
    build(open_source("bus", old, Options(partial=True)), old, version="0", force=True)

    assert record_path(old, "bus") == old / "records" / "bus" / "build.json"
    assert {path.suffix for path in (old / "bus").iterdir()} == {".parquet"}
    assert (old / "pbc" / "build.json").is_file()
    assert clean(verify_folder(old))


def test_pushed_it_has_the_new_layout_and_replaces_the_old_one(old, hub):
    hub.create(REPO)
    stale = {f"{name}/{file}": b"{}" for name in ("bus", "pbc") for file in ("build.json", "card.json")}
    hub.commit(REPO, stale)

    publish(hub, old)

    files = hub.files(REPO)
    assert not set(stale) & set(files)
    assert {"records/bus/build.json", "records/bus/card.json", "records/pbc/build.json"} <= set(files)


def test_the_card_of_a_kept_dataset_is_read_from_where_it_was(old, hub):
    publish(hub, old)
    card = hub.files(REPO)["records/pbc/card.json"]
    hub.commit(REPO, {"records/pbc/card.json": None, "records/pbc/build.json": None, "pbc/card.json": card})

    publish(hub, old, only=("bus",))

    assert b"`pbc`" in hub.files(REPO)["README.md"]
