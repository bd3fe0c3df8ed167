"""A repository on the Hub as a source, in every form of its name, and from the cache when offline."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants, utils

import medimeta
from fakes.hub import Hub
from fakes.publishing import REPO, build_folder, in_this_process, other_client, publish, without_waiting
from medimeta.builders.hub import repository as remote
from medimeta.builders.hub.repository import Repository, repository
from medimeta.errors import DownloadFailed, SourceNotFound
from medimeta.learn.leakage.audit import find_sources
from medimeta.upload.verify.findings import clean
from medimeta.upload.verify.folder import verify_folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two releases of a Hub folder."""
    home = tmp_path_factory.mktemp("folders")
    return [build_folder(home / str(count), {"bus": count, "pbc": 2}) for count in (4, 5)]


@pytest.fixture
def hub(folders, tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    with Hub(tmp_path / "server") as server, other_client():
        in_this_process(monkeypatch, server)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        remote.fetch.cache_clear()
        for folder, tag in zip(folders, ("v1", "v2"), strict=True):
            publish(server, folder, tag=tag)
        yield server
        remote.fetch.cache_clear()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ns/medimeta", Repository("ns/medimeta", None)),
        ("ns/medimeta@v1.0.0", Repository("ns/medimeta", "v1.0.0")),
        ("hf://datasets/ns/medimeta", Repository("ns/medimeta", None)),
        ("hf://datasets/ns/medimeta@refs/pr/3", Repository("ns/medimeta", "refs/pr/3")),
        (Path("hf://datasets/ns/medimeta@v1"), Repository("ns/medimeta", "v1")),
        ("hub", None),
        ("./ns/medimeta", None),
        ("/ns/medimeta", None),
        ("ns/medimeta/bus", None),
        ("~/medimeta", None),
    ],
)
def test_names(text, found):
    assert repository(text) == found


def test_a_folder_of_the_same_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "ns" / "medimeta").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert repository("ns/medimeta") is None
    assert repository("hf://datasets/ns/medimeta") == Repository("ns/medimeta", None)


def test_every_door_reads_a_repository_as_its_folder(hub, folders):
    for place, folder in ((REPO, folders[1]), (f"{REPO}@v1", folders[0]), (f"hf://datasets/{REPO}@v2", folders[1])):
        there, here = (medimeta.load_dataset("bus", data_dir=data_dir, split="train") for data_dir in (place, folder))
        assert there.with_format("arrow")[:].equals(here.with_format("arrow")[:])
    view = medimeta.load_task("bus", data_dir=f"{REPO}@v1", split="train")
    assert len(view) == len(medimeta.load_task("bus", data_dir=folders[0], split="train"))
    drawn = medimeta.episodes("bus", shots=1, queries=1, n=2, split="train", data_dir=REPO, min_images=None)
    assert (
        drawn.sha256
        == medimeta.episodes("bus", shots=1, queries=1, n=2, split="train", data_dir=folders[1], min_images=None).sha256
    )


def test_only_the_files_of_the_dataset_are_downloaded(hub, tmp_path):
    medimeta.load_dataset("bus", data_dir=REPO)

    assert not list((tmp_path / "cache").rglob("pbc/*.parquet"))
    assert list((tmp_path / "cache").rglob("bus/*.parquet"))


def test_a_snapshot_with_links_is_read_verified_and_audited(hub):
    folder = remote.hub_folder(REPO)

    assert (folder / "bus" / "train-00000-of-00001.parquet").is_symlink()
    assert clean(verify_folder(folder))
    assert [source.dataset for source in find_sources([REPO])] == ["bus", "pbc"]
    assert len(medimeta.load_dataset("pbc", data_dir=folder, split="train"))


def test_offline_it_comes_from_the_cache(hub, monkeypatch, request):
    before = medimeta.load_dataset("bus", data_dir=REPO, split="train")
    remote.fetch.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    new_sessions = getattr(utils, "reset_sessions", lambda: None)  # old clients look at the setting once
    request.addfinalizer(new_sessions)
    new_sessions()

    assert len(medimeta.load_dataset("bus", data_dir=REPO, split="train")) == len(before)
    with pytest.raises(DownloadFailed, match=r"ns/medimeta@v1 is not in the cache"):
        medimeta.load_dataset("bus", data_dir=f"{REPO}@v1")


def test_what_is_not_there_is_named(hub):
    for place, words in (
        ("ns/other", "ns/other is neither a folder nor a dataset repository"),
        (f"{REPO}@v9", "no branch, tag or commit v9"),
    ):
        with pytest.raises(SourceNotFound, match=words):
            medimeta.load_dataset("bus", data_dir=place)
    with pytest.raises(SourceNotFound, match=r"holds no dataset crc"):
        medimeta.load_dataset("crc", data_dir=REPO)
