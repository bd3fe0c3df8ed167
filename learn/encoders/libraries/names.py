"""Load backbones by name: find the library that a name belongs to, and explain errors of that library."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoConfig
from transformers import __version__ as transformers_version

from ....errors import MedIMetaError, MissingExtra, missing_extra, unknown
from ....files.remote.network import offline_variable
from ....files.remote.retry import FAILURES
from ..backbone import Backbone
from . import adapters, open_clip_models, timm_models, transformers_models

EXTRAS = {"timm": "timm", "open_clip": "open-clip", "peft": "peft"}
PREFIXES: dict[str, Callable[[str], Backbone]] = {"timm:": timm_models.load, "open_clip:": open_clip_models.load}
FORMS = (
    "Give ORG/MODEL on the Hub, a folder with config.json and weights, timm:NAME, open_clip:NAME/PRETRAINED, or "
    "path/to/file.py:function."
)


def load(name: str) -> Backbone:
    """Return the backbone with a name, from any library.

    Args:
        name: "timm:NAME", "open_clip:NAME/PRETRAINED", or a checkpoint on the Hub or in a folder: of transformers, of
            open_clip, or a PEFT adapter. Code in a checkpoint is never run.

    Raises:
        UnknownName: If the prefix does not exist.
        MissingExtra: If the backbone needs a library that is not installed.
        MedIMetaError: If the backbone cannot be loaded, lacks weights, or its preprocessing cannot be reproduced.
    """
    with _explained(name):
        for prefix, loader in PREFIXES.items():
            if name.startswith(prefix):
                return loader(name.removeprefix(prefix))
        return _format(name)(name)


def architecture(name: str) -> str:
    """Return the architecture of a backbone without loading its weights, such as "resnet18", "vit" or "open_clip".

    ResNets are named by their number of layers, timm models by their name in timm.

    Args:
        name: As for `load`.

    Raises:
        UnknownName: If the prefix does not exist.
        MedIMetaError: If the checkpoint does not exist.
    """
    with _explained(name):
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        rest = name.removeprefix(prefix or "")
        loader = PREFIXES[prefix] if prefix else _format(name)
        if loader is adapters.load:
            return architecture(adapters.base_of(name))
        if loader is open_clip_models.load:
            return "open_clip"
        if loader is timm_models.load:
            file = _file(rest, "config.json", only_here="/" not in rest)
            about = {} if file is None else json.loads(file.read_text(encoding="utf-8"))
            return str(about.get("architecture") or rest).partition(".")[0]
        return _architecture(AutoConfig.from_pretrained(rest.removesuffix(transformers_models.TOWER)))


def _architecture(config: Any) -> str:
    if config.model_type == "resnet":
        layers = 2 + sum(config.depths) * (2 if config.layer_type == "basic" else 3)
        return f"resnet{layers}"
    if config.model_type == "timm_wrapper":
        return str(config.architecture).partition(".")[0]
    return str(config.model_type)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn errors of the libraries into those of this package."""
    try:
        yield
    except MedIMetaError:
        raise
    except ImportError as error:
        raise _missing(name, error) from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        offline = "connect" in str(error).lower() or "offline" in str(error).lower()
        hint = "Without a connection, only checkpoints in the cache of huggingface_hub can be loaded."
        hint = hint if offline else FORMS
        raise MedIMetaError(
            f"{name} cannot be loaded: {_first_line(error)} {hint}", code="encoder-not-loaded"
        ) from error


def _format(name: str) -> Callable[[str], Backbone]:
    """Return the loader of a checkpoint, chosen by its files; that of transformers if none of the formats matches."""
    if ":" in name.removesuffix(transformers_models.TOWER) and not Path(name).exists():
        raise unknown("prefix of an encoder", f"{name.partition(':')[0]}:", PREFIXES, hint=FORMS)
    cached = _unreachable(name)
    config = _file(name, "config.json", cached=cached)
    if _file(name, adapters.CONFIG, only_here=config is not None, cached=cached) is not None:
        return adapters.load
    if config is None:
        if _file(name, open_clip_models.CONFIG, cached=cached) is not None:
            return open_clip_models.load
        if cached:
            raise MedIMetaError(
                f"{name} is not in the cache of huggingface_hub, and the Hub cannot be reached. Check the connection, "
                "or give a folder with config.json and weights.",
                code="encoder-not-loaded",
            )
        return transformers_models.load
    settings = json.loads(config.read_text(encoding="utf-8"))
    # transformers opens such a checkpoint through a wrapper, which fails on some arguments of models.
    is_timm = "pretrained_cfg" in settings and "model_type" not in settings
    return timm_models.load if is_timm else transformers_models.load


def _file(name: str, file: str, *, only_here: bool = False, cached: bool = False) -> Path | None:
    """Return a file of a checkpoint in a folder or, downloaded if need be, on the Hub; None if it has none."""
    if Path(name).is_dir() or only_here:
        return path if (path := Path(name) / file).is_file() else None
    try:
        stored = try_to_load_from_cache(name, file) if cached else hf_hub_download(name, file)
    except (OSError, ValueError):  # absent, offline, or not the name of a repository
        return None
    return Path(stored) if isinstance(stored, str) else None


def _unreachable(name: str) -> bool:
    """Whether the Hub does not answer: one request, where the client would retry each file of a checkpoint."""
    if Path(name).is_dir() or offline_variable():
        return False
    try:
        HfApi().model_info(name, timeout=10)
    except (HfHubHTTPError, ValueError):  # an answer, or not the name of a repository
        return False
    except FAILURES:
        return True
    return False


def _missing(name: str, error: ImportError) -> MissingExtra:
    text = f"{error.name or ''} {error}"
    for package, extra in EXTRAS.items():
        if package in text or name.startswith(f"{package}:"):
            if "torchvision" in text and package != "peft":
                return MissingExtra(
                    f"{name} needs {package}, which needs a torchvision that fits the installed torch: "
                    f"{_first_line(error)} Install both in one step: pip install torch torchvision"
                )
            return missing_extra(package, extra, name)
    return MissingExtra(f"{name} cannot be loaded by transformers {transformers_version}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if line.endswith((".", "!")) else f"{line}."
