"""Augmentation: what it does, how often, and that it depends only on seed, epoch and row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from medimeta.errors import MedIMetaError
from medimeta.learn.data.augmentation import augment
from medimeta.learn.data.augmentation.augment import (
    PUBLISHED,
    Augmentation,
    Crop,
    HorizontalFlip,
    Rotation,
    VerticalFlip,
)
from medimeta.learn.data.augmentation.stand_in import StandIn

NEVER = HorizontalFlip(0), VerticalFlip(0), Crop(0), Rotation(0)
NOTHING = Augmentation(NEVER)
DRAWS = 6
FLIP_X, FLIP_Y, CROP = HorizontalFlip(1), VerticalFlip(1), Crop(1)


def only(*operations):
    """The published operations, all but some of which do nothing; numbers have the same places."""
    given = {type(operation): operation for operation in operations}
    return Augmentation(tuple(given.get(type(operation), operation) for operation in NEVER))


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


@pytest.mark.parametrize(("flip", "axis"), [(FLIP_X, 2), (FLIP_Y, 1)])
def test_a_flip_is_exact(flip, axis):
    pixels = images()

    found = only(flip)(pixels, draws())

    assert torch.equal(found, pixels.flip(axis))


def test_a_crop_is_a_part_made_larger():
    numbers = draws(1)
    numbers[0, 3:5] = torch.tensor([0.5, 0.99])  # left 12 of 0 to 24, top 24
    pixels = smooth()

    found = only(CROP)(pixels, numbers)

    part = pixels[:, 24:224, 12:212].permute(0, 3, 1, 2).float()
    wanted = functional.interpolate(part, (224, 224), mode="bilinear").permute(0, 2, 3, 1)
    # At its edges a crop sees what is beyond them, unless that is the edge of the image, where it is dark.
    assert (found.float() - wanted)[:, 2:-2, 2:-2].abs().max() <= 1


def test_a_rotation_is_that_of_pillow():
    numbers = draws(1)
    numbers[0, 5] = 0.9  # of -10 to 10 degrees: 8
    pixels = smooth()

    found = only(Rotation(10))(pixels, numbers)[0, ..., 0].numpy()

    pillow = Image.fromarray(pixels[0, ..., 0].numpy())
    turned = [np.asarray(pillow.rotate(angle, Image.Resampling.BILINEAR)) for angle in (8, -8)]
    gaps = [np.abs(found.astype(int) - wanted)[20:-20, 20:-20].max() for wanted in turned]
    assert min(gaps) <= 2 < max(gaps)
    assert found[0, 0] == found[-1, -1] == 0  # corners from outside


def test_flips_and_crop_come_before_the_rotation():
    numbers = draws(1)
    both, first, second = only(FLIP_X, FLIP_Y, CROP, Rotation(10)), only(FLIP_X, FLIP_Y, CROP), only(Rotation(10))

    at_once, in_turn = both(smooth(), numbers), second(first(smooth(), numbers), numbers)

    assert (at_once.int() - in_turn.int())[:, 25:-25, 25:-25].abs().max() <= 2


def test_values_stay_between_those_of_the_image():
    pixels = images().clamp(100, 150)

    found = Augmentation()(pixels, draws())[:, 40:-40, 40:-40]

    assert 100 <= found.min() < found.max() <= 150


def test_each_happens_as_often_as_it_should():
    count = 20_000
    matrices = Augmentation().matrices(Augmentation().draw(count, 0, 0), 224, 224).double()
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
    numbers = Augmentation().draw(100, 3, 5)

    assert numbers.shape == (100, DRAWS)
    assert 0 <= numbers.min() < numbers.max() < 1
    assert torch.equal(numbers, Augmentation().draw(100, 3, 5))
    assert len(numbers.unique(dim=0)) == 100
    for other in (Augmentation().draw(100, 4, 5), Augmentation().draw(100, 3, 6)):
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

    found = only(FLIP_X)(pixels, draws())

    assert torch.equal(found, pixels.flip(2))
    assert only(CROP)(pixels, draws()).shape == pixels.shape


def test_what_devices_do_is_the_same():
    matrices = Augmentation().matrices(draws(), 224, 224)

    found = augment._on_device(images(), matrices)

    assert (found.int() - augment._on_cpu(images(), matrices).int()).abs().max() <= 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    found = Augmentation()(images().cuda(), draws())

    assert found.is_cuda
    assert (found.cpu().int() - Augmentation()(images(), draws()).int()).abs().max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_cpu_agrees_with_the_composed_reference(channels):
    """Bilinear sampling in 64 bits at the composed coordinates, for noise, where every error shows."""
    pixels, augmentation = images(3, channels, 96)[:, :80], Augmentation((*PUBLISHED, Rotation(40)))
    numbers = augmentation.draw(3, 1)

    found = augmentation(pixels, numbers).numpy().astype(float)

    for image, matrix, result in zip(
        pixels.numpy(), augmentation.matrices(numbers, 80, 96).numpy(), found, strict=True
    ):
        y, x = np.mgrid[:80, :96] - np.array([39.5, 47.5])[:, None, None]
        across, down = (row[0] * x + row[1] * y + row[2] + half for row, half in zip(matrix, (47.5, 39.5), strict=True))
        wanted = np.zeros(image.shape)
        for dy in (0, 1):
            for dx in (0, 1):
                column, line = np.floor(across).astype(int) + dx, np.floor(down).astype(int) + dy
                inside = (column >= 0) & (column < 96) & (line >= 0) & (line < 80)
                weight = (1 - np.abs(across - column)) * (1 - np.abs(down - line)) * inside
                wanted += weight[..., None] * image[line.clip(0, 79), column.clip(0, 95)]
        assert np.abs(result - wanted).max() <= 1


@pytest.mark.parametrize("place", range(5))
def test_an_added_operation_changes_no_other(place):
    more = Augmentation((*PUBLISHED[:place], Rotation(3), *PUBLISHED[place:]))
    before, after = Augmentation().draw(50, 2, 1), more.draw(50, 2, 1)

    own = [0, 1, 2, 5][place] if place < 4 else 6  # where the numbers of the new operation, or of its namesake, are
    if place < 4:  # the first rotation has the stream that the only one had
        assert torch.equal(after[:, own], before[:, 5])
    others = [column for column in range(7) if column not in (own, 6)]
    assert torch.equal(after[:, others][:, :5], before[:, :5])


def test_operations_have_different_numbers():
    numbers = Augmentation((Rotation(), Rotation(), HorizontalFlip(), VerticalFlip())).draw(20, 0)

    assert len({tuple(column) for column in numbers.T.tolist()}) == 4


def noisy(image):
    """A transform that draws from the global generators of torch and NumPy."""
    noise = torch.randint(0, 20, image.shape) + int(np.random.randint(20))
    return (image // 2 + noise).to(torch.uint8)


def test_any_callable_depends_on_the_row_alone():
    pixels, function = images(5), StandIn(noisy)
    numbers = function.draw(5, 0, 1)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)

    together = function(pixels, numbers)

    assert torch.equal(torch.rand(3), expected)  # the caller's generator goes on as if nothing had been drawn
    assert torch.equal(function(pixels[[3]], numbers[[3]])[0], together[3])
    assert not torch.equal(function(pixels, function.draw(5, 0, 2)), together)


@pytest.mark.parametrize("function", [lambda image: image[:, 1:], lambda image: image.float()])
def test_a_callable_must_keep_shape_and_type(function):
    stand_in = StandIn(function)
    with pytest.raises(MedIMetaError) as refused:
        stand_in(images(1), stand_in.draw(1, 0))
    assert refused.value.code == "invalid-augmentation"


def test_transforms_of_libraries_are_called_as_they_expect():
    """Albumentations by keyword with an array, Kornia with a batch of floats."""

    def albumentation(self, image):
        assert image.shape == (224, 224, 3)
        return {"image": image[:, ::-1]}

    def kornia(self, planes):
        assert planes.shape == (1, 3, 224, 224)
        assert 0 <= planes.min() <= planes.max() <= 1
        return planes.flip(3)

    for library, call in (("albumentations.core", albumentation), ("kornia.augmentation", kornia)):
        function = StandIn(type("Transform", (), {"__module__": library, "__call__": call})())
        assert torch.equal(function(images(2), function.draw(2, 0)), images(2).flip(2))


def test_transforms_of_torchvision():
    transforms = pytest.importorskip("torchvision.transforms.v2")
    function = StandIn(transforms.RandomHorizontalFlip(1))

    assert torch.equal(function(images(2), function.draw(2, 0)), images(2).flip(2))
