"""MedIMeta for the Hugging Face ecosystem: 19 medical imaging datasets, 54 tasks, one interface.

    >>> import medimeta
    >>> medimeta.DATASETS["bus"].name
    'Breast Ultrasound'
    >>> [task.name for task in medimeta.tasks(kind="ordinal")][:2]
    ['DR level', 'Artifact']

    images = medimeta.load_task("bus/malignancy", split="train")    # columns image, label, subject_id
    rows = medimeta.load_dataset("bus")                             # all columns, all splits
    datasets.load_dataset("medimeta", "bus")                        # the same, after `import medimeta`

What to find, load and cite:
    DATASETS            the 19 datasets by id, each a DatasetCard with its tasks, splits, licence and sources
    tasks               list tasks, optionally of one domain or kind
    load_dataset        load a dataset with all columns
    load_task           load one task as image, label and subject
    show                images with their labels, as a figure
    to_numpy            images and labels as arrays
    loader              iterate over batches of pixels and labels, fast, in PyTorch
    class_weights       weights against class imbalance
    corruptions         list the corruptions of test images that suit a dataset, for load_task(corruption=...)
    cite                BibTeX entries and attribution of the datasets used
    add_cards           add datasets of your own

What to evaluate with:
    encoder             any backbone as a function from images to vectors
    features            the vectors of a split, computed once
    bench               evaluate encoders on many tasks, in one table
    episodes            draw few-shot episodes of a task
    metric              metrics of a task as an `evaluate` metric, also for Trainer
    cross_domain        source and target tasks of the cross-domain protocol
    leave_domain_out    the same for every domain in turn
    Result              a result in the common JSON format
    Ledger              images that leak between splits, as `medimeta audit` finds them

Classes that these return, or that `datasets` needs: Task, DatasetCard, EpisodeSet, Encoder, Benchmark, Citation,
MedIMeta, MedIMetaConfig.
Every mistake that a user can fix raises MedIMetaError, a ValueError. Get help on one name: help(medimeta.load_task).
The command line has the same functions: medimeta --help.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if "__path__" not in globals():
    # Python started in a bare checkout finds this file, not the package: the rooms are the folders next to it.
    __path__ = [os.path.dirname(__file__)]  # noqa: PTH120

from medimeta.builders.collation import register as register_images
from medimeta.builders.registration import register
from medimeta.files.version import VERSION

if TYPE_CHECKING:
    __all__ = [  # noqa: RUF022  in the order of `_HOME`
        "DATASETS",
        "tasks",
        "load_dataset",
        "load_task",
        "show",
        "to_numpy",
        "loader",
        "class_weights",
        "encoder",
        "features",
        "corruptions",
        "bench",
        "episodes",
        "metric",
        "cross_domain",
        "leave_domain_out",
        "cite",
        "add_cards",
        "Task",
        "DatasetCard",
        "EpisodeSet",
        "Encoder",
        "Benchmark",
        "Result",
        "Ledger",
        "Citation",
        "MedIMeta",
        "MedIMetaConfig",
        "MedIMetaError",
    ]

    from medimeta.builders.dataset import MedIMeta, MedIMetaConfig
    from medimeta.builders.loading import load_dataset
    from medimeta.cards.catalogue import DATASETS, add_cards, tasks
    from medimeta.cards.citing import Citation, cite
    from medimeta.cards.facts import DatasetCard, Task
    from medimeta.errors import MedIMetaError
    from medimeta.learn.benchmark.bench import bench
    from medimeta.learn.benchmark.benchmark import Benchmark
    from medimeta.learn.data.corruptions.registry import corruptions
    from medimeta.learn.data.exclusion.ledger import Ledger
    from medimeta.learn.data.loader import loader, to_numpy
    from medimeta.learn.data.protocols import cross_domain, leave_domain_out
    from medimeta.learn.data.statistics import class_weights
    from medimeta.learn.data.views import load_task
    from medimeta.learn.encoders.encoder import Encoder
    from medimeta.learn.encoders.features import features
    from medimeta.learn.encoders.loading import encoder
    from medimeta.learn.episodes.drawing import episodes
    from medimeta.learn.episodes.episode_set import EpisodeSet
    from medimeta.learn.evaluation.metric import metric
    from medimeta.learn.evaluation.results import Result
    from medimeta.learn.figures.show import show

__version__ = VERSION

# Public names, in the order in which people need them, and the modules that define them. They are imported on first
# use, so that `import medimeta` stays light.
_HOME = {
    "DATASETS": "cards.catalogue",
    "tasks": "cards.catalogue",
    "load_dataset": "builders.loading",
    "load_task": "learn.data.views",
    "show": "learn.figures.show",
    "to_numpy": "learn.data.loader",
    "loader": "learn.data.loader",
    "class_weights": "learn.data.statistics",
    "encoder": "learn.encoders.loading",
    "features": "learn.encoders.features",
    "corruptions": "learn.data.corruptions.registry",
    "bench": "learn.benchmark.bench",
    "episodes": "learn.episodes.drawing",
    "metric": "learn.evaluation.metric",
    "cross_domain": "learn.data.protocols",
    "leave_domain_out": "learn.data.protocols",
    "cite": "cards.citing",
    "add_cards": "cards.catalogue",
    "Task": "cards.facts",
    "DatasetCard": "cards.facts",
    "EpisodeSet": "learn.episodes.episode_set",
    "Encoder": "learn.encoders.encoder",
    "Benchmark": "learn.benchmark.benchmark",
    "Result": "learn.evaluation.results",
    "Ledger": "learn.data.exclusion.ledger",
    "Citation": "cards.citing",
    "MedIMeta": "builders.dataset",
    "MedIMetaConfig": "builders.dataset",
    "MedIMetaError": "errors",
}


def __getattr__(name: str) -> Any:
    # pydoc prints the whole documentation of every name in `__all__`, over 1,000 lines. Without it, help(medimeta) is
    # the text at the head of this file, which lists the same names.
    if name == "__all__" and sys._getframe(1).f_code.co_name != "docmodule":
        return list(_HOME)
    if name not in _HOME:
        raise AttributeError(f"module 'medimeta' has no attribute {name!r}. Its names: {', '.join(_HOME)}.")
    value = getattr(importlib.import_module(f"medimeta.{_HOME[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return list(_HOME)


register()
register_images()

if __name__ == "__main__":  # `python -m medimeta` in a bare checkout
    from medimeta.cli.app import main

    main()
