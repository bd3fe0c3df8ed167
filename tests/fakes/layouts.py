"""Published layouts of checkpoints, with tiny random weights, and what their own libraries make of images."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
import transformers
from transformers import AutoImageProcessor

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
CLIP = {"image_mean": [0.481, 0.458, 0.408], "image_std": [0.269, 0.261, 0.276]}
SQUARE = {"size": {"height": 224, "width": 224}}
SHORTEST = {"size": {"shortest_edge": 224}}
CROPPED = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
BILINEAR, BICUBIC = 2, 3
T = transformers


def config(kind, **settings):
    return getattr(T, f"{kind}Config")(**settings)


def classifier(kind, **settings):
    return lambda: getattr(T, f"{kind}ForImageClassification")(config(kind, num_labels=5, **settings))


def image_text(kind, size):
    def make():
        words = {"vocab_size": 20, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
        projection = {"projection_dim": 24} if kind == "CLIP" else {}
        text = config(f"{kind}Text", **SMALL, **words).to_dict()
        vision = config(f"{kind}Vision", **SMALL, image_size=size, patch_size=32).to_dict()
        return getattr(T, f"{kind}Model")(config(kind, text_config=text, vision_config=vision, **projection))

    return make


def pooled(model, values):
    return model.base_model(values).pooler_output.flatten(1)


def cls_token(model, values):
    return model.base_model(values).last_hidden_state[:, 0]


def cls_and_patches(model, values):
    states = model.base_model(values).last_hidden_state
    return torch.cat([states[:, 0], states[:, 1:].mean(dim=1)], dim=1)


def projected(model, values):
    output = model.vision_model(values).pooler_output
    return model.visual_projection(output) if hasattr(model, "visual_projection") else output


@dataclass
class Layout:
    make: Callable
    processor: dict
    reference: Callable
    width: int
    size: int = 224
    resize: int = 224
    interpolation: str = "bilinear"


def layout(make, kind, reference, width, *settings, **expected):
    processor = {"image_processor_type": f"{kind}ImageProcessor"}
    for part in settings:
        processor |= part
    return Layout(make, processor, reference, width, **expected)


RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1]}
BIC = {"resample": BICUBIC}
LAYOUTS = {
    "ViT": layout(
        classifier("ViT", **SMALL, patch_size=32), "ViT", cls_token, 32, SQUARE, HALF, {"resample": BILINEAR}
    ),
    "ViT-384": layout(
        classifier("ViT", **SMALL, patch_size=32, image_size=384), "ViT", cls_token, 32,
        {"size": {"height": 384, "width": 384}}, HALF, {"resample": BILINEAR}, size=384, resize=384,
    ),
    "DeiT": layout(
        classifier("DeiT", **SMALL, patch_size=32), "DeiT", cls_token, 32,
        {"size": {"height": 256, "width": 256}}, CROPPED, IMAGENET, BIC, resize=256, interpolation="bicubic",
    ),
    "Swin": layout(
        classifier("Swin", embed_dim=12, depths=[1, 1], num_heads=[1, 2]), "ViT", pooled, 24, SQUARE, IMAGENET, BIC,
        interpolation="bicubic",
    ),
    "ConvNeXt": layout(
        classifier("ConvNext", hidden_sizes=[8, 8, 16, 24], depths=[1, 1, 1, 1]), "ConvNext", pooled, 24, SHORTEST,
        IMAGENET, BIC, {"crop_pct": 0.875}, resize=256, interpolation="bicubic",
    ),
    "ConvNeXt-384": layout(
        classifier("ConvNext", hidden_sizes=[8, 8, 16, 24], depths=[1, 1, 1, 1]), "ConvNext", pooled, 24,
        {"size": {"shortest_edge": 384}}, IMAGENET, BIC, {"crop_pct": 1.0}, size=384, resize=384,
        interpolation="bicubic",
    ),
    "ResNet": layout(
        classifier("ResNet", **RESNET), "ConvNext", pooled, 32, SHORTEST, IMAGENET, BIC, {"crop_pct": 0.875},
        resize=256, interpolation="bicubic",
    ),
    "ResNet, crop of an odd border": layout(
        classifier("ResNet", **RESNET), "ConvNext", pooled, 32, SHORTEST, IMAGENET, BIC, {"crop_pct": 0.95},
        resize=235, interpolation="bicubic",
    ),
    "DINOv2, config 518": layout(
        classifier("Dinov2", **{**SMALL, "mlp_ratio": 2}, image_size=518, patch_size=14), "Bit", cls_and_patches, 64,
        {"size": {"shortest_edge": 256}}, CROPPED, IMAGENET, BIC, resize=256, interpolation="bicubic",
    ),
    "CLIP-224": layout(
        image_text("CLIP", 224), "CLIP", projected, 24, SHORTEST, CROPPED, CLIP, BIC, interpolation="bicubic"
    ),
    "CLIP, as it was published": Layout(
        image_text("CLIP", 224),
        {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "do_center_crop": True,
         "do_resize": True, "do_normalize": True, **CLIP, **BIC},
        projected, 24, interpolation="bicubic",
    ),
    "CLIP-336": layout(
        image_text("CLIP", 336), "CLIP", projected, 24, {"size": {"shortest_edge": 336}},
        {"do_center_crop": True, "crop_size": {"height": 336, "width": 336}}, CLIP, BIC, size=336, resize=336,
        interpolation="bicubic",
    ),
    "SigLIP": layout(
        image_text("Siglip", 224), "Siglip", projected, 32, SQUARE, HALF, BIC, interpolation="bicubic"
    ),
    "SigLIP2": layout(  # of one size: the format of SigLIP, with other settings
        image_text("Siglip", 256), "Siglip", projected, 32, {"size": {"height": 256, "width": 256}}, HALF,
        {"resample": BILINEAR}, size=256, resize=256,
    ),
    "BiT": layout(
        classifier("Bit", **RESNET, num_groups=4), "Bit", pooled, 32, SHORTEST, CROPPED, HALF, {"resample": BILINEAR}
    ),
    "EfficientNet": layout(
        classifier("EfficientNet", image_size=224, hidden_dim=320, width_coefficient=0.25, depth_coefficient=0.25),
        "EfficientNet", pooled, 320, SQUARE, IMAGENET, {"resample": 0, "include_top": True}, interpolation="nearest",
    ),
}  # fmt: skip


def saved(layout, folder):
    torch.manual_seed(0)
    model = layout.make().eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(layout.processor))
    return model


def library_features(layout, model, folder, pixels):
    option = {"backend": "pil"} if transformers.__version__ >= "5" else {"use_fast": False}
    processor = AutoImageProcessor.from_pretrained(folder, **option)
    values = processor(images=list(pixels), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        return layout.reference(model, values).numpy()


def save_text_model(folder):
    """Write a tiny BERT with its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "cells"])}
    tokens = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, **special).save_pretrained(folder)
    transformers.BertModel(transformers.BertConfig(vocab_size=len(words), **SMALL)).save_pretrained(folder)
