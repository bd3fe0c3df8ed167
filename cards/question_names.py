"""Names of the configs with multiple-choice questions, such as `bus_mcq_seed0` and `bus_mcq_blind_seed0`.

The seed is part of the name, since results on other orders of the choices are other results.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from .catalogue import DATASETS
from .config_entries import Foreign

_NAME = re.compile(r"(?P<dataset>\w+?)_mcq(?P<blind>_blind)?_seed(?P<seed>0|[1-9]\d*)")


class QuestionConfig(NamedTuple):
    """A config with questions.

    Attributes:
        dataset: Id of the dataset that the questions are about.
        seed: Seed of the choices and their order.
        blind: Whether the questions come without images, as a control.
    """

    dataset: str
    seed: int
    blind: bool = False

    @property
    def name(self) -> str:
        """Name of the config, and of its folder."""
        return f"{self.dataset}_mcq{'_blind' if self.blind else ''}_seed{self.seed}"


def question_config(name: str) -> QuestionConfig | None:
    """Return what the name of a config says, or None if its rows are not questions about a known dataset."""
    match = _NAME.fullmatch(name)
    if match is None or match["dataset"] not in DATASETS:
        return None
    return QuestionConfig(match["dataset"], int(match["seed"]), match["blind"] is not None)


def with_questions(foreign: Foreign, datasets: Collection[str], entries: Foreign) -> Foreign:
    """Replace the entries of the question configs of some datasets in the front matter of a card.

    Args:
        foreign: Entries of all configs that are not datasets of the catalogue.
        datasets: Ids of the datasets.
        entries: The new entries of their question configs; may be empty.
    """
    return {
        key: [*(entry for entry in foreign.get(key, ()) if _dataset(entry) not in datasets), *entries.get(key, ())]
        for key in ("configs", "dataset_info")
    }


def question_sizes(foreign: Foreign) -> Sequence[tuple[QuestionConfig, int]]:
    """Return the question configs among entries of the front matter, with their numbers of questions."""
    named = ((question_config(str(entry.get("config_name"))), entry) for entry in foreign.get("dataset_info", ()))
    return [(config, _rows(entry)) for config, entry in named if config is not None]


def _dataset(entry: Mapping[str, Any]) -> str | None:
    config = question_config(str(entry.get("config_name")))
    return None if config is None else config.dataset


def _rows(entry: Mapping[str, Any]) -> int:
    splits = entry.get("splits")
    sizes = [one.get("num_examples") for one in splits if isinstance(one, dict)] if isinstance(splits, list) else []
    return sum(size for size in sizes if isinstance(size, int))
