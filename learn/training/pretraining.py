"""Shared parts of both kinds of pre-training: the source pool, and the output of a run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from accelerate import Accelerator

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError
from ..data.protocols import SourcePool, cross_domain, leave_domain_out
from ..evaluation.results import FILE as RESULT
from ..evaluation.results import Result
from ..evaluation.versions import versions
from .checkpoints import FINAL, Progress
from .model_card import push, write_card
from .resume import note
from .runs import end_trackers

FILE = "training.json"


def source_pool(args: argparse.Namespace) -> tuple[SourcePool, list[Task]]:
    """Return the source pool, and the tasks of it that are used.

    Raises:
        UnknownName: If the dataset or domain does not exist.
        MedIMetaError: If `--sources` names a dataset that is not in the pool.
    """
    if args.target is not None:
        pool = cross_domain(args.target, main_only=args.main_only)
    else:
        pool = leave_domain_out(args.leave_domain_out, main_only=args.main_only)
    wanted = pool.datasets if args.sources is None else args.sources
    if strangers := sorted({*wanted} - {*pool.datasets}):
        reasons = "; ".join(
            f"{name}: {pool.left_out.get(name, 'it is the target, or not a dataset')}" for name in strangers
        )
        raise MedIMetaError(
            f"Not in the source pool of {', '.join(pool.targets)}: {reasons}. Leave it out of --sources."
        )
    return pool, [task for task in pool if task.dataset in wanted]


def finish(
    args: argparse.Namespace,
    accelerator: Accelerator,
    progress: Progress,
    identity: Mapping[str, Any],
    *,
    how: str,
    results: Sequence[Result] = (),
    left_out: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the best backbone with its card, the results, and last training.json, which marks the end.

    Args:
        args: Arguments of the run.
        accelerator: The accelerator of the run; its trackers are ended.
        progress: The progress of the run; its best models are moved to their final folders.
        identity: Everything that influences the results, ready for JSON.
        how: How the backbone was trained, for the card, e.g. "pre-trained on 18 tasks".
        results: Results on the validation splits of the sources.
        left_out: Reasons why tasks have no result.

    Returns:
        The content of training.json.
    """
    report = {
        "settings": dict(identity),
        "epoch": progress.best["auroc"]["epoch"],
        "validation": progress.best["auroc"]["metrics"],
        "history": progress.history,
        "left_out": dict(left_out or {}),
        "processes": accelerator.num_processes,
        "versions": versions(),
    }
    if accelerator.is_main_process:
        for result in results:
            folder = args.output_dir / "validation" / result.dataset / DATASETS[result.dataset].task(result.task).column
            folder.mkdir(parents=True, exist_ok=True)
            result.save(folder / RESULT)
    progress.finish()
    if accelerator.is_main_process:
        if results:
            write_card(
                args.output_dir / FINAL["auroc"],
                results,
                backbone=how,
                repo=args.push_to_hub,
                data_dir=args.data_dir,
            )
        if args.push_to_hub is not None:
            push(args.output_dir / FINAL["auroc"], args.push_to_hub)
        note(args.output_dir / FILE, report)
    end_trackers(accelerator)
    return report
