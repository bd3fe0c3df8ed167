"""Corruptions: as published where deterministic, right statistics where random, and worse with every severity."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import medimeta
from fakes.tiers import quick
from medimeta import DATASETS, MedIMetaError
from medimeta.errors import UnknownName
from medimeta.learn.data.corruptions import blur, registry
from medimeta.learn.data.corruptions.registry import CORRUPTIONS, SEVERITIES, corrupt, corruptions


def natural(count: int, channels: int, side: int = 224) -> np.ndarray:
    """Return smooth shapes with the texture of natural images, whose amplitudes fall with the frequency."""
    generator = np.random.default_rng(3)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = 1
    y, x = np.mgrid[:side, :side]
    images = np.empty((count, side, side, channels), np.uint8)
    for image in images:
        texture = np.fft.ifft2(np.fft.fft2(generator.normal(size=(side, side))) / frequency).real
        values = 120 + 60 * np.sin(x / 17 + generator.uniform(0, 6)) * np.cos(y / 23) + 30 * texture / texture.std()
        image[:] = np.clip(values[..., None] * (1, 0.8, 0.6)[:channels] + (0, 20, 30)[:channels], 0, 255)
    return images


IMAGES = {channels: natural(6, channels) for channels in (1, 3)}
# A dataset with each corruption.
HOLDER = {name: next(id for id in DATASETS if name in corruptions(id)) for name in CORRUPTIONS}
RANDOM = [name for name, corruption in CORRUPTIONS.items() if corruption.random]


def images_of(dataset: str) -> np.ndarray:
    return IMAGES[1 if DATASETS[dataset].mode == "L" else 3]


@pytest.mark.parametrize("dataset", quick("bus", "crc", "cxr", "fundus", of=DATASETS))
def test_every_dataset_has_corruptions_whose_damage_grows(dataset):
    images = images_of(dataset)
    for name, parameters in medimeta.corruptions(dataset).items():
        assert len(parameters) == len(SEVERITIES)
        corrupted = [corrupt(images, dataset, name, severity) for severity in (0, *SEVERITIES)]
        assert {(one.dtype, one.shape) for one in corrupted} == {(images.dtype, images.shape)}
        damage = [np.abs(one.astype(int) - images).mean() for one in corrupted]
        assert damage[0] == 0
        assert all(np.diff(damage) > 0), (name, damage)


def test_every_corruption_is_used():
    assert {name for dataset in DATASETS for name in corruptions(dataset)} == set(CORRUPTIONS)


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_an_image_is_corrupted_alike_in_any_batch_and_order(name):
    dataset = HOLDER[name]
    images, numbers = images_of(dataset), [7, 3, 11, 0, 5, 2]
    whole = corrupt(images, dataset, name, 3, numbers)
    turned = corrupt(images[::-1], dataset, name, 3, numbers[::-1])
    alone = [corrupt(images[i : i + 1], dataset, name, 3, numbers[i : i + 1])[0] for i in range(len(images))]

    assert np.array_equal(turned[::-1], whole)
    assert np.array_equal(np.stack(alone), whole)
    assert np.array_equal(images, images_of(dataset)), "the images were changed"


@pytest.mark.parametrize("name", RANDOM)
def test_random_corruptions_differ_between_images_and_datasets(name):
    dataset = HOLDER[name]
    images = np.repeat(images_of(dataset)[:1], 2, axis=0)
    first, second = corrupt(images, dataset, name, 3, [0, 1])

    assert not np.array_equal(first, second)
    others = [id for id in DATASETS if name in corruptions(id) and id != dataset]
    same = [id for id in others if corruptions(id)[name] == corruptions(dataset)[name]]
    for other in same:
        assert not np.array_equal(corrupt(images, other, name, 3, [0, 1])[0], first)


# --- equal to a plain reference ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name.endswith("blur")])
def test_blur_leaves_constant_images_as_they_are(name):
    for value in (0, 1, 100, 254, 255):
        image = np.full((1, 64, 64, images_of(HOLDER[name]).shape[-1]), value, np.uint8)
        assert np.array_equal(corrupt(image, HOLDER[name], name, 4), image)


# --- statistics of the random ones ------------------------------------------------------------------------------------


def constant(value: int, channels: int = 1) -> np.ndarray:
    return np.full((4, 128, 128, channels), value, np.uint8)


@pytest.mark.parametrize("severity", [1, 2])
def test_noise_has_the_published_deviation(severity):
    lists = corruptions("pneumonia")
    for name, deviation in (
        ("gaussian_noise", 255 * lists["gaussian_noise"][severity - 1]),
        ("speckle_noise", 128 * lists["speckle_noise"][severity - 1]),
        ("shot_noise", 255 * np.sqrt(128 / 255 / lists["shot_noise"][severity - 1])),
    ):
        values = corrupt(constant(128), "pneumonia", name, severity).astype(float) - 128
        assert values.std() == pytest.approx(deviation, rel=0.02)
        assert values.mean() == pytest.approx(-0.5, abs=0.15), "rounded down"


def test_gaussian_noise_is_normal_and_independent():
    deviation = 255 * corruptions("pneumonia")["gaussian_noise"][4]
    values = corrupt(constant(128), "pneumonia", "gaussian_noise", 5).astype(float) + 0.5 - 128
    assert stats.skew(values.ravel()) == pytest.approx(0, abs=0.03)
    assert stats.kurtosis(values.ravel()) == pytest.approx(0, abs=0.06)
    assert np.mean(np.abs(values) < deviation) == pytest.approx(0.6827, abs=0.02)
    neighbours = np.corrcoef(values[:, :, 1:].ravel(), values[:, :, :-1].ravel())[0, 1]
    assert abs(neighbours) < 0.02
    assert abs(np.corrcoef(values[0].ravel(), values[1].ravel())[0, 1]) < 0.03


def test_shot_noise_counts_photons():
    photons = corruptions("cxr")["shot_noise"][4]
    values = corrupt(constant(51), "cxr", "shot_noise", 5)
    counts = np.rint(values / 255 * photons + 0.01)
    expected = 51 / 255 * photons
    for count in range(4):
        assert np.mean(counts == count) == pytest.approx(stats.poisson.pmf(count, expected), abs=0.01)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_impulse_noise_sets_the_published_share(severity):
    values = corrupt(constant(128), "cxr", "impulse_noise", severity)
    share = corruptions("cxr")["impulse_noise"][severity - 1]
    error = 4 * np.sqrt(share / values.size)
    assert np.mean(values == 0) == pytest.approx(share / 2, abs=error)
    assert np.mean(values == 255) == pytest.approx(share / 2, abs=error)
    assert np.mean(values == 128) == pytest.approx(1 - share, abs=error)


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("stain_deposit", 200, lambda pixels: pixels <= 200),
        ("bubble", 50, lambda pixels: np.isin(pixels, [50, 50 + 205 * 100 // 255, 50 + 205 * 130 // 255])),
    ],
)
def test_marks_have_their_brightness_and_leave_the_rest(name, value, fits):
    images = np.full((8, 224, 224, 3), value, np.uint8)
    corrupted = corrupt(images, "crc", name, 5)
    assert fits(corrupted).all()
    shares = (corrupted != images).any(axis=-1).mean(axis=(1, 2))
    assert (shares > 0).all()
    assert (shares < 0.3).all()


def test_characters_are_more_and_larger_at_higher_severities():
    images = np.full((16, 224, 224, 3), 128, np.uint8)
    shares = [(corrupt(images, "derm", "characters", s) != images).any(axis=-1).mean() for s in SEVERITIES]
    assert all(np.diff(shares) > 0)
    assert 0 < shares[0] < shares[-1] < 0.1


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dataset", "name", "severity", "code"),
    [
        ("nothing", "pixelate", 1, "unknown-dataset"),
        ("bus", "bubble", 1, "unknown-corruption"),
        ("bus", "pixelate", 6, "unknown-severity"),
        ("bus", "pixelate", -1, "unknown-severity"),
        ("bus", "pixelate", True, "unknown-severity"),
        ("bus", "pixelate", 2.5, "unknown-severity"),
    ],
)
def test_unknown_names_are_refused(dataset, name, severity, code):
    with pytest.raises(UnknownName) as error:
        corrupt(IMAGES[1], dataset, name, severity)
    assert error.value.code == code


@pytest.mark.parametrize(
    "images", [IMAGES[1].astype(float), IMAGES[1][0], np.zeros((2, 8, 8, 4), np.uint8)], ids=["float", "one", "rgba"]
)
def test_other_arrays_are_refused(images):
    with pytest.raises(MedIMetaError):
        corrupt(images, "bus", "pixelate", 1)


def test_saturate_refuses_greyscale_images():
    with pytest.raises(MedIMetaError):
        corrupt(IMAGES[1], "crc", "saturate", 1)


def test_no_images_are_corrupted_to_no_images():
    for name in corruptions("crc"):
        assert corrupt(IMAGES[3][:0], "crc", name, 3).shape == (0, 224, 224, 3)


def test_whole_weights_sum_up_exactly():
    for kernel in (np.ones((7, 7)), np.random.default_rng(0).random((9, 9))):
        assert blur.whole_weights(kernel).sum() == 1 << 20


def test_the_lists_name_each_dataset_once():
    assert sorted(registry._lists()) == sorted(DATASETS)
