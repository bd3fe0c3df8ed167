"""Entries of the front matter of a dataset card, by which `load_dataset` and the viewer find and read a config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Foreign = Mapping[str, Sequence[Mapping[str, Any]]]  # entries of `configs` and `dataset_info`


def config_entry(name: str, splits: Iterable[str]) -> dict[str, Any]:
    """Return the entry of a config in `configs` of the front matter: which files hold its splits."""
    return {
        "config_name": name,
        "data_files": [{"split": split, "path": f"{name}/{split}-*.parquet"} for split in splits],
    }


def info_entry(name: str, features: Mapping[str, Any], sizes: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Return the entry of a config in `dataset_info` of the front matter.

    Args:
        name: Name of the config.
        features: Its columns, as stored in the metadata of the Parquet files.
        sizes: `num_examples`, `num_bytes` and `download_size` per split.
    """
    return {
        "config_name": name,
        "features": [{"name": column, **_typed(feature)} for column, feature in features.items()],
        "splits": [
            {"name": split, "num_bytes": size["num_bytes"], "num_examples": size["num_examples"]}
            for split, size in sizes.items()
        ],
        "download_size": sum(size["download_size"] for size in sizes.values()),
        "dataset_size": sum(size["num_bytes"] for size in sizes.values()),
    }


def _typed(feature: Any) -> dict[str, Any]:
    """Return a stored feature in YAML form, as `datasets` 3.6 and later read it."""
    if isinstance(feature, list):
        return {"list": [{"name": name, **_typed(inner)} for name, inner in feature[0].items()]}
    if feature["_type"] == "Sequence":
        return {"sequence": _typed(feature["feature"])["dtype"]}
    if feature["_type"] == "ClassLabel":
        return {"dtype": {"class_label": {"names": {str(i): name for i, name in enumerate(feature["names"])}}}}
    return {"dtype": feature["dtype"] if feature["_type"] == "Value" else feature["_type"].lower()}
