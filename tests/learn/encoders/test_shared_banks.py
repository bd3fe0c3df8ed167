"""Feature banks that are interrupted, killed, or computed by several processes."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing import get_all_start_methods, get_context

import numpy as np
import pytest

import medimeta
from fakes.images.counted import FORM, HASH, Counted, counted, rows_of
from medimeta.learn.encoders.feature_banks import banks, shards
from medimeta.learn.encoders.features import features_of


def test_an_interrupted_bank_is_continued(raw, monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 4)
    rows, (encoder, function) = rows_of(raw), counted()

    def stops(values):
        if function.images >= 8:
            raise KeyboardInterrupt
        return function(values)

    with pytest.raises(KeyboardInterrupt):
        features_of(medimeta.encoder(stops, name="pixels", sha256=HASH, **FORM), rows, "bus", "train", batch_size=4)
    (bank,) = banks.banks()
    assert bank.open() is None
    vectors = features_of(encoder, rows, "bus", "train", batch_size=4)

    assert function.images == len(rows) + 1  # one blank image, to learn the width
    pixels = np.stack([np.asarray(image)[:, :, None] for image in rows["image"]])
    np.testing.assert_array_equal(vectors, encoder.images(pixels))
    assert sorted(path.name for path in bank.path.iterdir()) == ["bank.json", "features.npy", "index.npy"]


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 4)


def extract(cache, data, kill_after=None, meet=None, counts=None):
    """Compute a bank in its own process; it may be killed before it changes the bank for the n-th time.

    Processes that meet start their first batch together, and put the number of images that they encoded into a queue.
    """
    import datasets

    datasets.config.HF_DATASETS_CACHE = cache
    shards.SHARD = 4
    encoder, function = counted()
    rows = rows_of(data)
    if meet is not None:
        alone = Counted.__call__

        def together(self, values):
            if self.images == 0:
                meet.wait(60)
            return alone(self, values)

        Counted.__call__ = together
    place, steps = str(banks.folder()), 0

    def watch(event, arguments):
        nonlocal steps
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in ("os.rename", "os.remove", "os.mkdir")) and str(arguments[0]).startswith(place):
            steps += 1
            if steps == kill_after:
                os.kill(os.getpid(), signal.SIGKILL)

    if kill_after is not None:
        sys.addaudithook(watch)
    features_of(encoder, rows, "bus", "train", batch_size=4)
    if counts is not None:
        counts.put(function.images)


FORK = pytest.mark.skipif("fork" not in get_all_start_methods(), reason="processes cannot be forked here")


@FORK
@pytest.mark.slow
def test_killed_at_any_point_and_continued_the_bytes_are_the_same(raw, tmp_path):
    import datasets

    cache = datasets.config.HF_DATASETS_CACHE
    rows, (encoder, _) = rows_of(raw), counted()
    shards.SHARD, before = 4, shards.SHARD
    try:
        expected = np.array(features_of(encoder, rows, "bus", "train", batch_size=4))
        (bank,) = banks.banks()
        whole = bank.features.read_bytes()
        for step in range(1, 60, 3):
            bank.delete()
            process = get_context("fork").Process(target=extract, args=(cache, raw, step))
            process.start()
            process.join()
            assert process.exitcode in ((-signal.SIGKILL,) if step < 30 else (0, -signal.SIGKILL))
            np.testing.assert_array_equal(features_of(encoder, rows, "bus", "train", batch_size=4), expected)
            assert bank.features.read_bytes() == whole
    finally:
        shards.SHARD = before


@FORK
def test_processes_share_one_computation(raw, small_shards):
    import datasets

    cache = datasets.config.HF_DATASETS_CACHE
    rows_of(raw)
    extract(cache, raw)
    (bank,) = banks.banks()
    whole = bank.features.read_bytes()
    bank.delete()
    fork = get_context("fork")
    meet, counts = fork.Barrier(2), fork.Queue()
    started = [fork.Process(target=extract, args=(cache, raw, None, meet, counts)) for _ in range(2)]
    for process in started:
        process.start()
    images = [counts.get(timeout=100) for _ in started]
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0]
    assert sum(images) == bank.shape[0]  # each image once
    assert min(images) > 0
    assert bank.features.read_bytes() == whole
    encoder, function = counted()
    assert len(features_of(encoder, rows_of(raw), "bus", "train")) == bank.shape[0]
    assert function.images == 0
