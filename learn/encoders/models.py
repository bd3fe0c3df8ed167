"""Models for training: a checkpoint or a small random ViT, with or without a head, and its preprocessing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import interpolate
from transformers import AutoModelForImageClassification, PreTrainedModel, ViTConfig, ViTForImageClassification
from transformers.image_processing_base import ImageProcessingMixin

from ...builders.images import SIDE
from ...cards.facts import Task
from ...files.atomic import whole_folder
from ..data.normalise import IMAGENET_MEAN, IMAGENET_STD, normalise

TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "patch_size": 16}


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of a checkpoint: from uint8 pixels to normalised float32, on the device of the pixels.

    Attributes:
        size: Height and width of the input of the model.
        mean: Mean per channel, of values from 0 to 1.
        std: Standard deviation per channel.
    """

    size: int = SIDE
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise pixels, repeat a grey channel three times, and resize if necessary.

        Args:
            pixels: uint8, shape (N, height, width, channels), as a `PixelDataset` with dtype=torch.uint8 returns them.

        Returns:
            float32, shape (N, 3, size, size); in channels_last format on a GPU, where convolutions are faster then.
        """
        values = normalise(pixels, mean=self.mean, std=self.std)
        if values.shape[-2:] != (self.size, self.size):
            values = interpolate(values, size=(self.size, self.size), mode="bilinear", antialias=True)
        return values if values.device.type == "cpu" else values.contiguous(memory_format=torch.channels_last)

    def save_pretrained(self, folder: Path) -> None:
        """Write preprocessor_config.json, so that `pipeline("image-classification", folder)` preprocesses alike."""
        config = {
            "image_processor_type": "ViTImageProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"height": self.size, "width": self.size},
            "resample": int(Image.Resampling.BILINEAR),
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": self.mean,
            "image_std": self.std,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def load_model(name: str | None, task: Task) -> tuple[PreTrainedModel, Preprocessing]:
    """Load a model with a new head for a task, and the preprocessing that it was trained with.

    The weights of the head are random: seed torch first.

    Args:
        name: A checkpoint on the Hub or in a folder, with or without its own head; None for a small random ViT.
        task: The task; its labels become the names of the outputs.
    """
    return _load(
        name,
        id2label=dict(enumerate(task.labels)),
        label2id={label: i for i, label in enumerate(task.labels)},
        problem_type=f"{'multi' if task.kind == 'multilabel' else 'single'}_label_classification",
    )


def load_backbone(name: str | None) -> tuple[PreTrainedModel, Preprocessing]:
    """Load a model without a head: its "logits" are the features that a head would get. See `load_model`."""
    return _load(name, num_labels=0)


def _load(name: str | None, **head: Any) -> tuple[PreTrainedModel, Preprocessing]:
    if name is None:
        model = ViTForImageClassification(ViTConfig(image_size=SIDE, **TINY, **head))
        return model, Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    # The head of the checkpoint has other classes and is replaced. Weights in half precision are trained in float32.
    model = AutoModelForImageClassification.from_pretrained(name, ignore_mismatched_sizes=True, **head).float()
    return model, preprocessing_of(name, model)


def preprocessing_of(name: str, model: PreTrainedModel) -> Preprocessing:
    """Return the preprocessing in the files of a checkpoint; that of ImageNet if there is none."""
    try:
        config, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except OSError:  # no preprocessing in the checkpoint
        config = {}
    size = getattr(model.config, "image_size", SIDE)
    return Preprocessing(
        size=size if isinstance(size, int) else size[0],
        mean=tuple(config.get("image_mean") or IMAGENET_MEAN),
        std=tuple(config.get("image_std") or IMAGENET_STD),
    )


def save_model(folder: Path, *parts: Any) -> None:
    """Save all parts with `save_pretrained` into a folder, which is written or replaced atomically."""
    with whole_folder(folder) as fresh:
        for part in parts:
            part.save_pretrained(fresh)
