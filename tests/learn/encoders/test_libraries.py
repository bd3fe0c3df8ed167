"""timm, open_clip, BiomedCLIP and PEFT: features as their own preprocessing and models give, and what is refused.

timm and open_clip need a torchvision that fits the installed torch: `make test-encoders` has both.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from fakes.layouts import LAYOUTS, library_features, save_text_model, saved
from medimeta.errors import MedIMetaError, MissingExtra, UnknownName
from medimeta.learn.encoders import models
from medimeta.learn.encoders.encoder import Encoder
from medimeta.learn.encoders.loading import encoder

WORDS = ["a picture of a cat", "cells"]
CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPROCESS = {"mean": [0.48, 0.45, 0.4], "std": [0.26, 0.26, 0.27], "interpolation": "bicubic"}


def library(name):
    try:
        return __import__(name)
    except Exception as error:
        pytest.skip(f"{name} cannot be imported ({type(error).__name__}): make test-encoders")


def images(channels=3, count=2):
    return np.random.default_rng(1).integers(0, 256, (count, 224, 224, channels), np.uint8)


def colour(pixels):
    return [Image.fromarray(np.broadcast_to(one, (*one.shape[:2], 3)).copy()) for one in pixels]


def close(features, expected):
    expected = expected.numpy()
    return features.shape == expected.shape and np.abs(features - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resnet18", {}),
        ("vit_tiny_patch16_224", {"depth": 2}),
        ("convnext_atto", {"depths": (1, 1, 1, 1)}),
        ("efficientnet_lite0", {}),
    ],
)
def test_timm_checkpoints(name, settings, tmp_path):
    timm = library("timm")
    from timm.data import create_transform, resolve_model_data_config
    from timm.models import save_for_hf

    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7, **settings).eval()
    save_for_hf(model, tmp_path, safe_serialization=True, model_config={"model_args": settings})
    data = resolve_model_data_config(model)
    preprocess = create_transform(**data, is_training=False)
    for form in (f"timm:{tmp_path}", str(tmp_path)):
        loaded = encoder(form)
        for pixels in (images(), images(channels=1)):
            values = torch.stack([preprocess(image) for image in colour(pixels)])
            with torch.inference_mode():
                expected = model.forward_head(model.forward_features(values), pre_logits=True)
            assert close(loaded.images(pixels), expected)
        assert (loaded.width, loaded.size) == (model.num_features, data["input_size"][-1])
        assert (loaded.mean, loaded.std, loaded.interpolation) == (data["mean"], data["std"], data["interpolation"])


def open_clip_folder(folder, config, model):
    from safetensors.torch import save_model

    folder.mkdir(exist_ok=True)
    save_model(model, str(folder / "open_clip_model.safetensors"))
    about = {"model_cfg": config, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(about))


@pytest.mark.parametrize("layout", ["CLIP", "BiomedCLIP"])
def test_open_clip_folders(layout, tmp_path):
    open_clip = library("open_clip")
    torch.manual_seed(0)
    if layout == "CLIP":
        config = CLIP
        model = open_clip.CLIP(**config)
    else:  # a timm image tower and a BERT text tower, whose configuration and tokenizer come from the Hub
        save_text_model(tmp_path / "bert")
        save_text_model(tmp_path / "checkpoint")
        config = {
            "embed_dim": 24,
            "vision_cfg": {"timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": False, "timm_pool": "",
                           "timm_proj": "linear", "image_size": 224},
            "text_cfg": {"hf_model_name": str(tmp_path / "bert"), "hf_tokenizer_name": str(tmp_path / "bert"),
                         "hf_proj_type": "mlp", "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 16},
        }  # fmt: skip
        given = json.loads(json.dumps(config))
        given["text_cfg"]["hf_model_pretrained"] = False
        model = open_clip.CustomTextCLIP(**given)
    folder = tmp_path / "checkpoint"
    open_clip_folder(folder, config, model)
    own, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(WORDS)

    loaded = encoder(str(folder))
    with torch.inference_mode():
        for pixels in (images(), images(channels=1)):
            values = torch.stack([preprocess(image) for image in colour(pixels)])
            assert close(loaded.images(pixels), own.eval().encode_image(values))
        assert close(loaded.texts(WORDS), own.encode_text(tokens))
    assert loaded.logit_scale == pytest.approx(own.logit_scale.exp().item())
    assert (loaded.mean, loaded.std) == (tuple(PREPROCESS["mean"]), tuple(PREPROCESS["std"]))
    assert loaded.size == config["vision_cfg"]["image_size"]


@pytest.mark.parametrize("name", ["timm:no_such_model", "open_clip:ViT-B-16", "open_clip:ViT-B-16/no-such-weights"])
def test_what_a_library_does_not_know_is_refused_in_one_line(name, monkeypatch):
    library(name.partition(":")[0])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MedIMetaError) as refused:
        encoder(name)
    assert refused.value.code == "encoder-not-loaded"
    assert "\n" not in str(refused.value)


def test_an_unknown_prefix_names_the_known_ones():
    with pytest.raises(UnknownName, match=r"timm:.*open_clip:"):
        encoder("tim:resnet18")


def lora(folder, base, *, of, layout="ViT"):
    """A LoRA adapter with weights that change every feature."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    names = [name for name, module in base.named_modules() if isinstance(module, torch.nn.Linear) and "layer" in name]
    head = ["classifier"] if hasattr(base, "classifier") else None
    config = peft.LoraConfig(r=2, target_modules=names, modules_to_save=head, base_model_name_or_path=str(of))
    model = peft.get_peft_model(base, config)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return model.merge_and_unload()


