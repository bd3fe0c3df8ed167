"""Batches with the loaders of others: torch, accelerate, Trainer, and our own loader."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Subset

import medimeta
from fakes.images.pixels import equal, gathered, pictures, plain
from medimeta.errors import MedIMetaError, MissingExtra
from medimeta.learn.data.augmentation.augment import Augmentation
from medimeta.learn.data.batches import batches
from medimeta.learn.data.normalise import IMAGENET_MEAN, IMAGENET_STD
from medimeta.learn.data.pixel_dataset import PixelDataset, collate, collate_images


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
