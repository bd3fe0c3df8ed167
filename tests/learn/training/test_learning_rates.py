"""Default learning rates follow the architecture, whatever a checkpoint is called."""

from __future__ import annotations

import pytest
from transformers import PretrainedConfig, ResNetConfig, ViTConfig

from medimeta.errors import MedIMetaError
from medimeta.learn.training.learning_rates import OTHER, architecture, learning_rate

RESNET18 = ResNetConfig(depths=[2, 2, 2, 2], layer_type="basic")
RESNET50 = ResNetConfig(depths=[3, 4, 6, 3], layer_type="bottleneck")


class TimmWrapper(PretrainedConfig):
    model_type = "timm_wrapper"
    architecture = "resnet18.a1_in1k"


@pytest.mark.parametrize(
    ("config", "name"),
    [(RESNET18, "resnet18"), (RESNET50, "resnet50"), (TimmWrapper(), "resnet18"), (ViTConfig(), "vit")],
)
def test_names_of_architectures(config, name):
    assert architecture(config) == name


@pytest.mark.parametrize(("config", "rate"), [(RESNET18, 1e-3), (RESNET50, 1e-4), (ViTConfig(), OTHER)])
def test_the_name_of_a_folder_does_not_matter(config, rate, tmp_path):
    folder = tmp_path / "not-a-resnet-18"
    config.save_pretrained(folder)

    assert learning_rate(str(folder)) == rate
    assert learning_rate(None) == 1e-3


def test_a_checkpoint_that_does_not_exist(tmp_path):
    with pytest.raises(MedIMetaError, match="--model"):
        learning_rate(str(tmp_path / "nowhere"))
