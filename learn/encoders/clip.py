"""Zero-shot classifiers from image-text models such as CLIP and SigLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import (
    AutoModel,
    AutoTokenizer,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from ...builders.images import SIDE
from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError
from .models import Preprocessing, preprocessing_of
from .prompts import Prompts, prompts_of

TINY: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}


class ZeroShot(nn.Module):
    """A classifier whose classes are described by sentences.

    Args:
        model: A model with `get_text_features`, `get_image_features` and `logit_scale`, such as `CLIPModel`.
        tokenizer: Tokenizer of the model.

    Raises:
        MedIMetaError: If the model lacks one of these.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: Any) -> None:
        super().__init__()
        needed = ("get_text_features", "get_image_features", "logit_scale")
        if missing := [name for name in needed if not hasattr(model, name)]:
            raise MedIMetaError(
                f"{type(model).__name__} is not an image-text model: it has no {', '.join(missing)}. Give a checkpoint "
                "such as openai/clip-vit-base-patch32."
            )
        self.model: Any = model.eval()  # `PreTrainedModel` does not declare what was checked above
        self.tokenizer = tokenizer
        self.width = int(
            model.config.projection_dim
            if hasattr(model.config, "projection_dim")
            else model.config.vision_config.hidden_size
        )
        self._vectors: dict[tuple[str, ...], torch.Tensor] = {}

    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return unit vectors, shape (N, width), of pixels, shape (N, 3, size, size)."""
        return normalize(_pooled(self.model.get_image_features(pixel_values=pixels)).float(), dim=-1)

    @torch.no_grad()
    def sentences(self, asked: Sequence[tuple[str, ...]]) -> torch.Tensor:
        """Return unit vectors of labels, shape (n, width): the mean over the sentences of each. They are cached."""
        for several in asked:
            if several not in self._vectors:
                # SigLIP was trained on sentences padded to their full length.
                padding = "max_length" if self.model.config.model_type.startswith("siglip") else True
                tokens = self.tokenizer(list(several), padding=padding, truncation=True, return_tensors="pt")
                names = [name for name in ("input_ids", "attention_mask") if name in tokens]
                vectors = self.model.get_text_features(**{n: tokens[n].to(self.model.device) for n in names})
                self._vectors[several] = normalize(normalize(_pooled(vectors).float(), dim=-1).mean(dim=0), dim=0)
        return torch.stack([self._vectors[several] for several in asked])

    @torch.no_grad()
    def logits(self, task: Task, images: torch.Tensor, prompts: Prompts | None = None) -> torch.Tensor:
        """Classify images.

        Args:
            task: The task; only its labels are compared.
            images: Unit vectors from `images`, shape (N, width).
            prompts: Sentences of the task; by default those of `prompts_of`.

        Returns:
            Logits, shape (N, k). Binary: shape (N, 1), similarity to the second label minus that to the first.
            Multilabel: similarity to the presence of a label minus that to its absence.
        """
        asked = prompts or prompts_of(task)
        images = images * self.model.logit_scale.detach().exp().float()
        shows = images @ self.sentences(asked.shows).T
        if asked.lacks is not None:
            return shows - images @ self.sentences(asked.lacks).T
        return shows[:, 1:] - shows[:, :1] if task.kind == "binary" else shows


def load_zero_shot(name: str | None) -> tuple[ZeroShot, Preprocessing]:
    """Load a zero-shot classifier and its preprocessing.

    Args:
        name: A checkpoint on the Hub or in a folder; None for a small random CLIP (seed torch first).
    """
    if name is None:
        return ZeroShot(*tiny_clip()), Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    model = AutoModel.from_pretrained(name).float()
    return ZeroShot(model, AutoTokenizer.from_pretrained(name)), preprocessing_of(name, model.vision_model)


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


def _pooled(output: Any) -> torch.Tensor:
    """Return the vectors, which newer versions of transformers wrap in an output."""
    vectors: torch.Tensor = getattr(output, "pooler_output", output)
    return vectors
