"""Question configs of a Hub folder: `<id>_mcq_seed<seed>` and, without images, `<id>_mcq_blind_seed<seed>`.

They hold questions about the test split. Each config is a folder of Parquet files next to those of the datasets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Features, Image, Sequence, Value

from ...cards.config_entries import Foreign, config_entry, info_entry
from ...cards.question_names import QuestionConfig, question_config
from .record import split_sizes
from .shards import stored_features

SPLIT = "test"
_TEXT = {name: Value("string") for name in ("id", "task", "question")} | {
    "choices": Sequence(Value("string")),
    "answer": Value("string"),  # the letter
    "answer_text": Value("string"),
    "index": Value("int32"),
}
_IMAGES = {"image": Image(), "image_uri": Value("string")}


def features_of(config: QuestionConfig) -> Features:
    """Return the columns of a question config."""
    return Features(_TEXT if config.blind else _IMAGES | _TEXT)


def configs_in(folder: Path, dataset: str | None = None) -> list[QuestionConfig]:
    """Return the question configs of a Hub folder, of one dataset or all, in alphabetical order."""
    named = (question_config(path.parent.name) for path in sorted(folder.glob("*_mcq_*/*.parquet")))
    return [config for config in dict.fromkeys(named) if config and dataset in (None, config.dataset)]


def entries(folder: Path, dataset: str | None = None) -> Foreign:
    """Return the entries of the question configs of a Hub folder for the front matter of its card.

    Args:
        folder: The Hub folder.
        dataset: Id of a dataset; None for all.
    """
    all_entries = [entries_of(folder, config) for config in configs_in(folder, dataset)]
    return {key: [one[key] for one in all_entries] for key in ("configs", "dataset_info")}


def entries_of(folder: Path, config: QuestionConfig) -> dict[str, dict[str, Any]]:
    """Return the two entries of a question config for the front matter: under "configs" and "dataset_info"."""
    features = stored_features(features_of(config))
    return {
        "configs": config_entry(config.name, [SPLIT]),
        "dataset_info": info_entry(config.name, features, split_sizes(folder / config.name)),
    }
