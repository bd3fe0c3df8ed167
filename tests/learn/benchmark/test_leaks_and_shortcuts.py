"""What a benchmark says beyond a mean: without leaks, on corrupted images, and what a shortcut reaches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import UnknownName
from medimeta.learn.benchmark.data import Encoded
from medimeta.learn.benchmark.shortcuts import SHORTCUTS, Shortcut
from medimeta.learn.data.exclusion.copies import excluded

OPTIONS = {"protocols": ["prototype"], "tasks": "bus/malignancy", "partial": True}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=70)


@pytest.fixture(scope="module")
def encoder():
    def patches(values):
        return torch.nn.functional.avg_pool2d(values[:, :1], 4).flatten(1)

    return medimeta.encoder(patches, name="patches", sha256="2" * 64, size=16, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_training_images_with_copies_are_left_out_and_settings_say_so(raw, encoder, tmp_path):
    whole = medimeta.bench(encoder, data_dir=raw, out=tmp_path / "whole", **OPTIONS)
    without = medimeta.bench(encoder, data_dir=raw, out=tmp_path / "without", exclude_leaks=True, **OPTIONS)

    ((_, before),), ((_, after),) = whole.results, without.results
    leaked = {split: len(excluded(True, "bus", split, data_dir=raw, partial=True)) for split in ("train", "validation")}
    assert leaked["train"] > 0
    assert {s: before.extra["images"][s] - after.extra["images"][s] for s in leaked} == leaked
    assert after.settings["exclude_leaks"] is True
    assert before.copies.images == after.copies.images > 0


def test_label_efficiency_divides_what_is_left(raw, encoder):
    encoded = Encoded(encoder, "bus", raw, 32, exclude_leaks=True, partial=True)
    task = medimeta.DATASETS["bus"].tasks[0]

    assert len(encoded.subjects(task, "train")) == len(encoded.part(task, "train").labels) < len(encoded.rows["train"])


def test_corrupted_test_images_are_answered_and_compared(raw, encoder, tmp_path):
    done = medimeta.bench(
        encoder,
        data_dir=raw,
        out=tmp_path,
        corruptions=["speckle_noise", "contrast_down"],
        severities=[1, 5],
        **OPTIONS,
    )

    assert not done.failures
    settings = [(one.settings.get("corruption"), one.settings.get("severity")) for _, one in done.results]
    assert sorted(settings[1:]) == [(n, s) for n in ("contrast_down", "speckle_noise") for s in (1, 5)]
    assert len({path.with_suffix(".predictions.parquet").read_bytes() for path, _ in done.results}) == 5
    table = done.table()
    assert table.count("| patches |") >= 4
    assert "mCE" in table
    assert "100.0" in table  # the baseline is the method itself
    with pytest.raises(UnknownName):
        medimeta.bench(encoder, data_dir=raw, out=tmp_path, corruptions=["fog"], **OPTIONS)


def test_the_best_shortcut_is_a_row_next_to_models(raw, encoder, tmp_path):
    done = medimeta.bench([encoder, "shortcut"], data_dir=raw, out=tmp_path, **OPTIONS)

    assert {result.method for _, result in done.results} == {"patches", *SHORTCUTS}
    assert not done.failures
    table = done.table()
    assert "best shortcut" in table
    assert "shortcut: size" not in table.partition("* ")[0]
    alone = medimeta.bench("shortcut", data_dir=raw, out=tmp_path, **OPTIONS)
    assert all(name in alone.table() for name in SHORTCUTS)


@pytest.mark.parametrize("name", SHORTCUTS)
def test_shortcuts_see_what_they_say(name, raw):
    rows = medimeta.load_dataset("bus", split="test", data_dir=raw, partial=True)

    features = Shortcut(name).features(rows)

    if name == "shortcut: mean colour":
        wanted = [np.asarray(image).mean() / 255 for image in rows["image"]]
        np.testing.assert_allclose(features[:, 0], wanted, rtol=1e-5)
    elif name == "shortcut: colour histogram":
        np.testing.assert_allclose(features.sum(axis=1), 1, rtol=1e-5)
        assert features.shape[1] == 64
    elif name == "shortcut: size":
        assert features[:, :2].tolist() == [size[:] for size in rows["original_image_size"]]
    else:
        assert (features.sum(axis=1) == 1).all()
    assert not Shortcut("shortcut: size").suits("crc")
