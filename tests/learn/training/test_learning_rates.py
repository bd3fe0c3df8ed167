"""Default learning rates follow the architecture, whatever a checkpoint is called."""

from __future__ import annotations

import json

import pytest
from transformers import ResNetConfig, ViTConfig

from medimeta.errors import MedIMetaError
from medimeta.learn.encoders.libraries.names import architecture
from medimeta.learn.training.learning_rates import OTHER, learning_rate

RESNET18 = ResNetConfig(depths=[2, 2, 2, 2], layer_type="basic")
RESNET50 = ResNetConfig(depths=[3, 4, 6, 3], layer_type="bottleneck")


@pytest.mark.parametrize(("config", "name"), [(RESNET18, "resnet18"), (RESNET50, "resnet50"), (ViTConfig(), "vit")])
def test_names_of_architectures(config, name, tmp_path):
    config.save_pretrained(tmp_path)
    assert architecture(str(tmp_path)) == name


def test_names_of_architectures_of_other_libraries(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18.a1_in1k", "pretrained_cfg": {}}))
    assert architecture(str(tmp_path)) == architecture(f"timm:{tmp_path}") == "resnet18"
    assert architecture("timm:resnet50.a1_in1k") == "resnet50"
    assert architecture("open_clip:ViT-B-16/openai") == "open_clip"
    assert learning_rate("timm:resnet18") == 1e-3
    assert learning_rate("models.py:backbone") == OTHER


@pytest.mark.parametrize(("config", "rate"), [(RESNET18, 1e-3), (RESNET50, 1e-4), (ViTConfig(), OTHER)])
def test_the_name_of_a_folder_does_not_matter(config, rate, tmp_path):
    folder = tmp_path / "not-a-resnet-18"
    config.save_pretrained(folder)

    assert learning_rate(str(folder)) == rate
    assert learning_rate(None) == 1e-3


def test_a_missing_checkpoint_is_reported(tmp_path):
    with pytest.raises(MedIMetaError, match="nowhere"):
        learning_rate(str(tmp_path / "nowhere"))
