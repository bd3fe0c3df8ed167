"""Default learning rates by architecture: a table."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig

from ...errors import MedIMetaError

# Full supervision and multi-task pre-training. Published: ResNet-18 and ResNet-50. The others are set by this project.
RATES = {
    "resnet18": 1e-3,
    "resnet50": 1e-4,
    "tiny": 1e-3,  # the small random ViT of --tiny
}
OTHER = 1e-4  # every larger architecture, ViT included


def learning_rate(model: str | None) -> float:
    """Return the default learning rate of a checkpoint, by its architecture and not by its name.

    Args:
        model: Hub name or folder; None for the small random ViT.

    Raises:
        MedIMetaError: If there is no such checkpoint.
    """
    if model is None:
        return RATES["tiny"]
    try:
        config = AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        why = str(error).strip().partition("\n")[0]
        raise MedIMetaError(
            f"--model {model}: {why} Give the name of a checkpoint on the Hub, or its folder."
        ) from None
    return RATES.get(architecture(config), OTHER)


def architecture(config: Any) -> str:
    """Return the name of an architecture, e.g. "resnet18" or "vit".

    Args:
        config: A configuration of transformers. ResNets are named by their number of layers, and timm models by what
            timm calls them.
    """
    if config.model_type == "resnet":
        layers = 2 + sum(config.depths) * (2 if config.layer_type == "basic" else 3)
        return f"resnet{layers}"
    if config.model_type == "timm_wrapper":
        return str(config.architecture).partition(".")[0]
    return str(config.model_type)
