"""Image-text models of open_clip: `open_clip:NAME/PRETRAINED`, and checkpoints on the Hub or in a folder."""

# The library is an optional extra.
# pyright: reportMissingImports=false
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import nn

from ....errors import MedIMetaError
from ..backbone import Backbone
from ..transform import ImageTransform

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"


class OpenClipBackbone(Backbone):
    """An image-text model that returns projected image features.

    Args:
        network: The model.
        transform: Its preprocessing.
        name: Name of the model in open_clip.
        config: Content of the model's open_clip_config.json.
    """

    libraries: tuple[str, ...] = ("open_clip_torch",)

    def __init__(self, network: nn.Module, transform: ImageTransform, name: str, config: dict[str, Any]) -> None:
        super().__init__(network, transform)
        self.name, self.config = name, config
        if "timm_model_name" in config["model_cfg"]["vision_cfg"]:
            self.libraries = (*self.libraries, "timm")
        self._tokenizer: Any = None

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return features, shape (N, width), of pixels, shape (N, 3, size, size)."""
        network: Any = self.network
        features: torch.Tensor = network.encode_image(pixel_values)
        return features

    def texts(self, sentences: Sequence[str]) -> torch.Tensor:
        """Return the projected vectors of sentences; see `Backbone.texts`."""
        import open_clip

        network: Any = self.network
        if self._tokenizer is None:
            self._tokenizer = open_clip.get_tokenizer(self.name)
        vectors: torch.Tensor = network.encode_text(self._tokenizer(list(sentences)).to(self.device))
        return vectors

    @property
    def logit_scale(self) -> float:
        """The factor of cosine similarities; see `Backbone.logit_scale`."""
        network: Any = self.network
        return float(network.logit_scale.detach().exp())

    def save_pretrained(self, folder: Path) -> None:
        """Write weights and open_clip_config.json."""
        save_model(self.network, str(folder / WEIGHTS))
        (folder / CONFIG).write_text(json.dumps(self.config, indent=2) + "\n", encoding="utf-8")

    def restore(self, folder: Path) -> None:
        """Load the weights that `save_pretrained` wrote."""
        load_model(self.network, folder / WEIGHTS)


def load(name: str) -> OpenClipBackbone:
    """Load a model with its pre-trained weights.

    Args:
        name: "NAME/PRETRAINED" as in `open_clip.list_pretrained()`, "ORG/MODEL" on the Hub, or a folder with
            open_clip_config.json and weights.

    Raises:
        ImportError: If open_clip cannot be imported.
        MedIMetaError: If no pre-trained weights are named, the model does not exist, or its preprocessing is unknown.
    """
    import open_clip

    own, pretrained = name, None
    if Path(name).is_dir():
        own = f"local-dir:{name}"
    elif not name.startswith("hf-hub:") and "/" in name and not open_clip.get_model_config(name.partition("/")[0]):
        own = f"hf-hub:{name}"
    elif not name.startswith("hf-hub:"):
        own, _, pretrained = name.partition("/")
        tags = open_clip.list_pretrained_tags_by_model(own)
        if pretrained not in tags and not Path(pretrained).is_file():
            known = (
                f"its weights: {', '.join(tags)}" if tags else f"models: {', '.join(open_clip.list_models()[:8])}, ..."
            )
            raise MedIMetaError(
                f"open_clip:{name} must be NAME/PRETRAINED, as in open_clip.list_pretrained(); {known}.",
                code="encoder-not-loaded",
            )
    network: Any = open_clip.create_model(
        own, pretrained=pretrained or None, precision="fp32", device="cpu", require_pretrained=True
    )
    settings = network.visual.preprocess_cfg
    config = {"model_cfg": dict(open_clip.get_model_config(own)), "preprocess_cfg": _saved(settings)}
    return OpenClipBackbone(network.float(), _transform(name, settings), own, config)


def _saved(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: settings[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in settings}


def _transform(name: str, settings: dict[str, Any]) -> ImageTransform:
    """Return the evaluation preprocessing; for square images all modes of resizing are equivalent."""
    size = settings["size"]
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1 or settings.get("mode", "RGB") != "RGB":
        raise MedIMetaError(f"open_clip:{name} takes {settings.get('mode')} images of {size}; they must be square RGB.")
    return ImageTransform(
        size=sides.pop(),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        interpolation="bilinear" if settings["interpolation"] == "bilinear" else "bicubic",
    )
