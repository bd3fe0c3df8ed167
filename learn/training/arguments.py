"""From the arguments of a training command to the tasks, data and settings of a run."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from ...builders.loading import load_dataset
from ...builders.locate import DATA_VARIABLE
from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ..data.exclusion.copies import excluded, shipped
from ..data.miniatures import miniature

MINIATURE = 20  # images per class of the main task that `--tiny` draws

# Arguments that do not influence the results: locations, and how to proceed.
_NOT_SETTINGS = ("cache_dir", "data_dir", "output_dir", "push_to_hub", "report_to", "resume", "seeds", "tasks")


def named_tasks(names: Sequence[str]) -> list[Task]:
    """Return the tasks that `--tasks` names, each once, in the order given.

    Raises:
        UnknownName: If the dataset or task does not exist.
    """
    tasks: list[Task] = []
    for name in names:
        if name.lower() in ("all", "main"):
            tasks += [
                task for card in DATASETS.values() for task in card.tasks if name.lower() == "all" or task.is_main
            ]
        else:
            tasks.append(DATASETS.find_task(name))
    return list(dict.fromkeys(tasks))


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that influence the results, ready for JSON."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in sorted(vars(args).items())
        if name not in _NOT_SETTINGS
    }


def model_name(args: argparse.Namespace, *, kind: str = "ViT") -> str:
    """Return the name of the model in results.

    Args:
        args: Arguments of the run.
        kind: Kind of the random model of `--tiny`.
    """
    return args.model or f"tiny random {kind}"


def load_rows(args: argparse.Namespace, dataset: str, split: str, *, per_class: int = MINIATURE) -> Dataset:
    """Return a split with all columns, without the rows that `--exclude-leaks` leaves out.

    Without a file, `--exclude-leaks` takes the ledgers that ship with this package, and a dataset without one keeps all
    rows. With `--tiny` and no data named, the dataset's miniature is drawn into the cache first. Call this in the main
    process first.

    Args:
        args: Arguments of the run.
        dataset: Id of the dataset.
        split: Name of the split, or an expression.
        per_class: Images per class of the main task in the miniature.

    Raises:
        UnknownName: If the dataset or split does not exist, or the ledger does not cover the dataset.
        SourceNotFound: If there are no data.
    """
    options: dict[str, Any] = {"data_dir": args.data_dir, "partial": args.partial, "cache_dir": args.cache_dir}
    options |= {"labels": args.labels, "splits_from": args.splits_from}
    if args.tiny and args.data_dir is None and DATA_VARIABLE not in os.environ:
        options |= {"data_dir": str(miniature(dataset, args.cache_dir, per_class=per_class)), "partial": True}
    ledger = args.exclude_leaks
    if ledger is True and shipped(dataset) is None:
        ledger = None
    leaked = excluded(ledger, dataset, split, **options)
    rows: Dataset = load_dataset(dataset, split=split, **options)
    if leaked:
        rows = rows.select(np.flatnonzero(~np.isin(rows.with_format("numpy")["index"][:], leaked)))
    return rows