@pytest.mark.parametrize("kind", ["classifier", "AutoModel"])
def test_adapters_are_added_to_their_checkpoint(kind, tmp_path):
    pytest.importorskip("peft")
    layout = LAYOUTS["ViT"]
    base = saved(layout, tmp_path / "base")
    before = encoder(str(tmp_path / "base"))
    kind_of_base = type(base) if kind == "classifier" else transformers.AutoModel
    inner = kind_of_base.from_pretrained(tmp_path / "base")
    adapted = lora(tmp_path / "adapter", inner, of=tmp_path / "base")
    reference = adapted if kind == "classifier" else type(base)(base.config)
    if kind != "classifier":
        reference.base_model.load_state_dict(adapted.state_dict(), strict=False)

    loaded = encoder(str(tmp_path / "adapter"))
    expected = library_features(layout, reference.eval(), tmp_path / "base", images())
    assert np.abs(loaded.images(images()) - expected).max() <= 1e-4 * np.abs(expected).max()
    assert np.abs(before.images(images()) - expected).max() > 1e-2 * np.abs(expected).max()
    assert loaded.weights_sha256 != before.weights_sha256


def test_an_adapter_that_does_not_fit_is_refused(tmp_path):
    pytest.importorskip("peft")
    from safetensors.torch import load_file, save_file

    saved(LAYOUTS["ViT"], tmp_path / "base")
    base = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "base")
    lora(tmp_path / "adapter", base, of=tmp_path / "base")
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    whole = load_file(weights)
    lacking = dict(sorted(whole.items())[:-1])
    for wrong in (lacking, {**whole, "base_model.model.other.lora_A.weight": torch.zeros(2, 2)}):
        save_file(wrong, weights)
        with pytest.raises(MedIMetaError) as refused:
            encoder(str(tmp_path / "adapter"))
        assert refused.value.code == "adapter-unfit"


def test_an_adapter_without_peft_names_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "base", "peft_type": "LORA"}')
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(MissingExtra, match="peft"):
        encoder(str(tmp_path))


def test_texts_and_scale_are_those_of_the_model(tmp_path):
    from medimeta.learn.encoders.clip import tiny_clip

    torch.manual_seed(0)
    model, tokenizer = tiny_clip()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(LAYOUTS["CLIP-224"].processor))
    sentences = ["an image showing melanoma", "cells"]

    loaded = encoder(str(tmp_path))
    tokens = tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = model.eval().get_text_features(tokens["input_ids"], tokens["attention_mask"])
    expected = getattr(expected, "pooler_output", expected)
    np.testing.assert_allclose(loaded.texts(sentences), expected, rtol=1e-4, atol=1e-6)
    assert loaded.logit_scale == pytest.approx(model.logit_scale.exp().item())
    for takes_no_text in (encoder(f"{tmp_path}:tower"), vit(tmp_path / "vit")):
        with pytest.raises(MedIMetaError) as refused:
            takes_no_text.texts(sentences)
        assert refused.value.code == "not-image-text"


def vit(folder) -> Encoder:
    saved(LAYOUTS["ViT"], folder)
    return encoder(str(folder))


def test_training_takes_the_names_and_the_preprocessing_of_encoders(tmp_path):
    for name, layout in LAYOUTS.items():
        folder = tmp_path / name
        saved(layout, folder)
        chosen, backbone = encoder(str(folder)), models.load_backbone(str(folder))
        assert backbone.transform == chosen.transform
        values = backbone.transform(torch.from_numpy(images()))
        with torch.inference_mode():
            np.testing.assert_allclose(backbone(values), chosen.images(images()), rtol=1e-5, atol=1e-6)


def test_training_takes_modules_of_a_python_file(tmp_path):
    path = tmp_path / "nets.py"
    path.write_text(
        "import medimeta, torch\n"
        "def net():\n"
        "    torch.manual_seed(0)\n"
        "    network = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(12, 5))\n"
        "    return medimeta.encoder(network, name='net', size=16, mean=(0.5,) * 3, std=(0.5,) * 3)\n"
        "def function():\n"
        "    form = {'size': 16, 'mean': (0.5,) * 3, 'std': (0.5,) * 3}\n"
        "    return medimeta.encoder(lambda x: x.flatten(1), name='f', sha256='1' * 64, **form)\n"
    )
    backbone = models.load_backbone(f"{path}:net")
    assert backbone.transform.size == 16
    backbone.save_pretrained(tmp_path)
    before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    with torch.no_grad():
        for weight in backbone.parameters():
            weight.zero_()
    backbone.restore(tmp_path)
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.state_dict().items())
    with pytest.raises(MedIMetaError, match="function"):
        models.load_backbone(f"{path}:function")
