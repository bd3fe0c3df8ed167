"""Each corruption equals a plain implementation of its published definition."""

from __future__ import annotations

import colorsys
import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import ndimage, stats

from medimeta import DATASETS
from medimeta.learn.data.corruptions.registry import CORRUPTIONS, corrupt, corruptions


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


SUMS = {
    "gaussian_noise": 18796038,
    "speckle_noise": 18490655,
    "impulse_noise": 18831136,
    "shot_noise": 18340203,
    "motion_blur": 18740477,
    "stain_deposit": 18560162,
    "bubble": 19083323,
    "characters": 18813591,
}


RANDOM = [name for name, corruption in CORRUPTIONS.items() if corruption.random]


def images_of(dataset: str) -> np.ndarray:
    return IMAGES[1 if DATASETS[dataset].mode == "L" else 3]


def test_pixels_are_those_of_every_machine():
    """These sums change only if published results change with them."""
    image = (np.arange(224 * 224 * 3) * 7919 % 251).astype(np.uint8).reshape(1, 224, 224, 3)
    sums = {name: int(corrupt(image, HOLDER[name], name, 3, [42]).sum()) for name in RANDOM}
    assert sums == SUMS


def pictures(images: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray(image.squeeze()) for image in images]


def enhanced(kind):
    return lambda picture, factor: kind(picture).enhance(factor)


def compressed(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def pixelated(picture, size):
    small = picture.resize([int(side * size) for side in picture.size], Image.Resampling.BOX)
    return small.resize(picture.size, Image.Resampling.BOX)


def gamma(picture, exponent):
    return np.floor((np.asarray(picture) / 255) ** exponent * 255)


def saturated(picture, added):
    def pixel(rgb):
        h, s, v = colorsys.rgb_to_hsv(*rgb)
        return colorsys.hsv_to_rgb(h, min(s + added, 1), v)

    return np.apply_along_axis(pixel, 2, np.asarray(picture)[::7, ::7] / 255) * 255


def dark_corners(picture, factor):
    pixels = np.asarray(picture).copy()
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            if np.hypot(y - 111.5, x - 111.5) > factor * 112:
                pixels[y, x] = 0
    return pixels


def averaged_over_zooms(picture, parameters):
    pixels = np.asarray(picture).astype(float)
    factors = np.arange(1, *parameters)
    total = pixels.copy()
    for factor in factors:
        places = 111.5 + (np.arange(224) - 111.5) / factor
        y, x = np.meshgrid(places, places, indexing="ij")
        for channel in range(pixels.shape[2]):
            total[..., channel] += ndimage.map_coordinates(pixels[..., channel], [y, x], order=1, mode="nearest")
    return total / (len(factors) + 1)


def filtered(picture, kernel):
    pixels = np.atleast_3d(np.asarray(picture)).astype(float)
    planes = [ndimage.correlate(pixels[..., channel], kernel, mode="mirror") for channel in range(pixels.shape[2])]
    return np.stack(planes, axis=-1).squeeze()


def defocused(picture, parameters):
    radius, sigma = parameters
    y, x = np.mgrid[-8:9, -8:9]
    edge = stats.norm.pdf([-1, 0, 1], scale=sigma)
    disc = ndimage.convolve((x**2 + y**2 <= radius**2).astype(float), np.outer(edge, edge), mode="constant")
    return filtered(picture, disc / disc.sum())


def blurred(picture, size):
    weights = stats.norm.pdf(np.arange(size) - size // 2, scale=0.15 * size + 0.35)
    kernel = np.outer(weights, weights)
    return filtered(picture, kernel / kernel.sum())


EXACT = {
    "brightness_up": enhanced(ImageEnhance.Brightness),
    "brightness_down": enhanced(ImageEnhance.Brightness),
    "contrast_up": enhanced(ImageEnhance.Contrast),
    "contrast_down": enhanced(ImageEnhance.Contrast),
    "gamma_corr_up": gamma,
    "gamma_corr_down": gamma,
    "pixelate": pixelated,
    "jpeg_compression": compressed,
    "black_corner": dark_corners,
}


@pytest.mark.parametrize("name", list(EXACT))
@pytest.mark.parametrize("dataset", ["derm", "bus", "cxr"])
def test_equal_to_a_plain_reference(name, dataset):
    if name not in corruptions(dataset):
        dataset = HOLDER[name]
    images = images_of(dataset)[:2]
    for severity in (1, 3, 5):
        parameter = corruptions(dataset)[name][severity - 1]
        for ours, picture in zip(corrupt(images, dataset, name, severity), pictures(images), strict=True):
            assert np.array_equal(ours.squeeze(), np.asarray(EXACT[name](picture, parameter)))


@pytest.mark.parametrize(
    ("name", "dataset", "reference", "step"),
    [
        ("saturate", "crc", saturated, 7),
        ("defocus_blur", "derm", defocused, 1),
        ("defocus_blur", "oct", defocused, 1),
        ("gaussian_blur", "cxr", blurred, 1),
        ("zoom_blur", "derm", averaged_over_zooms, 1),
    ],
)
def test_close_to_a_plain_reference(name, dataset, reference, step):
    """The floor of a number that is whole but for rounding may be one less; otherwise pixels are equal."""
    images = images_of(dataset)[:1]
    for severity in (1, 5):
        ours = corrupt(images, dataset, name, severity)[0].squeeze()[::step, ::step].astype(int)
        theirs = np.floor(reference(pictures(images)[0], corruptions(dataset)[name][severity - 1])).astype(int)
        assert np.abs(ours - theirs).max() <= 1
        assert (ours == theirs).mean() > (0.5 if name == "zoom_blur" else 0.95)  # Pillow rounds each enlargement


def test_motion_blur_is_a_line_of_the_published_length_and_weights():
    point = np.zeros((1, 64, 64, 1), np.uint8)
    point[0, 32, 32] = 255
    radius, sigma = corruptions("bus")["motion_blur"][2]
    angles = []
    for number in range(50):
        line = corrupt(point, "bus", "motion_blur", 3, [number])[0, ..., 0].astype(float)
        y, x = np.nonzero(line)
        distance = np.hypot(y - 32, x - 32)
        assert distance.max() <= radius + 1
        assert np.array_equal(line[1:, 1:], line[1:, 1:][::-1, ::-1]), "centred"
        near = stats.norm.cdf(1) - 0.5, stats.norm.cdf((radius + 0.5) / sigma) - 0.5
        assert line[np.hypot(*np.mgrid[-32:32, -32:32]) <= sigma].sum() / line.sum() == pytest.approx(
            near[0] / near[1], abs=0.1
        )
        assert line.sum() > 225, "rounded down, at most one per pixel"
        far = distance.argmax()
        angles.append(np.degrees(np.arctan2(y[far] - 32, x[far] - 32)) % 180)
    folded = [angle if angle < 90 else angle - 180 for angle in angles]
    assert -46 < min(folded) < -25
    assert 25 < max(folded) < 46


def constant(value: int, channels: int = 1) -> np.ndarray:
    return np.full((4, 128, 128, channels), value, np.uint8)
