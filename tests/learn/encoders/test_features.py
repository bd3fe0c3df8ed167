"""Feature banks: computed once, resumed, shared, never mixed up."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch

import medimeta
from fakes.images.counted import FORM, HASH, counted, rows_of
from medimeta.cli.app import main
from medimeta.errors import MedIMetaError
from medimeta.learn.encoders.feature_banks import banks, shards
from medimeta.learn.encoders.features import features_of


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
def test_a_bank_with_another_identity_is_not_used_and_the_difference_is_named(raw, change, caplog):
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
