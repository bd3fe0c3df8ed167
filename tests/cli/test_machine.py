"""Commands `download`, `cache` and `env`, and datasets named "all"."""

from __future__ import annotations

import json

import datasets
import pytest

import medimeta
from fakes.errors import raises
from fakes.release import write_release, zip_release
from fakes.release.server import FILE, Answer, md5, running
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.cli import app as cli
from medimeta.cli.machine import KINDS
from medimeta.errors import DownloadFailed, SourceNotFound, UnknownName
from medimeta.files.remote import transfer


def run(capsys, *arguments):
    capsys.readouterr()
    cli.app([*map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=6)


@pytest.fixture(scope="module")
def release(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    home = write_release(open_source("bus", raw, Options(partial=True)), folder)
    return zip_release(home, folder / "bus.zip").read_bytes()


@pytest.fixture
def server(release, monkeypatch):
    with running() as server:
        server.file = release
        server.record = {"files": [{"key": "bus.zip", "size": len(release), "checksum": "md5:" + md5(release)}]}
        monkeypatch.setenv("MEDIMETA_RELEASE_URL", server.base)
        monkeypatch.setattr(transfer, "sleep", lambda seconds: None)
        yield server


def test_a_download_says_its_size_first_and_then_loads_offline(server, release, capsys, monkeypatch):
    shown = run(capsys, "download", "bus", "--dry-run")
    assert f"{len(release) / 1e3:.1f} kB" in shown or f"{len(release) / 1e6:.1f} MB" in shown
    assert not server.requests  # the record tells the size

    (entry,) = json.loads(run(capsys, "download", "bus", "--json"))
    assert (entry["id"], entry["bytes"], entry["downloaded"]) == ("bus", len(release), True)
    assert "in the cache" in run(capsys, "download", "bus")
    assert len(server.requests) == 1

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    rows = medimeta.load_dataset("bus", partial=True)
    assert sum(map(len, rows.values())) == 18


def test_an_unknown_size_is_said(server, capsys):
    server.record, server.has_length = None, False

    assert "does not tell" in run(capsys, "download", "bus", "--dry-run")
    assert json.loads(run(capsys, "download", "bus", "--dry-run", "--json"))[0]["bytes"] is None


def test_an_interrupted_download_continues(server, capsys):
    server.file, server.record = FILE, None  # large enough to be cut
    server.answers = [Answer(), Answer(cut=400_000), *[Answer(status=503)] * 20]
    with pytest.raises(DownloadFailed):
        run(capsys, "download", "bus")
    (partial,) = [one for one in json.loads(run(capsys, "cache", "--json")) if one["kind"] == "download"]
    assert partial["name"] == "bus (incomplete)"

    server.answers = []
    run(capsys, "download", "bus")
    assert json.loads(run(capsys, "cache", "--kind", "download", "--json"))[0]["bytes"] == len(FILE)
    assert server.requests[-1]["Range"] == f"bytes={partial['bytes']}-"


def test_names_are_checked_before_anything_is_asked(server, capsys):
    with raises(UnknownName, "unknown-dataset"):
        run(capsys, "download", "bus", "buss")
    assert not server.record_requests


def test_the_cache_shows_names_and_sizes_of_every_kind(server, raw, capsys):
    run(capsys, "download", "bus")
    view = medimeta.load_task("bus", split="test", data_dir=raw, partial=True)
    medimeta.to_numpy(view)
    encoder = medimeta.encoder(
        lambda images: images.reshape(len(images), -1)[:, :8],
        name="eight",
        size=224,
        mean=[0.0] * 3,
        std=[1.0] * 3,
        sha256="0" * 64,
    )
    medimeta.features(encoder, "bus", split="test", data_dir=raw, partial=True)

    entries = json.loads(run(capsys, "cache", "--json"))
    assert {entry["kind"] for entry in entries} == set(KINDS)
    assert all(entry["bytes"] > 0 and entry["name"].startswith("bus") for entry in entries)
    assert {entry["kind"] for entry in json.loads(run(capsys, "cache", "--kind", "rows", "--json"))} == {"rows"}
    with pytest.raises(UnknownName):
        run(capsys, "cache", "--kind", "arrow")

    assert json.loads(run(capsys, "cache", "--clean", "--unused-days", "1", "--json")) == {"freed_bytes": 0}
    run(capsys, "cache", "--clean")
    left = json.loads(run(capsys, "cache", "--json"))
    assert {entry["kind"] for entry in left} == {"rows", "download"}  # what takes a download or a source to make
    run(capsys, "cache", "--clean", "--kind", "rows", "--kind", "download")
    assert json.loads(run(capsys, "cache", "--json")) == []


def test_env_names_versions_paths_and_devices(capsys):
    facts = json.loads(run(capsys, "env", "--json"))

    assert facts["medimeta-hf"]["version"] == medimeta.__version__
    assert facts["packages"]["datasets"] == datasets.__version__
    assert str(datasets.config.HF_DATASETS_CACHE) in facts["caches"]["datasets"]
    assert "cpu" in facts["devices"]
    assert all(name in run(capsys, "env") for name in ("packages", "caches", "devices"))


def test_build_all_builds_what_has_a_source_and_names_the_rest(tmp_path, capsys):
    write_miniature("bus", tmp_path / "raw" / "bus", per_class=4)
    out = run(capsys, "build", "all", "--source", tmp_path / "raw", "--partial", "--out", tmp_path / "hub")

    assert "pbc" in next(line for line in out.splitlines() if line.startswith("Not built"))
    assert (tmp_path / "hub" / "bus").is_dir()


def test_build_all_without_any_source_says_where_to_put_them(tmp_path, capsys):
    with pytest.raises(SourceNotFound, match="MEDIMETA_DATA"):
        run(capsys, "build", "all", "--source", tmp_path, "--out", tmp_path / "hub")
