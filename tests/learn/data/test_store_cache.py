"""The pixel stores of a machine: several processes and users, time of use, and cleaning."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from filelock import FileLock

from fakes.images.pixels import encoded, noise, rows, start
from medimeta.errors import MedIMetaError
from medimeta.learn.data import store
from medimeta.learn.data.pixels import pixels
from medimeta.learn.data.store import cache_entries, clean_cache

ROOT = Path(__file__).parents[3]


BUILD_SLOWLY = """
from medimeta.learn.data import store, pixels
real = store.decode_images
def slow(data, rows, out):
    os.write(1, b"%d\\n" % len(rows))  # in one piece: threads do this at once
    time.sleep(float(sys.argv[3]))
    real(data, rows, out)
store.decode_images, store.BLOCK = slow, 4
print(pixels.pixels(datasets.Dataset.from_file(sys.argv[2])).path)
"""


@pytest.fixture
def on_disk(tmp_path):
    """An Arrow file of 40 images, to be read by other processes."""
    folder = tmp_path / "rows"
    rows([encoded(image) for image in noise(40)]).save_to_disk(folder)
    return folder / "data-00000-of-00001.arrow"


def test_a_killed_build_leaves_no_store(on_disk):
    process = start(BUILD_SLOWLY, on_disk, 0.3)
    deadline = time.monotonic() + 60
    while not list(store.folder().glob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert list(store.folder().glob("*.part"))
    assert not cache_entries()
    assert not list(store.folder().glob("*.key"))
    found = pixels(Dataset.from_file(str(on_disk)))
    np.testing.assert_array_equal(found.take(range(40)), noise(40))
    assert not list(store.folder().glob("*.part"))


def test_two_processes_build_it_once(on_disk):
    answers = [
        process.communicate(timeout=120)[0].split() for process in [start(BUILD_SLOWLY, on_disk, 0.1) for _ in "12"]
    ]

    assert len({answer[-1] for answer in answers}) == len(cache_entries()) == 1
    assert sorted(sum(map(int, answer[:-1])) for answer in answers) == [0, 40]
    np.testing.assert_array_equal(np.load(answers[0][-1]), noise(40))


def test_cache_entries_are_listed_and_cleaned(load):
    bus, pbc = pixels(load("bus")), pixels(load("pbc"))
    os.utime(bus.path, (time.time() - 3 * 86400,) * 2)

    entries = cache_entries()
    assert [(entry.path, entry.images, entry.bytes) for entry in entries] == [
        (pbc.path, 32, 32 * 224 * 224 * 3 + 128),
        (bus.path, 12, 12 * 224 * 224 + 128),
    ]
    assert clean_cache(unused_days=4) == 0
    assert clean_cache(unused_days=2) == entries[1].bytes
    assert [entry.path for entry in cache_entries()] == [pbc.path]
    assert pbc.take([0]).shape == (1, 224, 224, 3)
    assert clean_cache() == entries[0].bytes
    assert {path.suffix for path in store.folder().iterdir()} <= {".lock"}
    assert pbc.take([0]).shape == (1, 224, 224, 3)  # who has it open keeps it
    assert clean_cache() == 0


def test_asking_for_a_store_renews_its_time_of_use(load):
    found = pixels(load("bus"))
    os.utime(found.path, (0, 0))

    pixels(load("bus"))

    assert cache_entries()[0].used > time.time() - 60


def test_cleaning_spares_a_running_build():
    store.folder().mkdir(parents=True)
    part = store.folder() / "abc.0123.part"
    part.write_bytes(bytes(10))

    with FileLock(store.folder() / "abc.lock"):
        assert clean_cache() == 0
    assert clean_cache() == 10
    assert not part.exists()


def test_there_may_be_no_cache_yet():
    assert cache_entries() == []
    assert clean_cache() == 0


def test_many_threads_ask_for_one_store():
    images = noise(40)
    views = [rows(map(encoded, images)) for _ in range(8)]
    for count in range(36, 41):
        parts = [view.select(range(count)) for view in views]
        with ThreadPoolExecutor(8) as threads:
            stores = {found.path for found in threads.map(pixels, parts)}
        assert len(stores) == 1
        np.testing.assert_array_equal(np.load(stores.pop()), images[:count])
    assert len(cache_entries()) == 5
    assert not list(store.folder().glob("*.part"))


def test_a_store_of_another_user_is_used(monkeypatch):
    first = pixels(rows(map(encoded, noise(3))))

    def denied(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(store.os, "utime", denied)
    monkeypatch.setattr(store, "whole_file", denied)  # the folder cannot be written, either
    monkeypatch.setattr(store, "FileLock", denied)
    again = pixels(rows(map(encoded, noise(3))))

    assert again == first
    np.testing.assert_array_equal(again.take([2]), noise(3)[2:])
    with pytest.raises(MedIMetaError, match=r"medimeta-pixels cannot be written: .*HF_DATASETS_CACHE.*store=False"):
        pixels(rows(map(encoded, noise(4))))


def test_stores_that_may_not_be_deleted_are_kept(monkeypatch):
    kept, deleted = (pixels(rows(map(encoded, noise(count)))).path for count in (3, 4))
    unlink = Path.unlink

    def denied(path, *arguments, **options):
        if path == kept:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", denied)

    assert clean_cache() == 4 * 24 * 16 * 3 + 128
    assert [entry.path for entry in cache_entries()] == [kept]
    assert not deleted.exists()
