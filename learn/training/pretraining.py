"""What the pre-training scripts share: the source pool that their arguments name, and what a finished run leaves."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from accelerate import Accelerator

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ..data.protocols import SourcePool, cross_domain, leave_domain_out
from ..evaluation.results import FILE as RESULT
from ..evaluation.results import Result
from ..evaluation.versions import versions
from .arguments import settings
from .checkpoints import FINAL, Progress
from .model_card import push, write_card
from .runs import end_trackers

FILE = "training.json"


def add_pool(wanted: argparse.ArgumentParser) -> None:
    """The arguments that name a source pool; `source_pool` reads them."""
    kept = wanted.add_mutually_exclusive_group(required=True)
    kept.add_argument("--target", metavar="ID", help="dataset that is evaluated later: the pool shares nothing with it")
    kept.add_argument("--leave-domain-out", metavar="DOMAIN", help="the same for all datasets of an imaging domain")
    add = wanted.add_argument
    add("--main-only", action="store_true", help="take only the main task of each source dataset")
    add("--sources", nargs="+", metavar="ID", help="take only these datasets of the pool")


def source_pool(args: argparse.Namespace) -> tuple[SourcePool, list[Task]]:
    """The pool, and the tasks that are taken from it.

    Raises:
        UnknownName: If there is no such dataset or domain.
        MedIMetaError: If `--sources` names what is not in the pool.
    """
    if args.target is not None:
        pool = cross_domain(args.target, main_only=args.main_only)
    else:
        pool = leave_domain_out(args.leave_domain_out, main_only=args.main_only)
    wanted = pool.datasets if args.sources is None else args.sources
    if strangers := sorted({*wanted} - {*pool.datasets}):
        reasons = "; ".join(
            f"{name}: {pool.left_out.get(name, 'it is the target, or no dataset')}" for name in strangers
        )
        raise MedIMetaError(
            f"Not in the source pool of {', '.join(pool.targets)}: {reasons}. Leave it out of --sources."
        )
    return pool, [task for task in pool if task.dataset in wanted]


def finished(args: argparse.Namespace) -> dict[str, Any] | None:
    """What training.json says, if it is of a whole run with these settings."""
    path = args.output_dir / FILE
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    wanted = json.loads(json.dumps(settings(args)))
    same = all(name in found["settings"] and found["settings"][name] == value for name, value in wanted.items())
    return found if same else None


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
    """Write the best backbone with its card, the results, and last training.json, which says that all is there.

    Args:
        args: Of the run.
        accelerator: Of the run; its trackers end.
        progress: Of the run; its best models get their final places.
        identity: All that decides what the run does, ready for JSON.
        how: What made the backbone, for the card, e.g. "pre-trained on 18 tasks".
        results: What it achieved on the validation splits of its sources.
        left_out: Why tasks are not among them.

    Returns:
        What training.json says.
    """
    found = {
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
            write_card(args.output_dir / FINAL["auroc"], results, backbone=how)
        if args.push_to_hub is not None:
            push(args.output_dir / FINAL["auroc"], args.push_to_hub)
        with whole_file(args.output_dir / FILE) as partial:
            partial.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    end_trackers(accelerator)
    return found
