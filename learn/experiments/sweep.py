"""Compare methods on tasks in one table and one figure: `medimeta sweep`.

Every cell of the table is a run of another command, in its own folder. A rerun of the sweep runs only cells that are
missing or have other options. Failed cells are reported at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import PartialState

from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.atomic import whole_file
from ..data.protocols import cross_domain
from ..evaluation.comparing.comparison import compare
from ..evaluation.comparing.pictures import write_plot
from ..evaluation.comparing.result_table import ResultTable, overview, write_csv
from ..evaluation.results import Result, results
from ..training.arguments import named_tasks
from .jobs import Job


@dataclass(frozen=True)
class Method:
    """A row of the table, or several: one per setting of a grid.

    Attributes:
        evaluate: The command that writes the results of a task.
        pretrain: The command that trains the backbone, on the source pool of the task's dataset; None takes `--model`
            as it is.
        options: Options of `pretrain` that define the method.
    """

    evaluate: str
    pretrain: str | None = None
    options: tuple[str, ...] = ()


METHODS = {
    "full supervision": Method("train"),
    "IM-PT": Method("few-shot"),
    "mm-PT": Method("few-shot", "pretrain multitask"),
    "mm-MAML": Method("few-shot", "pretrain maml"),
    "mm-MetaSGD": Method("few-shot", "pretrain maml", ("--inner", "learned")),
}


def run(args: argparse.Namespace) -> list[ResultTable]:
    """Run all cells that are not finished, write table.md, table.csv and table.png, and return the tables.

    Raises:
        MedIMetaError: At once, if a command does not take its options; at the end, if cells failed.
    """
    tasks = named_tasks(args.tasks)
    cells = {(task, name): plan(args, tasks, task, name) for task in tasks for name in args.methods}
    for cell in cells.values():
        cell.check()

    measured: list[tuple[Path, Result]] = []
    broken: dict[Path, str] = {}
    failed = []
    for (task, name), cell in cells.items():
        try:
            cell.execute(broken)
        except MedIMetaError as error:
            failed.append(f"  {task.dataset}/{task.name}, {name}: {error}")
            print(f"{task.dataset}/{task.name}, {name} failed: {error}", file=sys.stderr)
            continue
        for path, one in results([cell.folder]):
            method = name if one.episodes is None else one.method
            measured.append((path, replace(one, method=method, model=name)))  # a row, though targets differ in backbone
    comparisons = compare(measured, args.metric) if measured else []
    if comparisons and PartialState().is_main_process:
        text = overview(comparisons)
        with whole_file(args.output_dir / "table.md") as partial:
            partial.write_text(text, encoding="utf-8")
        write_csv(comparisons, args.output_dir / "table.csv")
        write_plot(comparisons, args.output_dir / "table.png")
        print(text)
    if failed:
        raise MedIMetaError("\n".join([f"{len(failed)} cell(s) failed:", *failed]))
    return comparisons


def plan(args: argparse.Namespace, tasks: Sequence[Task], task: Task, name: str) -> Job:
    """Return the job that fills a cell, after the job of its backbone.

    Args:
        args: Arguments of the sweep.
        tasks: All tasks of the sweep. Targets with the same source pool share a backbone.
        task: The task of the cell.
        name: The method of the cell.
    """
    method, folder = METHODS[name], args.output_dir / "cells" / name.replace(" ", "-") / task.dataset / task.column

    def given(command: str) -> list[str]:
        return [*args.shared, *args.own[command]]

    if method.evaluate == "train":
        return Job("train", [*given("train"), "--tasks", f"{task.dataset}/{task.name}"], folder)
    options, before = ["--methods", "finetune", *given("few-shot")], None  # the published method, if no other is given
    if method.pretrain is not None:
        pool = sources(task.dataset, args.sources)
        if not pool:
            known = ", ".join(sources(task.dataset))
            raise MedIMetaError(f"No source is left for {task.dataset}. Add some of its pool to --sources: {known}.")
        first = next(one.dataset for one in tasks if sources(one.dataset, args.sources) == pool)
        where = ["--target", first, *([] if args.sources is None else ["--sources", *pool])]
        backbone = args.output_dir / "backbones" / name / first
        before = Job(method.pretrain, [*given(method.pretrain), *method.options, *where], backbone)
        options += ["--model", str(backbone / "model")]
    named = ["--dataset", task.dataset, "--task", task.name, "--name", name]
    return Job("few-shot", [*options, *named], folder, before)


def sources(target: str, only: Sequence[str] | None = None) -> list[str]:
    """Return the datasets of a target's source pool, of those in `only` if it is given."""
    known = None if only is None else [DATASETS[name].id for name in only]
    return [name for name in cross_domain(target).datasets if known is None or name in known]
