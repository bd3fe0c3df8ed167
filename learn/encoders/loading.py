"""`medimeta.encoder`: an encoder from a name, a file, a module or a function."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MedIMetaError, SourceNotFound, missing_extra
from .encoder import Encoder, Forward

if TYPE_CHECKING:  # the function can be imported without the extra [train]
    import torch


def encoder(
    model: str | Encoder | Forward,
    *,
    name: str | None = None,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str = "bilinear",
    resize: int | None = None,
    sha256: str | None = None,
    device: torch.device | str | None = None,
    dtype: str = "float32",
) -> Encoder:
    """Return an encoder of a backbone, given by name, file, module or function.

        medimeta.encoder("microsoft/resnet-18")  # a transformers checkpoint, or a folder with one
        medimeta.encoder("timm:vit_small_patch16_224.dino")
        medimeta.encoder("open_clip:ViT-B-16/openai")
        medimeta.encoder(module, name="mine", size=224, mean=(0.5,) * 3, std=(0.5,) * 3)
        medimeta.encoder("models.py:backbone")  # a function without arguments that returns an Encoder

    Args:
        model: A checkpoint on the Hub or in a folder, of transformers, open_clip or PEFT (see
            `libraries.transformers_models.load` for the features that it gives), "timm:NAME",
            "open_clip:NAME/PRETRAINED", "path/to/file.py:function", a `torch.nn.Module`, or a function. Modules and
            functions take normalised images, float32 of shape (N, 3, size, size), and return vectors, shape (N, width).
            The Python file is executed: name only files that you trust.
        name: Name in tables, by default that of the checkpoint. Required for modules and functions.
        size: Height and width of the input of a module or function.
        mean: Mean per channel of its input, on a scale from 0 to 1.
        std: Standard deviation per channel, on the same scale.
        interpolation: Resampling of images of another size: "bilinear", "bicubic", ...
        resize: Side in pixels to resize to before a centre crop of `size`; by default nothing is cropped.
        sha256: Identifies a function: 64 hexadecimal digits; by default that of a module's weights and structure.
        device: Device that it runs on; a GPU by default, if there is one.
        dtype: "float32", or "bfloat16" for automatic mixed precision.

    Raises:
        UnknownName: If the dtype, interpolation or prefix does not exist.
        SourceNotFound: If the file does not exist.
        MissingExtra: If the checkpoint needs a library that is not installed.
        MedIMetaError: If the checkpoint cannot be loaded, or an argument that a module or function needs is missing.
    """
    if isinstance(model, Encoder):
        return model
    if missing := [library for library in ("torch", "transformers") if importlib.util.find_spec(library) is None]:
        raise missing_extra(" and ".join(missing), "train", "An encoder")
    own = {"size": size, "mean": mean, "std": std}
    if isinstance(model, str):
        if given := [key for key, value in {**own, "resize": resize, "sha256": sha256}.items() if value is not None]:
            raise MedIMetaError(f"{', '.join(given)}: {model!r} has its own. Leave them out, or pass a loaded module.")
        if is_python(model):
            return encoder_from_file(model)
        from .libraries import names

        backbone = names.load(model)
        return Encoder.of(name or model, backbone, backbone.transform, device=device, dtype=dtype)
    if not callable(model):
        raise MedIMetaError(f"An encoder is made of a name, a module or a function, not of {type(model).__name__}.")
    if lacking := [key for key, value in {"name": name, **own}.items() if value is None]:
        raise MedIMetaError(
            f"A module or function needs {', '.join(f'{key}=' for key in lacking)} too: its name and preprocessing are "
            "not known otherwise."
        )
    from .transform import ImageTransform

    settings: dict[str, Any] = {"interpolation": interpolation, "resize": resize or 0}
    transform = ImageTransform(size or 0, tuple(mean or ()), tuple(std or ()), **settings)
    return Encoder.of(name or "", model, transform, sha256=sha256, device=device, dtype=dtype)


def is_python(name: str) -> bool:
    """Return whether a name is "path/to/file.py:function"."""
    return name.rpartition(":")[0].endswith(".py")


def encoder_from_file(reference: str) -> Encoder:
    """Run a Python file and return the encoder that its function returns.

    Args:
        reference: "path/to/file.py:function".

    Raises:
        SourceNotFound: If the file does not exist.
        MedIMetaError: If the file cannot be run, or the function does not return an encoder.
    """
    place, _, function = reference.rpartition(":")
    path = Path(place)
    if not path.is_file():
        raise SourceNotFound(f"{path} does not exist. Give path/to/file.py:function.", code="encoder-not-found")
    spec = importlib.util.spec_from_file_location(f"_encoder_{re.sub(r'[^0-9A-Za-z]', '_', str(path))}", path)
    if spec is None or spec.loader is None:
        raise MedIMetaError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ImportError) as error:
        raise MedIMetaError(f"{path} cannot be run: {error}.", code="encoder-not-loaded") from error
    if not callable(make := getattr(module, function, None)):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise MedIMetaError(f"{path} has no function {function!r}. It has: {', '.join(names) or 'none'}.")
    made = make()
    if not isinstance(made, Encoder):
        raise MedIMetaError(
            f"{reference} returned {type(made).__name__}; it must return an Encoder: medimeta.encoder(module, "
            "name=..., size=..., mean=..., std=...)."
        )
    return made
