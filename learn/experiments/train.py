"""Full supervision, as published: `medimeta train`.

Training images are augmented; training stops when validation AUROC no longer improves; the best epochs by validation
AUROC and by validation loss are each tested once on the test split. The number of processes changes the speed of a run,
not its results.
"""

from __future__ import annotations

import argparse

from ..evaluation.results import Result
from ..training.runs import each_task
from . import train_accelerate, train_trainer

ENGINES = {"accelerate": train_accelerate.train, "trainer": train_trainer.train}


def run(args: argparse.Namespace) -> list[Result]:
    """Train, select and test a model for each task, and return the results."""
    return each_task(args, ENGINES[args.engine])
