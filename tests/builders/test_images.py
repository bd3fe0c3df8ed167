"""The pixel path against Pillow's own calls, margin by margin."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from medimeta.builders.images import crop_to_square, encode, pad_to_square, problem, resize, resize_mask, thumbnail


def noise(width, height, mode="RGB", seed=0):
    bands = {"RGB": (3,), "L": ()}[mode]
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, *bands), dtype=np.uint8))


@pytest.mark.parametrize("size", [(10, 10), (10, 11), (11, 10), (10, 13), (10, 15), (15, 10), (300, 223)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pad_is_pillows_pad(size, mode):
    image = noise(*size, mode)
    side = max(size)

    assert pad_to_square(image).tobytes() == ImageOps.pad(image, (side, side)).tobytes()


@pytest.mark.parametrize(("difference", "margin"), [(1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_pad_margins_round_half_to_even(difference, margin):
    white = Image.new("L", (20 - difference, 20), 255)

    assert np.flatnonzero(np.asarray(pad_to_square(white))[0])[0] == margin


def test_crop_takes_the_centre_and_leaves_a_square_alone():
    image = noise(9, 4)
    square = noise(5, 5)

    assert crop_to_square(image).tobytes() == image.crop((2, 0, 6, 4)).tobytes()
    assert crop_to_square(square) is square


def test_thumbnail_averages_boxes_from_896_pixels_on():
    small, large = noise(895, 895, "L"), noise(896, 896, "L")

    assert thumbnail(small.copy()).tobytes() == small.resize((224, 224), Image.Resampling.BICUBIC).tobytes()
    assert thumbnail(large.copy()).tobytes() != large.resize((224, 224), Image.Resampling.BICUBIC).tobytes()


def test_resize_does_the_horizontal_pass_first():
    image = noise(300, 900, "L")
    by_hand = image.resize((224, 900), Image.Resampling.BICUBIC).resize((224, 224), Image.Resampling.BICUBIC)

    assert resize(image).tobytes() == by_hand.tobytes()
    assert resize(noise(100, 90)).size == (224, 224)  # may enlarge


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_encoding_is_lossless_deterministic_and_bare(mode):
    image = noise(224, 224, "RGB").convert(mode)
    image.info["icc_profile"] = b"profile"
    data = encode(image)
    decoded = Image.open(io.BytesIO(data))

    assert decoded.mode == mode
    assert decoded.tobytes() == image.tobytes()
    assert data == encode(image.copy())
    assert "icc_profile" not in decoded.info


def test_masks_keep_two_values():
    mask = noise(300, 300, "L").convert("1")

    assert set(np.unique(np.asarray(resize_mask(mask)))) == {False, True}


def test_original_size_travels_through_every_operation():
    image = noise(300, 400)
    image.info["original_image_size"] = [300, 400]

    for operation in (pad_to_square, crop_to_square, resize, lambda i: thumbnail(pad_to_square(i))):
        assert operation(image.copy()).info["original_image_size"] == [300, 400]


def test_problems_are_named():
    assert problem(Image.new("L", (224, 224)), "L") is None
    assert "200x200" in problem(thumbnail(Image.new("L", (200, 200))), "L")
    assert "mode RGB, not L" in problem(Image.new("RGB", (224, 224)), "L")
