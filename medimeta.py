"""MedIMeta for the Hugging Face ecosystem: 19 medical imaging datasets, 54 tasks, one interface.

    >>> import medimeta
    >>> medimeta.DATASETS["bus"].name
    'Breast Ultrasound'
    >>> [task.name for task in medimeta.tasks(kind="ordinal")][:2]
    ['DR level', 'Artifact']

Importing it also teaches `datasets.load_dataset` the name "medimeta": `load_dataset("medimeta", "crc")`.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if "__path__" not in globals():
    # Python started in a bare checkout finds this file, not the package: the rooms are the folders next to it.
    __path__ = [os.path.dirname(__file__)]  # noqa: PTH120

from medimeta.builders.registration import register
from medimeta.files.version import VERSION

if TYPE_CHECKING:
    from medimeta.builders.dataset import MedIMeta, MedIMetaConfig, load_dataset
    from medimeta.cards.catalogue import DATASETS, add_cards, tasks
    from medimeta.cards.citing import Citation, cite
    from medimeta.cards.facts import DatasetCard, Task
    from medimeta.errors import MedIMetaError
    from medimeta.learn.data.loader import loader
    from medimeta.learn.data.protocols import cross_domain, leave_domain_out
    from medimeta.learn.data.statistics import class_weights
    from medimeta.learn.data.views import load_task
    from medimeta.learn.episodes.drawing import episodes
    from medimeta.learn.episodes.episode_set import EpisodeSet
    from medimeta.learn.evaluation.metric import metric
    from medimeta.learn.evaluation.results import Result

__version__ = VERSION

# Public names, in the order in which people need them, and the modules that define them. They are imported on first
# use, so that `import medimeta` stays light.
_HOME = {
    "DATASETS": "cards.catalogue",
    "tasks": "cards.catalogue",
    "load_dataset": "builders.dataset",
    "load_task": "learn.data.views",
    "loader": "learn.data.loader",
    "class_weights": "learn.data.statistics",
    "episodes": "learn.episodes.drawing",
    "metric": "learn.evaluation.metric",
    "cross_domain": "learn.data.protocols",
    "leave_domain_out": "learn.data.protocols",
    "cite": "cards.citing",
    "add_cards": "cards.catalogue",
    "Task": "cards.facts",
    "DatasetCard": "cards.facts",
    "EpisodeSet": "learn.episodes.episode_set",
    "Result": "learn.evaluation.results",
    "Citation": "cards.citing",
    "MedIMeta": "builders.dataset",
    "MedIMetaConfig": "builders.dataset",
    "MedIMetaError": "errors",
}
__all__ = [  # noqa: RUF022  in the order of `_HOME`
    "DATASETS",
    "tasks",
    "load_dataset",
    "load_task",
    "loader",
    "class_weights",
    "episodes",
    "metric",
    "cross_domain",
    "leave_domain_out",
    "cite",
    "add_cards",
    "Task",
    "DatasetCard",
    "EpisodeSet",
    "Result",
    "Citation",
    "MedIMeta",
    "MedIMetaConfig",
    "MedIMetaError",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"medimeta.{_HOME[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return list(__all__)


register()

if __name__ == "__main__":  # `python -m medimeta` in a bare checkout
    from medimeta.cli.app import main

    main()
