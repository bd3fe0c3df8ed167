"""Run methods on tasks, and set the results side by side: one table and one figure, as in the paper.

    python sweep.py --tasks main --model microsoft/resnet-18 --mixed-precision bf16
    python sweep.py --tiny --tasks bus pbc --sources bus pbc crc --finetune="--epochs 8" --few-shot="-n 20 --steps 20"

Every cell is what other scripts make, in a folder of its own. Arguments that all of them know (--model, --tiny,
--data-dir, --seed, ...) go to all; those of one script go into the option that has its name. The same command again
runs what is missing or has other arguments. A cell that fails is reported in the end, after the others.
"""

from __future__ import annotations

import argparse
import shlex
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
from ..evaluation.comparison import compare
from ..evaluation.pictures import write_plot
from ..evaluation.result_table import ResultTable, overview, write_csv
from ..evaluation.results import Result, results
from ..training import arguments, launch
from ..training.sweeping import Run
from . import few_shot, finetune_vit, pretrain_maml, pretrain_multitask

SCRIPTS = {
    "finetune": finetune_vit,
    "few-shot": few_shot,
    "pretrain-multitask": pretrain_multitask,
    "pretrain-maml": pretrain_maml,
}


@dataclass(frozen=True)
class Method:
    """A row of the table, or several: one per setting of a grid.

    Attributes:
        evaluate: The script that writes the results of a task.
        pretrain: The script that makes the backbone for it, from the source pool of the task's dataset; None takes
            `--model` as it is.
    """

    evaluate: str
    pretrain: str | None = None


METHODS = {
    "full supervision": Method("finetune"),
    "IM-PT": Method("few-shot"),
    "mm-PT": Method("few-shot", "pretrain-multitask"),
    "mm-MAML": Method("few-shot", "pretrain-maml"),
}


def main(argv: Sequence[str] | None = None) -> list[ResultTable]:
    """Run all cells that are not finished; write table.md, table.csv and table.png.

    Raises:
        MedIMetaError: At once for arguments that a script does not take; in the end, naming the cells that failed.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    arguments.add_tasks(parser)
    add = parser.add_argument
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="all if not given")
    add("--sources", nargs="+", metavar="ID", help="pre-train on no others of each target's source pool")
    for name in SCRIPTS:
        add(f"--{name}", type=shlex.split, default=[], metavar="OPTIONS", help=f'for that script: --{name}="..."')
    add("--output-dir", type=Path, default=Path("sweep"), help="for cells, backbones and table (%(default)s)")
    add("--metric", default="auroc", help="what the table compares by (%(default)s)")
    add("--resume", action="store_true", help="a sweep goes on in any case")
    args, shared = parser.parse_known_args(argv)
    arguments.parse(arguments.parser(None), shared)  # refuses what not all scripts know
    args.tasks = arguments.named_tasks(args.tasks)
    cells = {(task, name): plan(args, task, name, shared) for task in args.tasks for name in args.methods}
    for cell in cells.values():
        cell.check()

    found: list[tuple[Path, Result]] = []
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
            found.append((path, replace(one, method=method, model=name)))  # also where targets have other backbones
    comparisons = compare(found, args.metric) if found else []
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


def plan(args: argparse.Namespace, task: Task, name: str, shared: Sequence[str]) -> Run:
    """What fills a cell, and what comes before; targets that have the same source pool share a backbone."""
    method, folder = METHODS[name], args.output_dir / "cells" / name.replace(" ", "-") / task.dataset / task.column

    def given(script: str) -> list[str]:
        return [*shared, *getattr(args, script.replace("-", "_"))]

    if method.evaluate == "finetune":
        return Run(finetune_vit, [*given("finetune"), "--tasks", f"{task.dataset}/{task.name}"], folder)
    options, before = ["--methods", "finetune", *given("few-shot")], None  # the published method, if no other is given
    if method.pretrain is not None:
        pool = sources(task.dataset, args.sources)
        if not pool:
            known = ", ".join(sources(task.dataset))
            raise MedIMetaError(f"No source is left for {task.dataset}. Put some of its pool into --sources: {known}.")
        first = next(one.dataset for one in args.tasks if sources(one.dataset, args.sources) == pool)
        where = ["--target", first, *([] if args.sources is None else ["--sources", *pool])]
        backbone = args.output_dir / "backbones" / name / first
        before = Run(SCRIPTS[method.pretrain], [*given(method.pretrain), *where], backbone)
        options += ["--model", str(backbone / "model")]
    named = ["--dataset", task.dataset, "--task", task.name, "--name", name]
    return Run(few_shot, [*options, *named], folder, before)


def sources(target: str, wanted: Sequence[str] | None = None) -> list[str]:
    """The datasets of a target's source pool, but for those that are not wanted."""
    known = None if wanted is None else [DATASETS[name].id for name in wanted]
    return [name for name in cross_domain(target).datasets if known is None or name in known]


if __name__ == "__main__":
    launch.run(main)
