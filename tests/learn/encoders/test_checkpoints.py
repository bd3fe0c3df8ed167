"""Transformers checkpoints as encoders, in the layouts that are published, with tiny random weights.

Features are compared with those of the library's own processor and model on the same images.
"""

from __future__ import annotations

import importlib.util
import json

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModel

from fakes.layouts import CROPPED, HALF, IMAGENET, LAYOUTS, SMALL, Layout, config, library_features, saved
from medimeta.errors import MedIMetaError, MissingExtra
from medimeta.learn.encoders.libraries.processors import timm_transform
from medimeta.learn.encoders.loading import encoder
from medimeta.learn.encoders.transform import ImageTransform


def images(channels=3, count=2):
    return np.random.default_rng(1).integers(0, 256, (count, 224, 224, channels), np.uint8)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_features_are_those_of_the_librarys_own_processor(layout, tmp_path):
    model = saved(layout, tmp_path)
    loaded = encoder(str(tmp_path))
    grey = images(channels=1)

    for pixels in (images(), grey):
        expected = library_features(layout, model, tmp_path, np.broadcast_to(pixels, (2, 224, 224, 3)))
        features = loaded.images(pixels)
        assert features.dtype == np.float32
        assert np.abs(features - expected).max() <= 1e-4 * np.abs(expected).max()
    assert (loaded.width, loaded.size, loaded.transform.resize) == (layout.width, layout.size, layout.resize)
    assert loaded.interpolation == layout.interpolation
    assert loaded.crop == (layout.resize > layout.size)
    if not layout.processor.get("include_top"):
        assert loaded.mean == pytest.approx(layout.processor["image_mean"])
        assert loaded.std == pytest.approx(layout.processor["image_std"])


def test_a_tower_gives_features_before_the_projection(tmp_path):
    model = saved(LAYOUTS["CLIP-224"], tmp_path)
    tower = encoder(f"{tmp_path}:tower")

    expected = library_features(
        Layout(None, {}, lambda m, values: m.vision_model(values).pooler_output, 32), model, tmp_path, images()
    )
    assert tower.width == 32
    np.testing.assert_allclose(tower.images(images()), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(not hasattr(transformers, "DINOv3ViTModel"), reason="this transformers has no DINOv3")
def test_a_backbone_without_a_classifier_class_gives_its_pooled_output(tmp_path):
    """DINOv3, whose processor exists for torchvision alone: an input of the image's own size is only normalised."""
    torch.manual_seed(0)
    model = transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**SMALL, patch_size=32)).eval()
    model.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "DINOv3ViTImageProcessorFast"}')
    values = torch.from_numpy(images()).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(IMAGENET[name]).view(3, 1, 1) for name in ("image_mean", "image_std"))

    with torch.inference_mode():
        expected = model((values - mean) / std).pooler_output
    np.testing.assert_allclose(encoder(str(tmp_path)).images(images()), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bicubic", "mean": [0.5] * 3,
             "std": [0.5] * 3},
            ImageTransform(224, (0.5,) * 3, (0.5,) * 3, "bicubic", 256, 16),
        ),
        ({"input_size": [3, 224, 224], "crop_pct": 0.95}, ImageTransform(resize=235, corner=6)),
        ({"input_size": [3, 256, 256], "crop_pct": 1.0, "crop_mode": "squash"}, ImageTransform(256)),
    ],
)  # fmt: skip
def test_a_timm_checkpoint_describes_its_own_preprocessing(settings, expected):
    assert timm_transform(settings) == expected


def test_a_timm_checkpoint_without_timm_is_answered_with_what_to_install(tmp_path):
    pytest.importorskip("transformers.models.timm_wrapper")
    if transformers.utils.is_timm_available():
        pytest.skip("timm is installed")
    about = {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 224, 224]}, "num_classes": 5}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "timm_wrapper", **about}))

    with pytest.raises(MissingExtra, match="timm"):
        encoder(str(tmp_path))


@pytest.mark.parametrize("name", ["timm:resnet18", "open_clip:ViT-B-16/openai"])
def test_without_its_library_the_package_to_install_is_named(name):
    if importlib.util.find_spec(name.partition(":")[0]):
        pytest.skip(f"{name.partition(':')[0]} is installed")
    with pytest.raises(MissingExtra, match=name.partition(":")[0]):
        encoder(name)


@pytest.mark.skipif(importlib.util.find_spec("open_clip") is not None, reason="open_clip is installed")
def test_an_open_clip_folder_is_recognised(tmp_path):
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(MissingExtra, match="open_clip"):
        encoder(str(tmp_path))


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path):
    torch.manual_seed(0)
    AutoModel.from_config(config("ViT", **SMALL, patch_size=32)).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LAYOUTS["ViT"].processor))
    weights = tmp_path / "model.safetensors"
    from safetensors.torch import load_file, save_file

    kept = {name: value for name, value in load_file(weights).items() if "layernorm.weight" not in name}
    save_file(kept, weights, {"format": "pt"})
    with pytest.raises(MedIMetaError, match="lacks"):
        encoder(str(tmp_path))


def test_preprocessing_that_is_missing_or_cannot_be_reproduced_is_refused(tmp_path):
    saved(LAYOUTS["ViT"], tmp_path)
    config_file = tmp_path / "preprocessor_config.json"

    config_file.write_text(json.dumps(LAYOUTS["ViT"].processor | {"size": {"height": 224, "width": 192}}))
    with pytest.raises(MedIMetaError, match="square"):
        encoder(str(tmp_path))
    padded = {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 200}, **CROPPED, **HALF}
    config_file.write_text(json.dumps(padded))
    with pytest.raises(MedIMetaError, match="crop"):
        encoder(str(tmp_path))
    config_file.unlink()
    with pytest.raises(MedIMetaError, match=r"preprocessor_config\.json"):
        encoder(str(tmp_path))


@pytest.mark.parametrize("name", ["no/such-folder/at-all", "{folder}"])
def test_what_is_not_a_checkpoint_is_refused_in_one_line(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MedIMetaError) as refused:
        encoder(name.format(folder=tmp_path))
    assert refused.value.code == "encoder-not-loaded"
    assert "\n" not in str(refused.value)


def test_without_a_connection_a_name_is_refused_before_the_client_retries(monkeypatch):
    """The client would ask for three files, and wait 23 seconds for each."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr("medimeta.learn.encoders.libraries.names.hf_hub_download", lambda *_: pytest.fail("asked"))
    with pytest.raises(MedIMetaError, match="ns/encoder") as refused:
        encoder("ns/encoder")
    assert refused.value.code == "encoder-not-loaded"
