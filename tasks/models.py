"""Models for the training scripts: a checkpoint or a tiny random ViT with a task's head, and its preprocessing."""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageClassification, PreTrainedModel, ViTConfig, ViTForImageClassification
from transformers.image_processing_base import ImageProcessingMixin

from ..builders.images import SIDE
from ..cards.catalogue import Task

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TINY = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "patch_size": 16}


@dataclass(frozen=True)
class Preprocessing:
    """From rows of a task view to a batch of tensors, without torchvision; also the collate function of a DataLoader.

    Attributes:
        size: Height and width that the model wants.
        mean: Mean per channel, of values from 0 to 1.
        std: Standard deviation per channel.
    """

    size: int = SIDE
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Stack rows into `pixel_values` (N, 3, size, size), float32, and `labels` (N,), int64, or (N, k), float32."""
        pixels = torch.from_numpy(np.stack([self._rgb(row["image"]) for row in rows]))
        pixels = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return {
            "pixel_values": pixels.div_(255).sub_(mean).div_(std),
            "labels": torch.tensor([row["label"] for row in rows]),
        }

    def _rgb(self, image: Image.Image) -> np.ndarray:
        if image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return np.asarray(image.convert("RGB"))  # repeats grey three times

    def save_pretrained(self, folder: Path) -> None:
        """Write preprocessor_config.json, so that `pipeline("image-classification", folder)` does the same."""
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


def load_model(args: argparse.Namespace, task: Task) -> tuple[PreTrainedModel, Preprocessing]:
    """A model with a new head for the task, and the preprocessing that it was trained with.

    Seed the generators first: the head's weights are drawn here.
    """
    head = {
        "id2label": dict(enumerate(task.labels)),
        "label2id": {name: i for i, name in enumerate(task.labels)},
        "problem_type": f"{'multi' if task.target == 'multilabel' else 'single'}_label_classification",
    }
    if args.tiny:
        model = ViTForImageClassification(ViTConfig(image_size=SIDE, **TINY, **head))
        return model, Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    # The checkpoint's own head has other classes; it is replaced. Weights stored in half precision are trained in full.
    model = AutoModelForImageClassification.from_pretrained(args.model, ignore_mismatched_sizes=True, **head).float()
    try:
        config, _ = ImageProcessingMixin.get_image_processor_dict(args.model)
    except OSError:  # the checkpoint comes without one
        config = {}
    size = getattr(model.config, "image_size", SIDE)
    return model, Preprocessing(
        size=size if isinstance(size, int) else size[0],
        mean=tuple(config.get("image_mean") or IMAGENET_MEAN),
        std=tuple(config.get("image_std") or IMAGENET_STD),
    )


def save_model(folder: Path, *parts: Any) -> None:
    """Write `save_pretrained` of each part into a folder that appears, or is replaced, only when it is whole."""
    fresh = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for part in parts:
        part.save_pretrained(fresh)
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)
