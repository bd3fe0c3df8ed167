"""Backbones from transformers checkpoints, on the Hub or in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers import logging as transformers_logging
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

from ....errors import MedIMetaError
from ..backbone import Backbone
from ..transform import ImageTransform
from .processors import CONFIG, settings_of, transform_of

TOWER = ":tower"  # after the name of an image-text checkpoint: features before the projection
Pool = Callable[[Any, torch.Tensor], Any]


class TransformersBackbone(Backbone):
    """A transformers model that returns its features alone.

    Args:
        network: The model.
        pool: Returns features from the model and pixels.
        transform: Its preprocessing.
        processor: Content of its preprocessor_config.json; empty for a timm checkpoint, which has none.
        tokenizer: That of an image-text model, or the checkpoint to load it from.
    """

    libraries: tuple[str, ...] = ("transformers",)

    def __init__(
        self,
        network: PreTrainedModel,
        pool: Pool,
        transform: ImageTransform,
        processor: Mapping[str, Any],
        tokenizer: Any = None,
    ) -> None:
        super().__init__(network, transform)
        self.pool, self.processor, self._tokenizer = pool, dict(processor), tokenizer
        if network.config.model_type == "timm_wrapper":
            self.libraries = ("transformers", "timm")

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Return features, shape (N, width), of pixels, shape (N, 3, size, size)."""
        features: torch.Tensor = self.pool(self.network, pixel_values)
        return features

    def texts(self, sentences: Sequence[str]) -> torch.Tensor:
        """Return the projected vectors of sentences; see `Backbone.texts`."""
        network: Any = self.network
        if self.pool is not projected:
            raise self._not_image_text()
        if isinstance(self._tokenizer, str):
            self._tokenizer = AutoTokenizer.from_pretrained(self._tokenizer, trust_remote_code=False)
        # SigLIP was trained on sentences padded to their full length.
        padding = "max_length" if network.config.model_type.startswith("siglip") else True
        longest = getattr(network.config.text_config, "max_position_embeddings", None)
        tokens = self._tokenizer(
            list(sentences), padding=padding, truncation=True, max_length=longest, return_tensors="pt"
        )
        names = [name for name in ("input_ids", "attention_mask") if name in tokens]
        return _unwrapped(network.get_text_features(**{name: tokens[name].to(self.device) for name in names}))

    @property
    def logit_scale(self) -> float:
        """The factor of cosine similarities; see `Backbone.logit_scale`."""
        if self.pool is not projected:
            raise self._not_image_text()
        network: Any = self.network
        return float(network.logit_scale.detach().exp())

    def save_pretrained(self, folder: Path) -> None:
        """Write a checkpoint without a head, as `AutoModel` opens it."""
        own: Any = self.network.base_model if self.pool is before_head else self.network
        own.save_pretrained(folder)
        save_processor(self.processor, folder)

    def restore(self, folder: Path) -> None:
        """Load the weights that `save_pretrained` wrote."""
        self.load_state_dict(load(str(folder) + (TOWER if self.pool is tower else "")).state_dict())


def load(name: str) -> TransformersBackbone:
    """Load a checkpoint as features and preprocessing.

    Image-text models give projected image features, or with ":tower" after the name those before the projection.
    Image classifiers give the input of their head: the CLS token of a ViT, pooled features of a ResNet, the CLS token
    and the mean of the patch tokens of DINOv2. Other models give their pooled output.

    Args:
        name: The checkpoint, on the Hub or in a folder. Code in it is never run.

    Raises:
        MedIMetaError: If the checkpoint lacks weights, or its preprocessing cannot be reproduced.
        OSError: If the checkpoint does not exist; other errors of transformers if it cannot be read.
    """
    place = name.removesuffix(TOWER)
    with quiet():
        config = AutoConfig.from_pretrained(place, trust_remote_code=False)
        processor = {} if config.model_type == "timm_wrapper" else settings_of(place)
        transform = transform_of(place, config)
        network, pool = _model(name, place, config)
    return TransformersBackbone(network, pool, transform, processor, place)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers, which reports the head that is left out."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def save_processor(settings: Mapping[str, Any], folder: Path) -> None:
    """Write preprocessor_config.json, so that `pipeline("image-classification", folder)` preprocesses alike."""
    if settings:
        (folder / CONFIG).write_text(json.dumps(settings, indent=2, default=list) + "\n", encoding="utf-8")


def projected(model: Any, pixels: torch.Tensor) -> Any:
    """Return the image features of an image-text model."""
    return _unwrapped(model.get_image_features(pixel_values=pixels))


def tower(model: Any, pixels: torch.Tensor) -> Any:
    """Return the image features of an image-text model before their projection."""
    return model.vision_model(pixel_values=pixels).pooler_output


def before_head(model: Any, pixels: torch.Tensor) -> Any:
    """Return the input of an image classifier's head, from a classifier that was loaded without outputs."""
    return model(pixel_values=pixels).logits


def pooled(model: Any, pixels: torch.Tensor) -> Any:
    """Return the pooled output of a model."""
    output = model(pixel_values=pixels)
    if getattr(output, "pooler_output", None) is None:
        raise MedIMetaError(
            f"{type(model).__name__} has no pooled output. Pass a module that pools to medimeta.encoder."
        )
    return output.pooler_output.flatten(1)


def _model(name: str, place: str, config: PretrainedConfig) -> tuple[PreTrainedModel, Pool]:
    if hasattr(config, "vision_config") and hasattr(config, "text_config"):
        return _loaded(place, AutoModel), tower if name.endswith(TOWER) else projected
    if name != place:
        raise MedIMetaError(f"{place} is not an image-text model, so it has no tower. Leave out {TOWER}.")
    if type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING and config.model_type != "timm_wrapper":
        return _loaded(place, AutoModelForImageClassification, num_labels=0), before_head
    return _loaded(place, AutoModel), pooled


def _loaded(place: str, kind: Any, **options: Any) -> PreTrainedModel:
    model, report = kind.from_pretrained(place, trust_remote_code=False, output_loading_info=True, **options)
    if missing := sorted(report["missing_keys"]):
        raise MedIMetaError(
            f"{place} lacks {len(missing)} of the weights of {type(model).__name__}, such as {missing[0]}: they would "
            "be random. Give a checkpoint of the whole model."
        )
    whole: PreTrainedModel = model.float()
    return whole


def _unwrapped(output: Any) -> torch.Tensor:
    """Return the vectors, which newer versions of transformers wrap in an output."""
    vectors: torch.Tensor = getattr(output, "pooler_output", output)
    return vectors
