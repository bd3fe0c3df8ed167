"""Zero-shot classifiers from image-text models such as CLIP and SigLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import normalize
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig, PreTrainedTokenizerFast

from ...builders.images import SIDE
from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from .backbone import Backbone, width_of
from .libraries.transformers_models import TransformersBackbone, projected
from .models import TINY_PROCESSOR, TINY_TRANSFORM, load_backbone
from .prompts import Prompts, prompts_of

TINY: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}


class ZeroShot:
    """A classifier whose classes are described by sentences.

    Args:
        backbone: An image-text model.

    Raises:
        MedIMetaError: If it takes no text.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self.scale = backbone.logit_scale
        self._vectors: dict[tuple[str, ...], torch.Tensor] = {}

    @property
    def width(self) -> int:
        """Number of features."""
        return width_of(self.backbone)

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return unit vectors, shape (N, width), of pixels, shape (N, 3, size, size)."""
        return normalize(self.backbone(pixels).float(), dim=-1)

    @torch.no_grad()
    def sentences(self, asked: Sequence[tuple[str, ...]]) -> torch.Tensor:
        """Return unit vectors of labels, shape (n, width): the mean over the sentences of each. They are cached."""
        for several in asked:
            if several not in self._vectors:
                vectors = self.backbone.texts(several).float()
                self._vectors[several] = normalize(normalize(vectors, dim=-1).mean(dim=0), dim=0)
        return torch.stack([self._vectors[several] for several in asked])

    @torch.no_grad()
    def logits(self, task: Task, images: torch.Tensor, prompts: Prompts | None = None) -> torch.Tensor:
        """Return the logits of images.

        Args:
            task: The task; only its labels are compared.
            images: Unit vectors from `images`, shape (N, width).
            prompts: Sentences of the task; by default those of `prompts_of`.

        Returns:
            Logits, shape (N, k). Binary: shape (N, 1), similarity to the second label minus that to the first.
            Multilabel: similarity to the presence of a label minus that to its absence.
        """
        asked = prompts or prompts_of(task)
        images = images * self.scale
        shows = images @ self.sentences(asked.shows).T
        if asked.lacks is not None:
            return shows - images @ self.sentences(asked.lacks).T
        return shows[:, 1:] - shows[:, :1] if task.kind == "binary" else shows


def load_zero_shot(name: str | None) -> ZeroShot:
    """Return the zero-shot classifier of an image-text model.

    Args:
        name: A name as for `models.load_backbone`, of an image-text model; None for a small random CLIP (seed torch
            first).

    Raises:
        MedIMetaError: If the model cannot be loaded, or is not an image-text model.
    """
    if name is None:
        model, tokenizer = tiny_clip()
        return ZeroShot(TransformersBackbone(model, projected, TINY_TRANSFORM, TINY_PROCESSOR, tokenizer))
    return ZeroShot(load_backbone(name))


def tiny_clip(size: int = SIDE) -> tuple[CLIPModel, PreTrainedTokenizerFast]:
    """Return a small CLIP with random weights, whose tokens are the words of all prompts, and its tokenizer.

    Args:
        size: Height and width of the images.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    asked = [prompts_of(task) for task in DATASETS.tasks()]
    texts = [text for one in asked for several in (*one.shows, *(one.lacks or ())) for text in several]
    lower, split = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    words = sorted({word for text in texts for word, _ in split.pre_tokenize_str(lower.normalize_str(text))})
    special = ["<start>", "<end>", "<pad>", "<unknown>"]
    tokens = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*words, *special])}, unk_token=special[3]))
    tokens.normalizer, tokens.pre_tokenizer = lower, split
    start, end, pad, _ = (tokens.token_to_id(token) for token in special)
    tokens.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", start), ("<end>", end)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        pad_token=special[2],
        unk_token=special[3],
        model_max_length=77,
    )
    text: dict[str, Any] = {
        "vocab_size": len(words) + 4,
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": pad,
    }
    config = CLIPConfig(
        text_config=CLIPTextConfig(**TINY, **text).to_dict(),
        vision_config=CLIPVisionConfig(**TINY, image_size=size, patch_size=16).to_dict(),
        projection_dim=64,
    )
    return CLIPModel(config), tokenizer
