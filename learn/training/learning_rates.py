"""Default learning rates, by architecture."""

from __future__ import annotations

from ..encoders.libraries.names import architecture
from ..encoders.loading import is_python

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
        model: A name as for `models.load_backbone`; None for the small random ViT.

    Raises:
        MedIMetaError: If the checkpoint does not exist.
    """
    if model is None:
        return RATES["tiny"]
    return OTHER if is_python(model) else RATES.get(architecture(model), OTHER)
