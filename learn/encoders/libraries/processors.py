"""The preprocessing that the files of a transformers checkpoint describe, as an `ImageTransform`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor, PretrainedConfig
from transformers import __version__ as transformers_version
from transformers.image_processing_base import ImageProcessingMixin

from ....builders.images import SIDE
from ....errors import MedIMetaError
from ...data.normalise import IMAGENET_MEAN, IMAGENET_STD
from ..transform import ImageTransform

CONFIG = "preprocessor_config.json"
TOLERANCE = 1e-3  # largest difference from the library's own processor, in standard deviations
WITHOUT_PILLOW = {  # defaults of processors that exist only for torchvision
    "DINOv3ViTImageProcessor": {
        "size": {"height": 224, "width": 224},
        "resample": int(Image.Resampling.BILINEAR),
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
    }
}


def transform_of(name: str, config: PretrainedConfig) -> ImageTransform:
    """Return the preprocessing of a checkpoint, after comparing it with the library's own processor on an image.

    Args:
        name: The checkpoint, on the Hub or in a folder.
        config: Its configuration; that of a timm checkpoint holds the preprocessing.

    Raises:
        MedIMetaError: If the checkpoint has no preprocessing, or one that an `ImageTransform` cannot reproduce.
    """
    if config.model_type == "timm_wrapper":
        return timm_transform(config.pretrained_cfg)
    described = settings_of(name)
    kind = str(described.get("image_processor_type") or described.get("feature_extractor_type") or "")
    kind = kind.removesuffix("Fast")
    if kind in WITHOUT_PILLOW:
        return _from_settings(name, kind, {**WITHOUT_PILLOW[kind], **described})
    pillow: dict[str, Any] = {"backend": "pil"} if int(transformers_version.split(".")[0]) >= 5 else {"use_fast": False}
    try:
        processor = AutoImageProcessor.from_pretrained(name, **pillow)
    except (ImportError, ValueError) as error:
        raise MedIMetaError(f"The image processor of {name} cannot be loaded: {_first_line(error)}") from error
    transform = _from_settings(name, type(processor).__name__, processor.to_dict())
    _compare(name, transform, processor)
    return transform


def settings_of(name: str) -> dict[str, Any]:
    """Return the content of a checkpoint's preprocessor_config.json.

    Raises:
        MedIMetaError: If it has none.
    """
    try:
        described: dict[str, Any] = ImageProcessingMixin.get_image_processor_dict(name)[0]
    except OSError:
        raise MedIMetaError(
            f"{name} has no {CONFIG}, so its preprocessing is unknown. Add the file, or pass the loaded model to "
            "medimeta.encoder with size=, mean= and std=."
        ) from None
    return described


def timm_transform(settings: Mapping[str, Any]) -> ImageTransform:
    """Return the evaluation preprocessing of a timm checkpoint, as `timm.data.create_transform` makes it.

    Args:
        settings: Its `pretrained_cfg`.

    Raises:
        MedIMetaError: If input or crop are not square, or the crop mode is unknown.
    """
    channels, height, width = settings.get("input_size") or (3, SIDE, SIDE)
    mode = settings.get("crop_mode") or "center"
    if channels != 3 or height != width or mode not in ("center", "squash"):
        raise MedIMetaError(
            f"timm preprocessing with input_size {channels} x {height} x {width} and crop_mode {mode!r} is not "
            "supported: it must be square, of 3 channels, in mode center or squash."
        )
    resize = max(int(height / (settings.get("crop_pct") or 0.875)), height)
    interpolation = settings.get("interpolation") or "bilinear"
    return ImageTransform(
        size=height,
        mean=tuple(settings.get("mean") or IMAGENET_MEAN),
        std=tuple(settings.get("std") or IMAGENET_STD),
        interpolation="bicubic" if interpolation == "random" else interpolation,
        resize=resize,
        corner=round((resize - height) / 2),  # as torchvision's centre crop: half a pixel goes to the even number
    )


def _from_settings(name: str, kind: str, settings: Mapping[str, Any]) -> ImageTransform:
    """Reduce the settings of a processor to one resize, one crop and one normalisation."""
    resize = size = _side(name, settings.get("size")) if settings.get("do_resize", True) else SIDE
    if settings.get("crop_pct") and kind.startswith("ConvNext"):
        resize = int(size / settings["crop_pct"]) if size < 384 else size
    if settings.get("do_center_crop"):
        size = _side(name, settings.get("crop_size"))
    # Normalised values are (pixel * factor - offset - mean) / std; here mean and std are of pixel / 255.
    factor = 255 * (settings.get("rescale_factor") or 1 / 255) if settings.get("do_rescale", True) else 255.0
    offset = 1.0 if settings.get("rescale_offset") else 0.0
    mean, std = np.zeros(3), np.ones(3)
    if settings.get("do_normalize", True):
        mean = np.broadcast_to(np.asarray(settings.get("image_mean") or IMAGENET_MEAN, float), 3)
        std = np.broadcast_to(np.asarray(settings.get("image_std") or IMAGENET_STD, float), 3)
    last = std if settings.get("include_top") and kind.startswith("EfficientNet") else 1.0
    return ImageTransform(
        size=size,
        mean=tuple(((mean + offset) / factor).tolist()),
        std=tuple((std * last / factor).tolist()),
        interpolation=Image.Resampling(settings.get("resample", Image.Resampling.BILINEAR)).name.lower(),
        resize=resize,
    )


def _side(name: str, size: Any) -> int:
    sides = {size} if isinstance(size, int) else {side for side in dict(size or {}).values() if side is not None}
    if len(sides) != 1 or not isinstance(side := sides.pop(), int):
        raise MedIMetaError(f"The image processor of {name} has size {size}; only square inputs are supported.")
    return side


def _compare(name: str, transform: ImageTransform, processor: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    ours = transform(pixels).numpy()
    theirs = np.asarray(processor(images=list(pixels), return_tensors="np")["pixel_values"])
    if ours.shape != theirs.shape or np.abs(ours - theirs).max() > TOLERANCE:
        raise MedIMetaError(
            f"The preprocessing of {name} ({type(processor).__name__}) cannot be reproduced: it gives an input of "
            f"shape {theirs.shape[1:]}, ours {ours.shape[1:]}, or other values. Pass the loaded model to "
            "medimeta.encoder with size=, mean= and std=."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
