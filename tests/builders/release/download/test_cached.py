"""What is in the cache is downloaded again only when it is damaged, or on demand; processes share it."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from filelock import FileLock

from fakes.errors import raises
from fakes.release.server import FILE, archive
from medimeta.builders.release import download
from medimeta.builders.release.download import download_release
from medimeta.errors import SourceNotFound, UnknownName


def test_an_unknown_dataset_is_no_request(server, tmp_path):
    with raises(UnknownName, "unknown-dataset", "'bus'"):
        download_release("buss", base_url=server.base, cache_dir=tmp_path)
    assert server.record_requests == 0


def test_offline_is_respected_and_a_download_in_place_still_found(server, fetch, monkeypatch):
    import datasets

    with monkeypatch.context() as offline:
        offline.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        with raises(SourceNotFound, "offline", "HF_HUB_OFFLINE"):
            fetch()
        assert server.record_requests == 0
    path = fetch()
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    assert fetch() == path


def test_a_file_that_another_process_finished_meanwhile_is_taken(server, fetch, monkeypatch):
    path = fetch()
    path.unlink()
    waits_for_lock = threading.Event()
    monkeypatch.setattr(download, "_refuse_offline", lambda _: waits_for_lock.set())
    with ThreadPoolExecutor() as pool, FileLock(f"{path}.lock"):
        call = pool.submit(fetch)
        assert waits_for_lock.wait(60)
        path.with_name("bus.zip.json").unlink()
        path.write_bytes(archive(2))
    assert call.result().read_bytes() == archive(2)
    assert len(server.requests) == 1


@pytest.mark.slow
def test_two_processes_download_once(server, tmp_path):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        calls = [pool.submit(download_release, "bus", base_url=server.base, cache_dir=tmp_path) for _ in range(2)]
        paths = {call.result() for call in calls}
    assert [path.read_bytes() == FILE for path in paths] == [True]
    assert len(server.requests) == 1


@pytest.mark.parametrize("damage", ["shorter", "same size", "empty"])
def test_a_damaged_file_in_the_cache_is_downloaded_again(server, fetch, damage):
    path = fetch()
    path.write_bytes({"shorter": FILE[:-1000], "same size": b"x" * len(FILE), "empty": b""}[damage])
    assert fetch().read_bytes() == FILE
    assert len(server.requests) == 2
    fetch()
    assert len(server.requests) == 2


@pytest.mark.parametrize("note", [None, b"", b"[]", b"[" * 100_000, b'{"sha256": 1}'])
def test_a_cached_file_with_a_damaged_note(server, fetch, note):
    path = fetch()
    place = path.with_name("bus.zip.json")
    place.unlink() if note is None else place.write_bytes(note)
    assert fetch().read_bytes() == FILE


def test_force_downloads_again(server, fetch):
    fetch()
    assert fetch(force=True).read_bytes() == FILE
    assert len(server.requests) == 2
