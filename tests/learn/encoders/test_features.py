"""Feature banks: computed once, resumed, shared, never mixed up."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from multiprocessing import get_all_start_methods, get_context

import numpy as np
import pytest
import torch

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.cli.app import main
from medimeta.errors import MedIMetaError
from medimeta.learn.encoders.feature_banks import banks, shards
from medimeta.learn.encoders.features import features_of

FORM = {"size": 16, "mean": (0.5,) * 3, "std": (0.5,) * 3}
HASH = "0" * 64


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=12)


class Counted:
    """A function from images to vectors that counts images."""

    def __init__(self):
        self.images = 0

    def __call__(self, values):
        self.images += len(values)
        return values.flatten(1)[:, ::16].contiguous()


def counted(sha256=HASH, name="pixels", **form):
    function = Counted()
    encoder = medimeta.encoder(function, name=name, sha256=sha256, **{**FORM, **form})
    function.images = 0
    return encoder, function


def rows_of(raw, split="train"):
    return medimeta.load_dataset("bus", split=split, data_dir=raw, partial=True)


def test_features_are_computed_once_and_memory_mapped(raw):
    encoder, function = counted()
    given = {"data_dir": raw, "partial": True}
    vectors = medimeta.features(encoder, "bus", split="train", **given)

    rows = rows_of(raw)
    pixels = np.stack([np.asarray(image)[:, :, None] for image in rows["image"]])
    assert function.images == len(rows)
    np.testing.assert_array_equal(vectors, encoder.images(pixels))
    assert isinstance(vectors.base, np.memmap)
    assert not vectors.flags.writeable

    function.images = 0
    np.testing.assert_array_equal(medimeta.features(encoder, "bus", split="train", **given), vectors)
    assert function.images == 0
    both = medimeta.features(encoder, "bus", split="test+train", **given)
    assert function.images == len(rows_of(raw, "test"))
    np.testing.assert_array_equal(both[function.images :], vectors)


def test_the_batch_size_changes_nothing_but_the_last_bits(raw, monkeypatch):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 6))
    encoder = medimeta.encoder(module, name="linear", **FORM)
    rows = rows_of(raw)
    whole = np.array(features_of(encoder, rows, "bus", "train"))
    for bank in banks.banks():
        bank.delete()
    monkeypatch.setattr(shards, "SHARD", 5)
    np.testing.assert_allclose(features_of(encoder, rows, "bus", "train", batch_size=3), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("change", [{"sha256": "1" * 64}, {"std": (0.4,) * 3}, {"interpolation": "bicubic"}])
def test_a_bank_of_something_else_is_never_used_and_the_difference_is_named(raw, change, caplog):
    rows = rows_of(raw)
    features_of(counted()[0], rows, "bus", "train")
    encoder, function = counted(**change)
    with caplog.at_level(logging.WARNING, "medimeta"):
        features_of(encoder, rows, "bus", "train")

    assert function.images == len(rows)
    (message,) = [record.getMessage() for record in caplog.records]
    name = next(iter(change))
    assert {"sha256": "weights_sha256"}.get(name, name) in message
    assert len(banks.banks()) == 2


def test_other_versions_and_other_rows_have_other_banks(raw, monkeypatch):
    rows, (encoder, function) = rows_of(raw), counted()
    features_of(encoder, rows, "bus", "train")
    monkeypatch.setattr("medimeta.learn.encoders.feature_banks.identity.version", lambda name: "0")
    features_of(encoder, rows, "bus", "train")
    assert function.images == 2 * len(rows)
    fewer = rows.select(range(5))
    assert features_of(encoder, fewer, "bus", "train").shape == (5, encoder.width)


def test_equal_images_share_a_bank(raw):
    encoder, function = counted()
    rows = rows_of(raw)
    features_of(encoder, rows, "bus", "train")
    features_of(encoder, rows.select_columns(["image"]), "bus", "validation")
    renamed, other = counted(name="another name")
    features_of(renamed, rows, "bus", "train")
    assert (function.images, other.images) == (len(rows), 0)


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


def test_a_damaged_bank_is_refused(raw):
    rows, (encoder, _) = rows_of(raw), counted()
    features_of(encoder, rows, "bus", "train")
    (bank,) = banks.banks()
    content = bank.features.read_bytes()

    for wrong in (b"", content[:-8], content[:64]):
        bank.features.write_bytes(wrong)
        with pytest.raises(MedIMetaError) as refused:
            features_of(encoder, rows, "bus", "train")
        assert refused.value.code == "bank-damaged"
    bank.features.write_bytes(content)
    about = json.loads((bank.path / banks.ABOUT).read_text())
    about["identity"]["transform"]["size"] = 17
    (bank.path / banks.ABOUT).write_text(json.dumps(about))
    with pytest.raises(MedIMetaError, match=r"transform\.size was 17, is 16"):
        features_of(encoder, rows, "bus", "train")


def test_batches_that_do_not_fit_into_memory_are_halved(raw):
    sizes = []

    def hungry(values):
        sizes.append(len(values))
        if len(values) > 3:
            raise torch.OutOfMemoryError
        return values.flatten(1)

    rows = rows_of(raw)
    encoder = medimeta.encoder(hungry, name="hungry", sha256=HASH, **FORM)
    assert len(features_of(encoder, rows, "bus", "train", batch_size=8)) == len(rows)
    assert max(sizes[3:]) == 2

    def starving(values):
        if values.any():
            raise torch.OutOfMemoryError
        return values.flatten(1)

    encoder = medimeta.encoder(starving, name="starving", sha256="2" * 64, **FORM)
    with pytest.raises(MedIMetaError, match="One image"):
        features_of(encoder, rows, "bus", "train")


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_batch_has_at_least_one_image(raw, size):
    with pytest.raises(MedIMetaError, match="batch_size"):
        features_of(counted()[0], rows_of(raw), "bus", "train", batch_size=size)


def test_the_command_lists_and_deletes_banks(raw, capsys):
    for name, sha256 in (("one", HASH), ("two", "1" * 64)):
        features_of(counted(sha256, name)[0], rows_of(raw), "bus", "train")

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main(["cache", *words])
        assert ended.value.code in (0, None)
        return capsys.readouterr().out

    capsys.readouterr()
    listed = json.loads(run("--json"))
    assert [entry["kind"] for entry in listed].count("features") == 2
    assert {entry["encoder"] for entry in listed if "encoder" in entry} == {"one", "two"}
    assert all(entry["bytes"] > 0 for entry in listed)
    assert [entry["encoder"] for entry in json.loads(run("--json", "--encoder", "one", "--dataset", "bus"))] == ["one"]
    assert json.loads(run("--json", "--dataset", "pbc")) == []
    assert "bus train, one" in run("--encoder", "one")
    assert json.loads(run("--json", "--clean", "--encoder", "one"))["freed_bytes"] > 0
    assert [bank.about["encoder"] for bank in banks.banks()] == ["two"]
    run("--clean")
    assert not {"pixels", "features"} & {entry["kind"] for entry in json.loads(run("--json"))}
