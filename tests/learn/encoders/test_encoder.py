"""Encoders from modules, functions and Python files, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import medimeta
from medimeta.errors import MedIMetaError, MissingExtra, SourceNotFound, UnknownName
from medimeta.learn.encoders.encoder import Encoder
from medimeta.learn.encoders.resampling import resized, resized_on_device
from medimeta.learn.encoders.transform import ImageTransform

FORM = {"size": 8, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
HASH = "0" * 64


def flat(values):
    return values.flatten(1)


def images(count=3, side=8, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)


def module(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5), torch.nn.Dropout(0.5))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_function_gets_normalised_images(channels):
    encoder = medimeta.encoder(flat, name="pixels", sha256=HASH, **FORM)
    pixels = images(channels=channels)

    expected = (np.broadcast_to(pixels, (3, 8, 8, 3)) / 255 - FORM["mean"]) / FORM["std"]
    features = encoder.images(pixels)
    assert features.dtype == np.float32
    assert features.shape == (3, encoder.width) == (3, 192)
    np.testing.assert_allclose(features, expected.transpose(0, 3, 1, 2).reshape(3, -1), rtol=1e-5, atol=1e-6)


def test_other_sizes_are_resized_by_pillow_and_cropped():
    encoder = medimeta.encoder(
        flat, name="pixels", sha256=HASH, size=6, resize=9, interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1)
    )
    pixels = images(1, side=12)

    resized = np.asarray(Image.fromarray(pixels[0]).resize((9, 9), Image.Resampling.BICUBIC))[1:7, 1:7]
    np.testing.assert_allclose(encoder.images(pixels)[0], resized.transpose(2, 0, 1).ravel() / 255, atol=1e-6)
    assert encoder.crop
    assert not medimeta.encoder(flat, name="pixels", sha256=HASH, **FORM).crop


def test_a_module_runs_in_evaluation_mode_and_is_identified_by_weights_and_structure():
    encoder = medimeta.encoder(module(), name="mine", **FORM)

    np.testing.assert_array_equal(encoder.images(images()), encoder.images(images()))
    assert encoder.width == 5
    assert medimeta.encoder(module(), name="other", **FORM).weights_sha256 == encoder.weights_sha256
    assert medimeta.encoder(module(1), name="mine", **FORM).weights_sha256 != encoder.weights_sha256
    deeper = torch.nn.Sequential(*module(), torch.nn.ReLU())
    assert medimeta.encoder(deeper, name="mine", **FORM).weights_sha256 != encoder.weights_sha256


def test_mixed_precision_gives_nearly_the_same_features():
    exact, mixed = (medimeta.encoder(module(), name="mine", dtype=dtype, **FORM) for dtype in ("float32", "bfloat16"))

    assert mixed.images(images()).dtype == np.float32
    np.testing.assert_allclose(mixed.images(images()), exact.images(images()), atol=0.05)
    assert mixed.identity() != exact.identity()


def test_a_python_file_makes_an_encoder(tmp_path):
    path = tmp_path / "models.py"
    path.write_text(
        "import medimeta\n"
        "def pixels():\n"
        "    form = {'size': 8, 'mean': (0.5,) * 3, 'std': (0.5,) * 3}\n"
        "    return medimeta.encoder(lambda x: x.flatten(1), name='pixels', sha256='1' * 64, **form)\n"
        "def other():\n"
        "    return 3\n"
    )
    encoder = medimeta.encoder(f"{path}:pixels")

    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.width) == ("pixels", 192)
    assert medimeta.encoder(encoder) is encoder
    with pytest.raises(MedIMetaError, match="must return an Encoder"):
        medimeta.encoder(f"{path}:other")
    with pytest.raises(MedIMetaError, match="It has: pixels, other"):
        medimeta.encoder(f"{path}:pixel")
    with pytest.raises(SourceNotFound):
        medimeta.encoder(f"{tmp_path / 'absent.py'}:pixels")
    path.write_text("import no_such_module\n")
    with pytest.raises(MedIMetaError, match="no_such_module"):
        medimeta.encoder(f"{path}:pixels")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"name": "f"}, "sha256"),
        ({"name": "f", "sha256": "abc"}, "sha256"),
        ({"sha256": HASH}, "name="),
        ({"name": " ", "sha256": HASH}, "name"),
        ({"name": "f", "sha256": HASH, "mean": None}, "mean="),
        ({"name": "f", "sha256": HASH, "mean": (0.5,)}, "mean"),
        ({"name": "f", "sha256": HASH, "std": (0, 1, 1)}, "std"),
        ({"name": "f", "sha256": HASH, "size": 0}, "size"),
        ({"name": "f", "sha256": HASH, "resize": 4}, "resize"),
        ({"name": "f", "sha256": HASH, "dtype": "float16"}, "dtype"),
        ({"name": "f", "sha256": HASH, "interpolation": "cubic"}, "interpolation"),
    ],
)
def test_what_a_function_lacks_is_named(settings, named):
    with pytest.raises(MedIMetaError, match=named):
        medimeta.encoder(flat, **{**FORM, **settings})


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="torch and transformers"):
        medimeta.encoder(flat, name="f", sha256=HASH, **FORM)


def test_a_checkpoint_has_its_own_preprocessing():
    with pytest.raises(MedIMetaError, match="mean"):
        medimeta.encoder("microsoft/resnet-18", mean=(0.5,) * 3)


@pytest.mark.parametrize("model", [3, None, ["microsoft/resnet-18"]])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(MedIMetaError, match=type(model).__name__):
        medimeta.encoder(model)


def test_outputs_that_are_not_vectors_are_refused():
    for function in (lambda values: values, lambda values: values.flatten(), lambda values: values[:, :0, 0, 0]):
        with pytest.raises(MedIMetaError, match="vector per image"):
            medimeta.encoder(function, name="f", sha256=HASH, **FORM)
    encoder = medimeta.encoder(lambda values: values.flatten(1).log(), name="f", sha256=HASH, **FORM)
    with pytest.raises(MedIMetaError, match="NaN or infinite"):
        encoder.images(images())


@pytest.mark.parametrize("pixels", [images().astype(np.float32), images()[0], images()[:, :4], images(channels=2)])
def test_pixels_of_another_form_are_refused(pixels):
    with pytest.raises(MedIMetaError, match="uint8"):
        medimeta.encoder(flat, name="f", sha256=HASH, **FORM).images(pixels)


def test_an_unknown_interpolation_names_the_choices():
    with pytest.raises(UnknownName, match="bicubic"):
        ImageTransform(interpolation="cubic")


@pytest.mark.parametrize("interpolation", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("side", [5, 40, 57])
def test_resizing_on_a_device_is_that_of_pillow(interpolation, side):
    black_or_white = (images(2, side=40, channels=1) > 128).astype(np.uint8) * 255
    for pixels in (images(4, side=40), black_or_white):
        expected = np.stack([resized(one, side, interpolation) for one in pixels])
        values = resized_on_device(torch.from_numpy(pixels), side, interpolation).numpy()
        assert np.abs(values.astype(int) - expected).max() <= 1
        assert (values == expected).mean() > 0.99


def test_tensors_are_preprocessed_as_arrays_are():
    transform = ImageTransform(6, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), "bicubic", 9)
    assert torch.equal(transform(torch.from_numpy(images(3, side=12))), transform(images(3, side=12)))
