"""Pixels of episodes: from rows, from a store, or from any provider that takes row positions."""

from __future__ import annotations

import numpy as np
import pytest

from fakes.episodes import KIND, random_toy
from medimeta.errors import MedIMetaError
from medimeta.learn.data.pixels import pixels
from medimeta.learn.episodes.episode_set import EpisodeSet
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes


def draw(rows=None):
    return sample_episodes(random_toy(KIND, 0) if rows is None else rows, KIND, Recipe(), n=4, split="test")


def stored(rows):
    return pixels(rows)


def pixel_dataset(rows):
    torch = pytest.importorskip("torch")
    pixel_dataset = pytest.importorskip("medimeta.learn.data.pixel_dataset")
    return pixel_dataset.PixelDataset(rows, dtype=torch.uint8, label=None)


@pytest.mark.parametrize("provider", [lambda rows: None, lambda rows: rows, stored, pixel_dataset])
def test_pixels_of_the_rows(provider):
    rows = random_toy(KIND, 0, count=200, images=True)
    episodes = draw(rows=rows)
    for episode, batch in zip(episodes, episodes.batches(provider(rows)), strict=True):
        assert batch.support.shape == (15, 4, 4, 1)
        np.testing.assert_array_equal(np.asarray(batch.support)[:, 0, 0, 0], episode.support)
        np.testing.assert_array_equal(np.asarray(batch.query)[:, 3, 3, 0], episode.query)
        np.testing.assert_array_equal(batch.support_labels, episode.support_labels)
        np.testing.assert_array_equal(batch.query_labels, episode.query_labels)


class Store:
    shape = (400, 1)

    def take(self, rows):
        return rows * 2


class Items:
    def __len__(self):
        return 400

    def __getitem__(self, row):
        return row * 2

    def __getitems__(self, rows):
        return [row * 2 for row in rows]


@pytest.mark.parametrize(
    "images",
    [lambda rows: rows * 2, Store(), Items(), np.arange(400) * 2],
    ids=["function", "take", "getitems", "array"],
)
def test_pixels_come_from_any_provider(images):
    episodes = draw()
    for episode, batch in zip(episodes, episodes.batches(images), strict=True):
        np.testing.assert_array_equal(batch.support, episode.support * 2)
        np.testing.assert_array_equal(batch.query, episode.query * 2)


def test_pixels_of_a_tensor():
    torch = pytest.importorskip("torch")
    episodes = draw()
    (batch, *_) = episodes.batches(torch.arange(400) * 2)
    assert batch.support.tolist() == (episodes[0].support * 2).tolist()


def test_pixels_of_nothing_or_of_other_rows():
    episodes = draw()
    with pytest.raises(MedIMetaError, match="drawn from 400 rows, but there are 20 images"):
        episodes.batches(np.zeros(20))
    with pytest.raises(MedIMetaError, match="not int"):
        episodes.batches(3)
    with pytest.raises(MedIMetaError, match="not NoneType"):
        EpisodeSet(episodes.table).batches()
