"""Augmentation: what it does, how often, and that it depends only on seed, epoch and row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from medimeta.learn.data import augment
from medimeta.learn.data.augment import DRAWS, Augmentation, epoch_draws

NOTHING = Augmentation(horizontal_flip=0, vertical_flip=0, crop=0, degrees=0)


def images(count=4, channels=3, side=224):
    """Noise."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, channels), dtype=torch.uint8, generator=generator)


def smooth(side=224):
    """Return an image without sharp edges, to compare interpolations; shape (1, side, side, 1)."""
    y, x = np.mgrid[:side, :side] / side
    grey = 128 + 60 * np.sin(7 * x + 2 * y) + 60 * np.cos(9 * y - 3 * x)
    return torch.from_numpy(grey.astype(np.uint8))[None, ..., None]


def draws(count=4, seed=0):
    return torch.rand(count, DRAWS, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_changes_nothing(channels):
    pixels = images(channels=channels)

    found = NOTHING(pixels, draws())

    assert torch.equal(found, pixels)
    assert found.dtype == torch.uint8
    assert found.data_ptr() != pixels.data_ptr()


def test_no_images():
    assert Augmentation()(images(0), draws(0)).shape == (0, 224, 224, 3)


@pytest.mark.parametrize(("field", "axis"), [("horizontal_flip", 2), ("vertical_flip", 1)])
def test_a_flip_is_exact(field, axis):
    pixels = images()

    found = Augmentation(**(vars(NOTHING) | {field: 1}))(pixels, draws())

    assert torch.equal(found, pixels.flip(axis))


def test_a_crop_is_a_part_made_larger():
    numbers = draws(1)
    numbers[0, 3:5] = torch.tensor([0.5, 0.99])  # left 12 of 0 to 24, top 24
    pixels = smooth()

    found = Augmentation(**(vars(NOTHING) | {"crop": 1}))(pixels, numbers)

    part = pixels[:, 24:224, 12:212].permute(0, 3, 1, 2).float()
    wanted = functional.interpolate(part, (224, 224), mode="bilinear").permute(0, 2, 3, 1)
    # At its edges a crop sees what is beyond them, unless that is the edge of the image, where it is dark.
    assert (found.float() - wanted)[:, 2:-2, 2:-2].abs().max() <= 1


def test_a_rotation_is_that_of_pillow():
    numbers = draws(1)
    numbers[0, 5] = 0.9  # of -10 to 10 degrees: 8
    pixels = smooth()

    found = Augmentation(**(vars(NOTHING) | {"degrees": 10}))(pixels, numbers)[0, ..., 0].numpy()

    pillow = Image.fromarray(pixels[0, ..., 0].numpy())
    turned = [np.asarray(pillow.rotate(angle, Image.Resampling.BILINEAR)) for angle in (8, -8)]
    gaps = [np.abs(found.astype(int) - wanted)[20:-20, 20:-20].max() for wanted in turned]
    assert min(gaps) <= 2 < max(gaps)
    assert found[0, 0] == found[-1, -1] == 0  # corners from outside


def test_flips_and_crop_come_before_the_rotation():
    numbers = draws(1)
    both = Augmentation(horizontal_flip=1, vertical_flip=1, crop=1, degrees=10)
    first = Augmentation(horizontal_flip=1, vertical_flip=1, crop=1, degrees=0)
    second = Augmentation(horizontal_flip=0, vertical_flip=0, crop=0, degrees=10)

    at_once, in_turn = both(smooth(), numbers), second(first(smooth(), numbers), numbers)

    assert (at_once.int() - in_turn.int())[:, 25:-25, 25:-25].abs().max() <= 2


def test_values_stay_between_those_of_the_image():
    pixels = images().clamp(100, 150)

    found = Augmentation()(pixels, draws())[:, 40:-40, 40:-40]

    assert 100 <= found.min() < found.max() <= 150


def test_each_happens_as_often_as_it_should():
    count = 20_000
    matrices = Augmentation().matrices(epoch_draws(count, seed=0, epoch=0), 224, 224).double()
    scale = matrices[:, :, :2].det().abs().sqrt()
    flip_x, flip_y = (torch.sign(matrices[:, axis, axis]) for axis in (0, 1))
    angle = torch.rad2deg(torch.atan2(flip_x * -matrices[:, 0, 1], flip_x * matrices[:, 0, 0]))
    cropped = scale < 0.95

    for happened in (flip_x < 0, flip_y < 0, cropped):
        assert happened.double().mean().item() == pytest.approx(0.25, abs=0.01)
    for one, other in ((flip_x < 0, flip_y < 0), (flip_x < 0, cropped), (flip_y < 0, cropped)):
        assert (one & other).double().mean().item() == pytest.approx(0.0625, abs=0.01)
    assert angle.abs().max() <= 10.001
    assert angle.mean().item() == pytest.approx(0, abs=0.15)
    assert angle.std().item() == pytest.approx(20 / math.sqrt(12), abs=0.15)
    torch.testing.assert_close(scale[cropped], torch.full_like(scale[cropped], 200 / 224))
    for axis, flip in enumerate((flip_x, flip_y)):
        offsets = (flip * matrices[:, axis, 2])[cropped]
        assert sorted(set(offsets.tolist())) == list(range(-12, 13))
        assert (matrices[:, axis, 2][~cropped] == 0).all()


def test_numbers_of_a_row_depend_on_seed_epoch_and_row_alone():
    numbers = epoch_draws(100, seed=3, epoch=5)

    assert numbers.shape == (100, DRAWS)
    assert 0 <= numbers.min() < numbers.max() < 1
    assert torch.equal(numbers, epoch_draws(100, seed=3, epoch=5))
    assert len(numbers.unique(dim=0)) == 100
    for other in (epoch_draws(100, seed=4, epoch=5), epoch_draws(100, seed=3, epoch=6)):
        assert not (numbers == other).any()


def test_other_images_of_the_batch_do_not_matter():
    pixels, numbers = images(7), draws(7)

    together = Augmentation()(pixels, numbers)

    for row in range(7):
        assert torch.equal(Augmentation()(pixels[[row]], numbers[[row]])[0], together[row])


def test_the_number_of_threads_does_not_matter():
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append(Augmentation()(images(), draws()))
    finally:
        torch.set_num_threads(before)

    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_other_sizes():
    pixels = images(side=50)[:, :30]

    found = Augmentation(horizontal_flip=1, vertical_flip=0, crop=0, degrees=0)(pixels, draws())

    assert torch.equal(found, pixels.flip(2))
    assert Augmentation(crop=1)(pixels, draws()).shape == pixels.shape


def test_what_devices_do_is_the_same():
    matrices = Augmentation().matrices(draws(), 224, 224)

    found = augment._on_device(images(), matrices)

    assert (found.int() - augment._on_cpu(images(), matrices).int()).abs().max() <= 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    found = Augmentation()(images().cuda(), draws())

    assert found.is_cuda
    assert (found.cpu().int() - Augmentation()(images(), draws()).int()).abs().max() <= 1
