"""Batches: every row once, correct values in every form, and equal for any number of workers and any loop."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from torch.utils.data import default_collate

import medimeta
from fakes.images.pixels import equal, gathered, pictures, plain
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.data import normalise as normalising
from medimeta.learn.data.augmentation.augment import Augmentation
from medimeta.learn.data.batches import batches
from medimeta.learn.data.normalise import IMAGENET_MEAN, IMAGENET_STD, normalise
from medimeta.learn.data.pixel_dataset import Batch, PixelDataset, collate

HALF = (0.5,) * 3


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_batches_in_order(view, stored, ahead):
    images, labels = pictures(view)

    found = list(batches(PixelDataset(view, dtype=torch.uint8, store=stored), 8, shuffle=False, ahead=ahead))

    assert [len(batch["labels"]) for batch in found] == [8] * (len(view) // 8) + [len(view) % 8]
    assert torch.equal(gathered(found)["pixel_values"], images)
    assert torch.equal(gathered(found)["labels"], labels)
    assert labels.dtype == torch.int64


@pytest.mark.parametrize(("mean", "std"), [(IMAGENET_MEAN, IMAGENET_STD), (HALF, HALF)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("stored", [True, False])
def test_normalised_batches_are_the_formula_bit_for_bit(view, stored, dtype, mean, std):
    images, _ = pictures(view)

    data = PixelDataset(view, dtype=dtype, mean=mean, std=std, store=stored)
    found = gathered(batches(data, 8, shuffle=False))["pixel_values"]

    assert found.dtype == dtype
    assert found.shape == (len(view), 3, 224, 224)
    assert torch.equal(found, plain(images, mean, std).to(dtype))


def test_layouts(views):
    grey, colour = (PixelDataset(views[id]).batch([0, 1])["pixel_values"] for id in ("bus", "derm"))
    shared = PixelDataset(views["bus"], mean=HALF, std=HALF).batch([0, 1])["pixel_values"]
    single = PixelDataset(views["bus"], mean=(0.5,), std=(0.5,)).batch([0, 1])["pixel_values"]

    assert colour.is_contiguous(memory_format=torch.channels_last)
    assert grey.is_contiguous()
    assert shared.stride(1) == 0  # repeated without a copy
    assert single.shape == (2, 1, 224, 224)
    assert torch.equal(shared[:, :1], single)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_devices_do_is_the_same(channels):
    images = torch.randint(0, 256, (3, 30, 20, channels), dtype=torch.uint8)
    for dtype in normalising.FLOATS:
        on_device = normalising._on_device(images, dtype, IMAGENET_MEAN, IMAGENET_STD)
        assert torch.equal(on_device, normalise(images, dtype=dtype))
    assert normalise(images[:0]).shape == (0, 3, 30, 20)


def test_what_cannot_be_is_refused(views):
    with pytest.raises(MedIMetaError, match=r"mean has 1 and std 1 number\(s\), for images of 3 channel"):
        PixelDataset(views["derm"], mean=(0.5,), std=(0.5,))
    with pytest.raises(MedIMetaError, match="mean has 3 and std 1"):
        PixelDataset(views["bus"], std=(0.5,))
    with pytest.raises(MedIMetaError, match=r"dtype is torch.int64; choose one of torch.float32"):
        PixelDataset(views["bus"], dtype=torch.int64)
    with pytest.raises(UnknownName, match=r"'labels'.*'label'.*label=None"):
        PixelDataset(views["bus"], label="labels")
    with pytest.raises(MedIMetaError, match="'image' holds neither"):
        PixelDataset(views["bus"], label="image")


def test_shuffled_epochs(view):
    data = PixelDataset(view, dtype=torch.uint8, seed=1)
    images, labels = pictures(view)
    first, again, second = (gathered(batches(data, 8, epoch=epoch)) for epoch in (0, 0, 1))

    assert equal(first, again)
    assert not equal(first, second)
    order = np.random.default_rng([1, 0]).permutation(len(view))
    assert torch.equal(first["pixel_values"], images[order])
    assert torch.equal(first["labels"], labels[order])
    assert sorted(second["labels"].tolist()) == sorted(labels.tolist())
    assert not equal(first, gathered(batches(PixelDataset(view, dtype=torch.uint8, seed=2), 8)))


def test_drop_last(views):
    data = PixelDataset(views["bus"])

    assert [len(batch["labels"]) for batch in batches(data, 4, drop_last=True)] == [4, 4, 4]
    assert [len(batch["labels"]) for batch in batches(data, 5, drop_last=True)] == [5, 5, 5]
    assert list(batches(data, 100, drop_last=True)) == []


def test_an_abandoned_loop_ends(views):
    for batch in batches(PixelDataset(views["bus"]), 2, ahead=2):
        assert len(batch["labels"]) == 2
        break


def test_held_batches_stay_as_they_are(views):
    data = PixelDataset(views["derm"])
    kept = [(batch["pixel_values"], batch["pixel_values"].clone()) for batch in batches(data, 4)]
    parts = [batch["pixel_values"][1:2, 0].numpy() for batch in batches(data, 4)]  # what is held may be a part
    copies = [part.copy() for part in parts]

    list(batches(data, 4, epoch=1))

    assert all(torch.equal(batch, copy) for batch, copy in kept)
    assert all(np.array_equal(part, copy) for part, copy in zip(parts, copies, strict=True))


def test_released_memory_is_used_again(views):
    data = PixelDataset(views["derm"])
    addresses = {batch["pixel_values"].data_ptr() for epoch in range(3) for batch in batches(data, 4, epoch=epoch)}

    assert len(addresses) <= 6 < 3 * len(views["derm"]) // 4


def test_multilabel(views):
    data = PixelDataset(views["fundus"])

    assert data.labels.dtype == np.float32
    assert data.labels.shape == (len(views["fundus"]), 45)
    assert torch.equal(data.batch([3, 1])["labels"], torch.tensor(views["fundus"].select([3, 1])["label"][:]))


def test_images_alone_and_subjects(views):
    assert PixelDataset(views["bus"], label=None).batch([0]).keys() == {"pixel_values"}
    assert PixelDataset(views["bus"].select_columns(["image"]), label=None).subject_ids == [None] * len(views["bus"])
    assert PixelDataset(views["derm"]).subject_ids == views["derm"]["subject_id"][:]
    assert any(PixelDataset(views["derm"]).subject_ids)


def test_single_rows(view):
    data = PixelDataset(view)

    assert equal(collate([data[2], data[0]]), data.batch([2, 0]))
    assert data.batch([])["pixel_values"].shape == (0, 3, 224, 224)
    assert len(data) == len(view)
    with pytest.raises(IndexError):
        data[len(view)]


def test_a_batch_is_a_sequence_of_its_rows(views):
    rows = PixelDataset(views["bus"]).__getitems__([4, 5, 4])

    assert isinstance(rows, Batch)
    assert len(rows) == 3
    assert rows[1]["labels"] == views["bus"][5]["label"]
    assert equal(default_collate(list(rows)), collate(rows))


def test_pickled_it_is_small(views):
    data = PixelDataset(views["derm"], augmentation=Augmentation())
    list(batches(data, 8))

    assert len(pickle.dumps(data)) < 5000
    assert equal(pickle.loads(pickle.dumps(data)).batch([1]), data.batch([1]))


def test_rows_of_any_dataset_with_images(views):
    rows = Dataset.from_dict({"image": views["bus"].select([2, 0])["image"][:], "grade": [4, 2]})

    assert PixelDataset(rows, label="grade").batch([1, 0])["labels"].tolist() == [2, 4]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(view):
    data = PixelDataset(view)

    for there, here in zip(batches(data, 8, device="cuda"), batches(data, 8), strict=True):
        assert there["pixel_values"].is_cuda
        torch.testing.assert_close(there["pixel_values"].cpu(), here["pixel_values"])
        assert torch.equal(there["labels"].cpu(), here["labels"])


def test_rgb_views_give_three_channels(views):
    colour = views["bus"].cast_column("image", Image(mode="RGB"))
    pixels = medimeta.loader(colour, 4, dtype="uint8")

    for batch, grey in zip(pixels, medimeta.loader(views["bus"], 4, dtype="uint8"), strict=True):
        assert torch.equal(batch["pixel_values"], grey["pixel_values"].repeat(1, 1, 1, 3))
    assert equal(gathered(medimeta.loader(colour)), gathered(medimeta.loader(views["bus"])))
    with pytest.raises(MedIMetaError, match="mode 'L'"):
        medimeta.loader(views["derm"].cast_column("image", Image(mode="L")))
