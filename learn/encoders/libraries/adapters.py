"""PEFT adapters, such as LoRA, on a transformers checkpoint: merged into its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ....errors import MedIMetaError
from . import transformers_models
from .processors import CONFIG as PROCESSOR
from .processors import settings_of, transform_of
from .transformers_models import TransformersBackbone

CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."  # of all weights of an adapter


def load(name: str) -> TransformersBackbone:
    """Return the base checkpoint of an adapter, with the adapter merged into its weights.

    A head that was trained with the adapter is left out. Preprocessing is that of the adapter's folder if it has one,
    else that of the base checkpoint.

    Args:
        name: The adapter, on the Hub or in a folder.

    Raises:
        ImportError: If PEFT cannot be imported.
        MedIMetaError: If the adapter has no base checkpoint, does not fit it, or cannot be merged.
    """
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from peft.utils.save_and_load import load_peft_weights

    base = base_of(name)
    config: Any = PeftConfig.from_pretrained(name)
    backbone = transformers_models.load(base)
    weights = load_peft_weights(name, device="cpu")
    modules = {_module(key) for key in weights}
    # Adapters of `AutoModel` name modules from the inner model on, those of a classifier from the whole one on.
    whole: Any = backbone.network
    network = next((one for one in (whole, whole.base_model) if modules <= set(dict(one.named_modules()))), None)
    if network is None:
        strange = sorted(modules - set(dict(whole.named_modules())))
        raise _unfit(name, base, f"it has no module {strange[0]}")
    kept = {key: value for key, value in weights.items() if not _is_head(network, key)}
    config.inference_mode = False
    model: Any = get_peft_model(network, config)
    if not hasattr(model, "merge_and_unload"):
        raise MedIMetaError(f"{name} is an adapter of type {config.peft_type.value}, which has no weights to merge.")
    expected = set(get_peft_model_state_dict(model))
    if wrong := sorted(expected ^ set(kept)):
        problem = "the adapter lacks" if wrong[0] in expected else "the checkpoint has no place for"
        raise _unfit(name, base, f"{problem} {wrong[0]}")
    set_peft_model_state_dict(model, kept)
    model.merge_and_unload(safe_merge=True)
    for parameter in whole.parameters():
        parameter.requires_grad_(True)
    backbone.libraries = (*backbone.libraries, "peft")
    if (Path(name) / PROCESSOR).is_file():
        backbone.transform, backbone.processor = transform_of(name, whole.config), settings_of(name)
    return backbone


def base_of(name: str) -> str:
    """Return the checkpoint that an adapter belongs to.

    Raises:
        ImportError: If PEFT cannot be imported.
        MedIMetaError: If the adapter's configuration does not name it.
    """
    from peft import PeftConfig

    base = PeftConfig.from_pretrained(name).base_model_name_or_path
    if not base:
        raise MedIMetaError(f"{name} does not name its base checkpoint: add base_model_name_or_path to {CONFIG}.")
    return str(base)


def _module(key: str) -> str:
    """Return the name of the module that a weight such as "base_model.model.encoder.query.lora_A.weight" belongs to."""
    parts = key.removeprefix(_PREFIX).split(".")
    ends = [place for place, part in enumerate(parts) if part.startswith(("lora_", "ia3_", "hada_", "lokr_", "oft_"))]
    return ".".join(parts[: ends[0] if ends else -1])


def _is_head(network: nn.Module, key: str) -> bool:
    """Whether a weight belongs to a head, of which there is only a placeholder."""
    return isinstance(network.get_submodule(_module(key)), nn.Identity)


def _unfit(name: str, base: str, why: str) -> MedIMetaError:
    return MedIMetaError(f"The adapter {name} does not fit its base checkpoint {base}: {why}.", code="adapter-unfit")
