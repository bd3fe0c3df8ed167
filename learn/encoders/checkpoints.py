"""Encoders from transformers checkpoints, on the Hub or in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification, PretrainedConfig, PreTrainedModel
from transformers import logging as transformers_logging
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

from ...errors import MedIMetaError, MissingExtra
from .processors import transform_of
from .transform import ImageTransform

TOWER = ":tower"  # after the name of an image-text checkpoint: features before the projection
Pool = Callable[[PreTrainedModel, torch.Tensor], Any]


class Features(nn.Module):
    """A transformers model that returns its features alone.

    Args:
        model: The model.
        pool: Returns features from the model and pixels.
    """

    def __init__(self, model: PreTrainedModel, pool: Pool) -> None:
        super().__init__()
        self.model, self.pool = model, pool

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features, shape (N, width), of pixels, shape (N, 3, size, size)."""
        features: torch.Tensor = self.pool(self.model, pixels)
        return features


def load_checkpoint(name: str) -> tuple[Features, ImageTransform]:
    """Load a checkpoint as features and preprocessing.

    Image-text models give projected image features, or with ":tower" after the name those before the projection.
    Image classifiers give what their head gets: the CLS token of a ViT, pooled features of a ResNet, the CLS token and
    the mean patch of DINOv2. Other models give their pooled output.

    Args:
        name: The checkpoint, on the Hub or in a folder. Code in it is never run.

    Raises:
        MissingExtra: If it needs a library that is not installed.
        MedIMetaError: If it cannot be loaded, lacks weights, or its preprocessing cannot be reproduced.
    """
    place = name.removesuffix(TOWER)
    if (Path(place) / "open_clip_config.json").is_file():
        raise MissingExtra(f"{place} is an open_clip checkpoint, which is not supported yet. Give a transformers one.")
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # it reports the head that is left out
    try:
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
        transform = transform_of(place, config)
        return Features(*_model(name, place, config)), transform
    except ImportError as error:
        needed = "timm and torchvision" if "timm" in str(error) else str(error).strip().splitlines()[0]
        raise MissingExtra(f"{place} needs {needed}. Install it, and rerun.") from error
    except MedIMetaError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MedIMetaError(
            f"{place} cannot be loaded as a transformers checkpoint: {reason} Give ORG/MODEL, a folder with "
            "config.json and weights, or path/to/file.py:function.",
            code="encoder-not-loaded",
        ) from error
    finally:
        transformers_logging.set_verbosity(verbosity)


def _model(name: str, place: str, config: PretrainedConfig) -> tuple[PreTrainedModel, Pool]:
    if hasattr(config, "vision_config") and hasattr(config, "text_config"):
        return _loaded(place, AutoModel), _tower if name.endswith(TOWER) else _projected
    if name != place:
        raise MedIMetaError(f"{place} is not an image-text model, so it has no tower. Leave out {TOWER}.")
    if type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING and config.model_type != "timm_wrapper":
        return _loaded(place, AutoModelForImageClassification, num_labels=0), _before_head
    return _loaded(place, AutoModel), _pooled


def _loaded(place: str, kind: Any, **options: Any) -> PreTrainedModel:
    model, report = kind.from_pretrained(place, trust_remote_code=False, output_loading_info=True, **options)
    if missing := sorted(report["missing_keys"]):
        raise MedIMetaError(
            f"{place} lacks {len(missing)} of the weights of {type(model).__name__}, such as {missing[0]}: they would "
            "be random. Give a checkpoint of the whole model."
        )
    loaded: PreTrainedModel = model.float()
    return loaded


def _projected(model: Any, pixels: torch.Tensor) -> Any:
    output = model.get_image_features(pixel_values=pixels)
    return getattr(output, "pooler_output", output)  # newer versions of transformers wrap it


def _tower(model: Any, pixels: torch.Tensor) -> Any:
    return model.vision_model(pixel_values=pixels).pooler_output


def _before_head(model: PreTrainedModel, pixels: torch.Tensor) -> Any:
    return model(pixel_values=pixels).logits


def _pooled(model: PreTrainedModel, pixels: torch.Tensor) -> Any:
    output = model(pixel_values=pixels)
    if getattr(output, "pooler_output", None) is None:
        raise MedIMetaError(
            f"{type(model).__name__} has no pooled output. Pass a module that pools to medimeta.encoder."
        )
    return output.pooler_output.flatten(1)
