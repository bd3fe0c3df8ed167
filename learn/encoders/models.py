"""Models for training: a backbone by name or a small random ViT, with or without a head, and its preprocessing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModelForImageClassification,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
)

from ...builders.images import SIDE
from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.atomic import whole_folder
from .backbone import Backbone, width_of
from .encoder import Encoder
from .libraries import names, transformers_models
from .libraries.transformers_models import TransformersBackbone
from .loading import encoder_from_file, is_python
from .transform import ImageTransform

TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "patch_size": 16}
TINY_TRANSFORM = ImageTransform(mean=(0.5,) * 3, std=(0.5,) * 3)
HEAD = "head.safetensors"  # of a model whose library has no image classifier for the backbone


class Classifier(nn.Module):
    """An image classifier: one of transformers, or a backbone of any library with a linear head.

    Args:
        network: An image classifier of transformers, or a backbone.
        transform: Its preprocessing.
        processor: Content of the preprocessor_config.json of an image classifier of transformers.
        outputs: Number of logits of the new head of a backbone; its weights are random.

    Attributes:
        transform: The preprocessing.
    """

    def __init__(
        self,
        network: PreTrainedModel | Backbone,
        transform: ImageTransform,
        *,
        processor: Mapping[str, Any] | None = None,
        outputs: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.transform, self._processor = network, transform, dict(processor or {})
        self.head = nn.Linear(width_of(network), outputs) if isinstance(network, Backbone) else None

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        """Return `logits`, shape (N, outputs), of pixels, shape (N, 3, size, size)."""
        if self.head is None:
            return SimpleNamespace(logits=self.network(pixel_values=pixel_values).logits)
        return SimpleNamespace(logits=self.head(self.network(pixel_values)))

    def save_pretrained(self, folder: Path) -> None:
        """Write the model and its preprocessing.

        An image classifier is written as `AutoModelForImageClassification` opens it; a backbone in the format of its
        library, with the head next to it.
        """
        network: Any = self.network
        network.save_pretrained(folder)
        if self.head is None:
            transformers_models.save_processor(self._processor, folder)
        else:
            save_file(
                {name: weight.detach().cpu().contiguous() for name, weight in self.head.state_dict().items()},
                folder / HEAD,
            )

    def restore(self, folder: Path) -> None:
        """Load the weights that `save_pretrained` wrote."""
        if self.head is None:
            self.network.load_state_dict(AutoModelForImageClassification.from_pretrained(folder).state_dict())
        else:
            network: Any = self.network
            network.restore(folder)
            self.head.load_state_dict(load_file(folder / HEAD))


def load_model(name: str | None, task: Task) -> Classifier:
    """Return a model with a new head for a task.

    The weights of the head are random: seed torch first.

    Args:
        name: A name as for `load_backbone`, with or without its own head; None for a small random ViT.
        task: The task; its labels become the names of the outputs.

    Raises:
        MedIMetaError: As `load_backbone`.
    """
    if name is None:
        network: PreTrainedModel = ViTForImageClassification(
            _labelled(ViTConfig.from_dict({**TINY, "image_size": SIDE}), task)
        )
        return Classifier(network, TINY_TRANSFORM, processor=TINY_PROCESSOR)
    backbone = load_backbone(name)
    if (
        not isinstance(backbone, TransformersBackbone)
        or backbone.pool is not transformers_models.before_head
        or "peft" in backbone.libraries
    ):
        return Classifier(backbone, backbone.transform, outputs=len(task.labels))
    headless: Any = backbone.network
    network = type(headless)(_labelled(copy.deepcopy(headless.config), task))
    network.load_state_dict(headless.state_dict(), strict=False)  # all but the head
    for parameter, weight in headless.named_parameters():
        network.get_parameter(parameter).requires_grad_(weight.requires_grad)
    return Classifier(network, backbone.transform, processor=backbone.processor)


def load_backbone(name: str | None) -> Backbone:
    """Return a model without a head, with the features and the preprocessing of `medimeta.encoder`.

    Weights that do not influence the features are frozen.

    Args:
        name: A checkpoint on the Hub or in a folder, "timm:NAME", "open_clip:NAME/PRETRAINED", or
            "path/to/file.py:function"; None for a small random ViT.

    Raises:
        MedIMetaError: If the model cannot be loaded, or is a function without weights.
    """
    if name is None:
        network = ViTForImageClassification(ViTConfig.from_dict({**TINY, "image_size": SIDE, "num_labels": 0}))
        backbone: Backbone = TransformersBackbone(
            network, transformers_models.before_head, TINY_TRANSFORM, TINY_PROCESSOR
        )
    elif is_python(name):
        backbone = _trainable(encoder_from_file(name))
    else:
        backbone = names.load(name)
    backbone.train_what_decides()
    return backbone


def channels_last(model: Any) -> Any:
    """Return the model in the memory format in which convolutions are faster on a GPU."""
    return model.to(memory_format=torch.channels_last)


def save_model(folder: Path, *parts: Any) -> None:
    """Save all parts with `save_pretrained` into a folder, which is written or replaced atomically."""
    with whole_folder(folder) as fresh:
        for part in parts:
            part.save_pretrained(fresh)


def _labelled(config: Any, task: Task) -> Any:
    config.id2label = dict(enumerate(task.labels))
    config.label2id = {label: i for i, label in enumerate(task.labels)}
    config.problem_type = f"{'multi' if task.kind == 'multilabel' else 'single'}_label_classification"
    return config


def _trainable(encoder: Encoder) -> Backbone:
    if isinstance(encoder.model, Backbone):
        return encoder.model
    if not isinstance(encoder.model, nn.Module):
        raise MedIMetaError(
            f"Encoder {encoder.name!r} is a function, which has no weights to train. Give medimeta.encoder a "
            "torch.nn.Module, or evaluate the function with medimeta bench."
        )
    return Backbone(encoder.model, encoder.transform)


TINY_PROCESSOR: Mapping[str, Any] = {
    "image_processor_type": "ViTImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": int(Image.Resampling.BILINEAR),
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": TINY_TRANSFORM.mean,
    "image_std": TINY_TRANSFORM.std,
}
