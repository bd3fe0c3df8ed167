"""Batches: every row once, correct values in every form, and equal for any number of workers and any loop."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest
import torch
from datasets import Dataset, Image
from torch.utils.data import DataLoader, Subset, default_collate

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import MedIMetaError, MissingExtra, UnknownName
from medimeta.learn.data import normalise as normalising
from medimeta.learn.data.augmentation.augment import Augmentation
from medimeta.learn.data.batches import batches
from medimeta.learn.data.normalise import IMAGENET_MEAN, IMAGENET_STD, normalise
from medimeta.learn.data.pixel_dataset import Batch, PixelDataset, collate, collate_images
from medimeta.learn.data.views import load_task

HALF = (0.5,) * 3


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """A greyscale dataset, an RGB one with subjects, and a multilabel task, with all splits."""
    home = tmp_path_factory.mktemp("views")
    options = {"split": "train+validation+test", "partial": True, "subjects": True, "cache_dir": str(home / "cache")}
    sources = {id: write_miniature(id, home / id, per_class=5) for id in ("bus", "derm", "fundus")}
    found = {id: load_task(id, data_dir=sources[id], **options) for id in ("bus", "derm")}
    return found | {"fundus": load_task("fundus", "disease labels", data_dir=sources["fundus"], **options)}


@pytest.fixture(params=["bus", "derm"])
def view(views, request):
    return views[request.param]


def pictures(view):
    """Return pixels and labels, decoded row by row."""
    images = np.stack([np.atleast_3d(np.asarray(row["image"])) for row in view])
    return torch.from_numpy(images), torch.tensor(view["label"][:])


def plain(images, mean, std):
    """Normalise by the formula."""
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std


def gathered(found):
    """Concatenate all batches."""
    found = list(found)
    return {key: torch.cat([batch[key] for batch in found]) for key in ("pixel_values", "labels")}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


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


@pytest.mark.parametrize("stored", [True, False])
def test_augmented_batches_are_the_same_for_any_workers(views, stored):
    data = PixelDataset(views["derm"], augmentation=Augmentation(), seed=3, store=stored)
    for epoch in (0, 2):
        wanted = gathered(batches(data, 8, epoch=epoch, shuffle=False))
        assert not torch.equal(
            wanted["pixel_values"], PixelDataset(views["derm"]).batch(range(len(data)))["pixel_values"]
        )
        data.set_epoch(epoch)
        for workers in (0, 1, 2):
            loader = DataLoader(data, 8, num_workers=workers, collate_fn=collate)
            assert equal(gathered(loader), wanted)
        assert equal(gathered(batches(data, 5, epoch=epoch, shuffle=False, ahead=3)), wanted)


@pytest.mark.parametrize(("method", "stored"), [("fork", True), ("fork", False), ("spawn", True), ("spawn", False)])
@pytest.mark.slow
def test_workers_that_stay_serve_the_same_and_learn_of_the_epoch(views, method, stored):
    data = PixelDataset(views["bus"], augmentation=Augmentation(), store=stored)
    loader = DataLoader(
        data, 4, num_workers=1, collate_fn=collate, persistent_workers=True, multiprocessing_context=method
    )

    for epoch in (0, 7):
        data.set_epoch(epoch)
        assert equal(gathered(loader), gathered(batches(data, 4, epoch=epoch, shuffle=False)))


def test_plain_loaders_work_too(views):
    data = PixelDataset(views["bus"])

    assert equal(gathered(DataLoader(data, 4, num_workers=1)), data.batch(range(len(data))))
    assert equal(next(iter(DataLoader(Subset(data, [5, 3]), 2, collate_fn=collate))), data.batch([5, 3]))


def test_streamed_rows(view):
    stream = view.to_iterable_dataset()
    data = PixelDataset(view)

    found = next(iter(DataLoader(stream, 8, collate_fn=collate_images)))

    assert equal(found, data.batch(range(8)))
    pixels = collate_images([view[0]], dtype=torch.uint8)["pixel_values"]
    assert torch.equal(pixels, PixelDataset(view, dtype=torch.uint8).batch([0])["pixel_values"])


class Tiny(torch.nn.Module):
    """Channel means and a linear layer, with the signature of a transformers model."""

    def __init__(self, labels):
        super().__init__()
        self.linear = torch.nn.Linear(3, labels)

    def forward(self, pixel_values, labels=None):
        logits = self.linear(pixel_values.float().mean(dim=(2, 3)))
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def test_accelerate_sets_the_epoch(views):
    from accelerate import Accelerator

    data = PixelDataset(views["bus"], augmentation=Augmentation())
    accelerator = Accelerator(cpu=True)
    model, loader = accelerator.prepare(Tiny(3), DataLoader(data, 4, shuffle=True, collate_fn=collate))

    for epoch in range(2):
        for batch in loader:
            accelerator.backward(model(**batch)["loss"])
        assert data.epoch == epoch


@pytest.mark.parametrize("remove_unused_columns", [False, True])
def test_trainer_takes_it(views, tmp_path, remove_unused_columns):
    from transformers import Trainer, TrainingArguments

    train = PixelDataset(views["bus"], augmentation=Augmentation())
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=2,
        per_device_train_batch_size=4,
        remove_unused_columns=remove_unused_columns,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    evaluation = PixelDataset(views["bus"])

    trainer = Trainer(Tiny(3), arguments, train_dataset=train, eval_dataset=evaluation, data_collator=collate)
    trainer.train()

    assert train.epoch == 1
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    np.testing.assert_array_equal(trainer.predict(evaluation).label_ids, evaluation.labels)


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


def test_to_a_named_device(views):
    data = PixelDataset(views["bus"], augmentation=Augmentation())

    for there, here in zip(batches(data, 8, device="cpu"), batches(data, 8), strict=True):
        assert equal(there, here)


def test_the_loader_serves_epoch_after_epoch(view):
    train = medimeta.loader(view, 8, shuffle=True, augment=True, seed=2)
    data = PixelDataset(view, augmentation=Augmentation(), seed=2)

    for epoch in range(3):
        assert train.epoch == epoch
        assert equal(gathered(train), gathered(batches(data, 8, epoch=epoch)))
    train.epoch = 1
    assert equal(gathered(train), gathered(batches(data, 8, epoch=1)))


@pytest.mark.parametrize("dtype", ["uint8", torch.uint8, "float32", "torch.bfloat16", torch.float16])
def test_the_loader_serves_rows_in_order_by_default(view, dtype):
    images, labels = pictures(view)
    loader = medimeta.loader(view, 4, dtype=dtype)
    found = gathered(loader)

    expected = getattr(torch, str(dtype).removeprefix("torch."))
    assert found["pixel_values"].dtype == expected
    assert torch.equal(found["labels"], labels)
    if expected == torch.uint8:
        assert torch.equal(found["pixel_values"], images)
    else:
        assert torch.equal(found["pixel_values"], plain(images, IMAGENET_MEAN, IMAGENET_STD).to(expected))
    assert len(loader) == len(list(loader))
    short = medimeta.loader(view, 4, drop_last=True, dtype=dtype)
    assert len(short) == len(list(short)) == len(view) // 4


def test_rgb_views_give_three_channels(views):
    colour = views["bus"].cast_column("image", Image(mode="RGB"))
    pixels = medimeta.loader(colour, 4, dtype="uint8")

    for batch, grey in zip(pixels, medimeta.loader(views["bus"], 4, dtype="uint8"), strict=True):
        assert torch.equal(batch["pixel_values"], grey["pixel_values"].repeat(1, 1, 1, 3))
    assert equal(gathered(medimeta.loader(colour)), gathered(medimeta.loader(views["bus"])))
    with pytest.raises(MedIMetaError, match="mode 'L'"):
        medimeta.loader(views["derm"].cast_column("image", Image(mode="L")))


def test_loader_settings_that_make_no_sense(views):
    view = views["bus"]
    for settings in ({"batch_size": 0}, {"batch_size": 2.5}, {"batch_size": "8"}, {"dtype": "int32"}, {"seed": -1}):
        with pytest.raises(MedIMetaError):
            medimeta.loader(view, **settings)
    with pytest.raises(MedIMetaError, match="streamed"):
        medimeta.loader(view.to_iterable_dataset())
    with pytest.raises(MedIMetaError, match="no column image"):
        medimeta.loader(view.select_columns(["label"]))
    unknown = Dataset.from_dict({"image": view["image"][:], "label": [None, *view["label"][1:]]})
    with pytest.raises(MedIMetaError, match=r"'label' is null in 1 of 15 rows.*view\.select"):
        medimeta.loader(unknown)


def test_a_loader_without_torch_says_what_to_install(views, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"medimeta\.loader needs torch"):
        medimeta.loader(views["bus"])
