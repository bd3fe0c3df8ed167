"""Transformers checkpoints as encoders, in the layouts that are published, with tiny random weights.

Features are compared with those of the library's own processor and model on the same images.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoImageProcessor, AutoModel

from medimeta.errors import MedIMetaError, MissingExtra
from medimeta.learn.encoders.loading import encoder
from medimeta.learn.encoders.processors import timm_transform
from medimeta.learn.encoders.transform import ImageTransform

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
CLIP = {"image_mean": [0.481, 0.458, 0.408], "image_std": [0.269, 0.261, 0.276]}
SQUARE = {"size": {"height": 224, "width": 224}}
SHORTEST = {"size": {"shortest_edge": 224}}
CROPPED = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
BILINEAR, BICUBIC = 2, 3
T = transformers


def config(kind, **settings):
    return getattr(T, f"{kind}Config")(**settings)


def classifier(kind, **settings):
    return lambda: getattr(T, f"{kind}ForImageClassification")(config(kind, num_labels=5, **settings))


def image_text(kind, size):
    def make():
        words = {"vocab_size": 20, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
        projection = {"projection_dim": 24} if kind == "CLIP" else {}
        text = config(f"{kind}Text", **SMALL, **words).to_dict()
        vision = config(f"{kind}Vision", **SMALL, image_size=size, patch_size=32).to_dict()
        return getattr(T, f"{kind}Model")(config(kind, text_config=text, vision_config=vision, **projection))

    return make


def pooled(model, values):
    return model.base_model(values).pooler_output.flatten(1)


def cls_token(model, values):
    return model.base_model(values).last_hidden_state[:, 0]


def cls_and_patches(model, values):
    states = model.base_model(values).last_hidden_state
    return torch.cat([states[:, 0], states[:, 1:].mean(dim=1)], dim=1)


def projected(model, values):
    output = model.vision_model(values).pooler_output
    return model.visual_projection(output) if hasattr(model, "visual_projection") else output


@dataclass
class Layout:
    make: Callable
    processor: dict
    reference: Callable
    width: int
    size: int = 224
    resize: int = 224
    interpolation: str = "bilinear"


def layout(make, kind, reference, width, *settings, **expected):
    processor = {"image_processor_type": f"{kind}ImageProcessor"}
    for part in settings:
        processor |= part
    return Layout(make, processor, reference, width, **expected)


RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]}
BIC = {"resample": BICUBIC}
LAYOUTS = {
    "ViT": layout(
        classifier("ViT", **SMALL, patch_size=32), "ViT", cls_token, 32, SQUARE, HALF, {"resample": BILINEAR}
    ),
    "ViT-384": layout(
        classifier("ViT", **SMALL, patch_size=32, image_size=384), "ViT", cls_token, 32,
        {"size": {"height": 384, "width": 384}}, HALF, {"resample": BILINEAR}, size=384, resize=384,
    ),
    "DeiT": layout(
        classifier("DeiT", **SMALL, patch_size=32), "DeiT", cls_token, 32,
        {"size": {"height": 256, "width": 256}}, CROPPED, IMAGENET, BIC, resize=256, interpolation="bicubic",
    ),
    "Swin": layout(
        classifier("Swin", embed_dim=12, depths=[1, 1], num_heads=[1, 2]), "ViT", pooled, 24, SQUARE, IMAGENET, BIC,
        interpolation="bicubic",
    ),
    "ConvNeXt": layout(
        classifier("ConvNext", hidden_sizes=[8, 8, 16, 24], depths=[1, 1, 1, 1]), "ConvNext", pooled, 24, SHORTEST,
        IMAGENET, BIC, {"crop_pct": 0.875}, resize=256, interpolation="bicubic",
    ),
    "ConvNeXt-384": layout(
        classifier("ConvNext", hidden_sizes=[8, 8, 16, 24], depths=[1, 1, 1, 1]), "ConvNext", pooled, 24,
        {"size": {"shortest_edge": 384}}, IMAGENET, BIC, {"crop_pct": 1.0}, size=384, resize=384,
        interpolation="bicubic",
    ),
    "ResNet": layout(
        classifier("ResNet", **RESNET), "ConvNext", pooled, 32, SHORTEST, IMAGENET, BIC, {"crop_pct": 0.875},
        resize=256, interpolation="bicubic",
    ),
    "ResNet, crop of an odd border": layout(
        classifier("ResNet", **RESNET), "ConvNext", pooled, 32, SHORTEST, IMAGENET, BIC, {"crop_pct": 0.95},
        resize=235, interpolation="bicubic",
    ),
    "DINOv2, config 518": layout(
        classifier("Dinov2", **{**SMALL, "mlp_ratio": 2}, image_size=518, patch_size=14), "Bit", cls_and_patches, 64,
        {"size": {"shortest_edge": 256}}, CROPPED, IMAGENET, BIC, resize=256, interpolation="bicubic",
    ),
    "CLIP-224": layout(
        image_text("CLIP", 224), "CLIP", projected, 24, SHORTEST, CROPPED, CLIP, BIC, interpolation="bicubic"
    ),
    "CLIP-336": layout(
        image_text("CLIP", 336), "CLIP", projected, 24, {"size": {"shortest_edge": 336}},
        {"do_center_crop": True, "crop_size": {"height": 336, "width": 336}}, CLIP, BIC, size=336, resize=336,
        interpolation="bicubic",
    ),
    "SigLIP": layout(
        image_text("Siglip", 224), "Siglip", projected, 32, SQUARE, HALF, BIC, interpolation="bicubic"
    ),
    "BiT": layout(
        classifier("Bit", **RESNET, num_groups=4), "Bit", pooled, 32, SHORTEST, CROPPED, HALF, {"resample": BILINEAR}
    ),
    "EfficientNet": layout(
        classifier("EfficientNet", image_size=224, hidden_dim=320, width_coefficient=0.25, depth_coefficient=0.25),
        "EfficientNet", pooled, 320, SQUARE, IMAGENET, {"resample": 0, "include_top": True}, interpolation="nearest",
    ),
}  # fmt: skip


def saved(layout, folder):
    torch.manual_seed(0)
    model = layout.make().eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(layout.processor))
    return model


def images(channels=3, count=2):
    return np.random.default_rng(1).integers(0, 256, (count, 224, 224, channels), np.uint8)


def library_features(layout, model, folder, pixels):
    option = {"backend": "pil"} if transformers.__version__ >= "5" else {"use_fast": False}
    processor = AutoImageProcessor.from_pretrained(folder, **option)
    values = processor(images=list(pixels), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        return layout.reference(model, values).numpy()


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
    model = T.DINOv3ViTModel(T.DINOv3ViTConfig(**SMALL, patch_size=32)).eval()
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
def test_libraries_that_are_not_supported_are_named(name):
    with pytest.raises(MissingExtra, match=name.partition(":")[0]):
        encoder(name)


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
