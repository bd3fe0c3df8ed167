"""Backbones of timm: `timm:NAME`, and checkpoints of timm on the Hub or in a folder."""

# The library is an optional extra.
# pyright: reportMissingImports=false
from __future__ import annotations

from pathlib import Path
from typing import Any

from ....errors import MedIMetaError
from ..backbone import Backbone
from .processors import timm_transform


class TimmBackbone(Backbone):
    """A timm model without its classifier, which returns pooled features.

    It is saved in timm's format, which transformers opens, too.
    """

    libraries: tuple[str, ...] = ("timm",)

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        from timm.models import save_for_hf

        network: Any = self.network
        save_for_hf(network, folder, safe_serialization=True)


def load(name: str) -> TimmBackbone:
    """Load a model with its pre-trained weights.

    Args:
        name: A name of timm, such as "vit_small_patch16_224.dino", "ORG/MODEL" on the Hub, or a folder with config.json
            and weights.

    Raises:
        ImportError: If timm cannot be imported.
        MedIMetaError: If the model does not exist, or it has no pre-trained weights.
    """
    import timm
    from timm.data import resolve_model_data_config

    if Path(name).is_dir():
        name = f"local-dir:{name}"
    elif "/" in name and ":" not in name:
        name = f"hf-hub:{name}"
    if ":" not in name and not timm.is_model(name.partition(".")[0]):
        close = timm.list_models(f"*{name.partition('.')[0]}*")[:5] or timm.list_models("vit_base*")[:5]
        raise MedIMetaError(
            f"timm {timm.__version__} has no model {name!r}. Names: {', '.join(close)}, ... "
            "(timm.list_models(pretrained=True)).",
            code="encoder-not-loaded",
        )
    network: Any = timm.create_model(name, pretrained=True, num_classes=0)
    return TimmBackbone(network.float(), timm_transform(resolve_model_data_config(network)))
