"""Corrupted views: the same pixels on every path, corrupted once."""

from __future__ import annotations

import pickle

import datasets
import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.utils.data import DataLoader

import medimeta
from medimeta import MedIMetaError
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import UnknownName
from medimeta.learn.data.corruptions.registry import SEVERITIES, corrupt, corruptions
from medimeta.learn.data.pixel_dataset import PixelDataset, collate
from medimeta.learn.data.pixels import pixels


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    home = tmp_path_factory.mktemp("sources")
    return {id: write_miniature(id, home / id, per_class=8) for id in ("bus", "derm", "pbc")}


def view(sources, id="bus", **options):
    return medimeta.load_task(id, split="train+test", data_dir=sources[id], partial=True, **options)


@pytest.fixture
def clean(sources):
    return np.stack([np.atleast_3d(image) for image in view(sources)["image"]])


@pytest.fixture
def noisy(sources, clean):
    """A view of bus with speckle noise, and its pixels by the number of the image."""
    rows = medimeta.load_dataset("bus", split="train+test", data_dir=sources["bus"], partial=True)
    expected = corrupt(clean, "bus", "speckle_noise", 4, rows["index"][:])
    return view(sources, corruption="speckle_noise", severity=4), expected


def decoded(rows) -> np.ndarray:
    return np.stack([np.atleast_3d(row["image"]) for row in rows])


def test_a_row_is_corrupted_by_its_number(noisy, clean):
    rows, expected = noisy
    assert np.array_equal(decoded(rows), expected)
    assert not np.array_equal(expected, clean)


def test_every_path_gives_the_same_pixels(noisy, sources):
    rows, expected = noisy
    order = [5, 0, 3, 5]
    assert np.array_equal(pixels(rows).take(order), expected[order])
    assert np.array_equal(pixels(rows, store=False).take(order), expected[order])
    assert np.array_equal(pixels(rows.select(order[:3])).take([2, 0]), expected[[3, 5]])
    assert np.array_equal(decoded(rows.shuffle(seed=1).sort("label")).sum(), expected.sum())
    served = [batch["pixel_values"].numpy() for batch in medimeta.loader(rows, 7, dtype="uint8")]
    assert np.array_equal(np.concatenate(served), expected)
    stream = medimeta.load_task(
        "bus",
        split="test",
        data_dir=sources["bus"],
        partial=True,
        streaming=True,
        corruption="speckle_noise",
        severity=4,
    )
    streamed = decoded(stream)
    assert np.array_equal(streamed, expected[-len(streamed) :])


def test_workers_give_the_same_pixels(noisy):
    rows, expected = noisy
    loader = DataLoader(PixelDataset(rows, dtype=torch.uint8), 5, collate_fn=collate, num_workers=2)
    assert np.array_equal(np.concatenate([batch["pixel_values"].numpy() for batch in loader]), expected)


def test_grey_stays_one_channel_until_rgb_is_asked_for(noisy, sources):
    _, expected = noisy
    rgb = view(sources, corruption="speckle_noise", severity=4, mode="RGB")
    assert expected.shape[-1] == 1
    assert np.array_equal(decoded(rgb), np.repeat(expected, 3, axis=-1))
    served = next(iter(medimeta.loader(rgb, 4, dtype="uint8")))["pixel_values"].numpy()
    assert np.array_equal(served, np.repeat(expected[:4], 3, axis=-1))


def test_images_that_were_written_again_are_not_corrupted_twice(noisy):
    rows, expected = noisy
    mapped = rows.map(lambda row: {"image": row["image"]})
    assert np.array_equal(decoded(mapped), expected)
    assert np.array_equal(pixels(mapped).take([1, 4]), expected[[1, 4]])
    kept = rows.map(lambda row: {"double": 2 * row["label"]})
    assert np.array_equal(decoded(kept), expected)


def test_a_saved_view_stays_corrupted(noisy, tmp_path):
    rows, expected = noisy
    rows.save_to_disk(tmp_path / "saved")
    rows.to_parquet(tmp_path / "rows.parquet")
    assert np.array_equal(decoded(datasets.load_from_disk(tmp_path / "saved")), expected)
    assert np.array_equal(decoded(Dataset.from_parquet(str(tmp_path / "rows.parquet"))), expected)
    assert np.array_equal(decoded(pickle.loads(pickle.dumps(rows))), expected)


def test_severity_0_is_the_image(sources, clean):
    rows = view(sources, corruption="pixelate", severity=0)
    assert np.array_equal(decoded(rows), clean)
    assert rows.features == view(sources).features


# Phantoms of some other datasets have stripes of one width, on which stronger blur or JPEG may do less damage.
@pytest.mark.slow
@pytest.mark.parametrize("id", ["bus", "derm", "pbc"])
def test_damage_grows_on_miniatures(sources, id):
    images = decoded(view(sources, id))
    for name in corruptions(id):
        damage = [np.abs(corrupt(images, id, name, s).astype(int) - images).mean() for s in (0, *SEVERITIES)]
        assert all(np.diff(damage) > 0), (name, damage)


@pytest.mark.parametrize("streaming", [False, True])
def test_mistakes_are_named_before_data_are_read(streaming):
    for options in ({"corruption": "bubble"}, {"corruption": "pixelate", "severity": 7}):
        with pytest.raises(UnknownName):
            medimeta.load_task("bus", data_dir="nowhere", streaming=streaming, **options)


def test_the_cache_of_features_refuses_corrupted_images(noisy):
    from medimeta.learn.encoders.features import pixels_of

    with pytest.raises(MedIMetaError) as error:
        pixels_of(noisy[0])
    assert error.value.code == "corrupted-images"
