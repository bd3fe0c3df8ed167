"""A finished fine-tuning of every published layout: saved, opened again, with the outputs of the task."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageClassification

from fakes.commands import run
from fakes.layouts import LAYOUTS, saved
from medimeta.cards.catalogue import DATASETS
from medimeta.learn.encoders import models
from medimeta.learn.encoders.loading import encoder

pytestmark = pytest.mark.slow
FILE = """
import medimeta, torch
def net():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(192, 5))
    return medimeta.encoder(network, name="net", size=64, mean=(0.5,) * 3, std=(0.5,) * 3)
"""


def timm_folder(folder):
    pytest.importorskip("torchvision", reason="make test-encoders")
    timm = pytest.importorskip("timm", reason="make test-encoders")
    from timm.models import save_for_hf

    torch.manual_seed(0)
    save_for_hf(timm.create_model("efficientnet_lite0", num_classes=7), folder, safe_serialization=True)
    return f"timm:{folder}"


def open_clip_folder(folder):
    pytest.importorskip("torchvision", reason="make test-encoders")
    open_clip = pytest.importorskip("open_clip", reason="make test-encoders")
    from safetensors.torch import save_model

    config = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    folder.mkdir()
    torch.manual_seed(0)
    save_model(open_clip.CLIP(**config), str(folder / "open_clip_model.safetensors"))
    about = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.3] * 3, "interpolation": "bicubic"}}
    (folder / "open_clip_config.json").write_text(json.dumps(about))
    return str(folder)


def adapter_folder(folder):
    peft = pytest.importorskip("peft")
    saved(LAYOUTS["ViT"], folder / "base")
    base = AutoModelForImageClassification.from_pretrained(folder / "base")
    names = [name for name, module in base.named_modules() if isinstance(module, torch.nn.Linear) and "layer" in name]
    peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=names)).save_pretrained(folder / "adapter")
    return str(folder / "adapter")


def python_file(folder):
    folder.mkdir()
    (folder / "nets.py").write_text(FILE)
    return f"{folder / 'nets.py'}:net"


OTHERS = {"timm": timm_folder, "open_clip": open_clip_folder, "LoRA": adapter_folder, "Python file": python_file}


def checkpoint(name, folder):
    if name in OTHERS:
        return OTHERS[name](folder)
    saved(LAYOUTS[name], folder)
    return str(folder)


@pytest.mark.parametrize("name", [*LAYOUTS, *OTHERS])
def test_a_finished_fine_tuning_has_the_outputs_of_its_task(name, tiny, tmp_path):
    model = checkpoint(name, tmp_path / "checkpoint")
    (result,) = run("train", *tiny, "--tasks", "bus", "--epochs", "1", "--model", model, "--output-dir", tmp_path)

    folder = tmp_path / "bus" / DATASETS["bus"].tasks[0].column / "model"
    assert result.predictions.select([*DATASETS["bus"].tasks[0].labels]).shape == (12, 3)
    assert (folder / "README.md").is_file()
    usage = (folder / "README.md").read_text().partition("## Use")[2]
    assert ("AutoModelForImageClassification" in usage) == (not (folder / models.HEAD).is_file())
    if (folder / models.HEAD).is_file():
        assert load_file(folder / models.HEAD)["weight"].shape == (3, encoder(model).width)
    else:
        assert AutoModelForImageClassification.from_pretrained(folder).config.num_labels == 3
    if name != "Python file":  # whose architecture is not in the folder
        assert encoder(str(folder)).transform == encoder(model).transform


@pytest.mark.parametrize("name", ["CLIP-224", "DINOv2, config 518", "timm", "open_clip"])
def test_episodes_and_pre_training_take_every_library(name, tiny, tmp_path):
    model = checkpoint(name, tmp_path / "checkpoint")
    few = ["--dataset", "bus", "--split", "train+validation+test", "-n", "2", "--lr", "1e-3", "--steps", "2"]
    few += ["--shots", "1", "--queries", "2", "--min-images", "3"]
    results = run("few-shot", "--tiny", *tiny[-2:], *few, "--model", model, "--output-dir", tmp_path / "few")
    assert {result.settings["preprocessing"]["size"] for result in results} == {encoder(model).size}

    pool = ["--target", "oct", "--sources", "bus", "--epochs", "1"]
    run("pretrain multitask", *tiny, *pool, "--model", model, "--output-dir", tmp_path / "multitask")
    meta = [
        "--main-only",
        "--shots",
        "1",
        "1",
        "--queries",
        "2",
        "--min-images",
        "3",
        "--train-episodes",
        "2",
        "--batch-size",
        "1",
    ]
    meta += ["--validation-episodes", "2", "--inner-steps", "1", "--validation-steps", "1", "--epoch-steps", "1"]
    run("pretrain maml", *tiny, *pool, *meta, "--model", model, "--output-dir", tmp_path / "maml")
    for trained in ("multitask", "maml"):
        assert encoder(str(tmp_path / trained / "model")).transform == encoder(model).transform
