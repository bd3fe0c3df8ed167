"""Run methods on tasks, and set the results side by side: one table and one figure, as in the paper.

    python sweep.py --tasks main --output-dir sweep --mixed-precision bf16
    python sweep.py --tasks bus pbc --methods "full supervision" --output-dir sweep --tiny --epochs 5

Every cell is a run of another script in a folder of its own; arguments that are not known here go to it. The same
command again runs what is missing or has other arguments. A cell that fails is reported in the end, after the others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import PartialState

import medimeta
from medimeta.cards.catalogue import Task
from medimeta.cards.errors import MedIMetaError
from medimeta.examples import finetune_vit
from medimeta.tasks import arguments, launch
from medimeta.tasks.comparison import Comparison, compare, write_csv, write_plot
from medimeta.tasks.results import Result, results
from medimeta.upload.atomic import whole_file

DONE = "cell.json"  # the last file of a cell: what was run


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        script: The main function of a script that writes result.json files below its `--output-dir`.
        options: What it is given for a task, besides the output folder and what all cells share.
    """

    script: Callable[[Sequence[str]], object]
    options: Callable[[Task], list[str]]


METHODS = {
    "full supervision": Method(finetune_vit.main, lambda task: ["--tasks", f"{task.dataset}/{task.name}"]),
    "without augmentation": Method(
        finetune_vit.main, lambda task: ["--tasks", f"{task.dataset}/{task.name}", "--no-augmentation"]
    ),
}


def main(argv: Sequence[str] | None = None) -> list[Comparison]:
    """Run all cells that are not finished; write table.md, table.csv and table.png.

    Raises:
        MedIMetaError: In the end, naming the cells that failed and why.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    arguments.add_tasks(parser)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="all if not given")
    parser.add_argument("--output-dir", type=Path, default=Path("sweep"), help="for cells and table (%(default)s)")
    parser.add_argument("--metric", default="auroc", help="what the table compares by (%(default)s)")
    args, shared = parser.parse_known_args(argv)
    found: list[tuple[Path, Result]] = []
    failed = []
    for task in arguments.named_tasks(args.tasks):
        for name in args.methods:
            folder = args.output_dir / "cells" / name.replace(" ", "-") / task.dataset / task.column
            try:
                run(METHODS[name], task, folder, shared)
            except MedIMetaError as error:
                failed.append(f"  {task.dataset}/{task.name}, {name}: {error}")
                print(f"{task.dataset}/{task.name}, {name} failed: {error}", file=sys.stderr)
                continue
            cell = results([folder])
            alone = len(cell) == 1
            found += [(path, replace(one, method=name if alone else f"{name}, {one.method}")) for path, one in cell]
    comparisons = compare(found, args.metric) if found else []
    if comparisons and PartialState().is_main_process:
        text = "\n".join(comparison.markdown() for comparison in comparisons)
        with whole_file(args.output_dir / "table.md") as partial:
            partial.write_text(text, encoding="utf-8")
        write_csv(comparisons, args.output_dir / "table.csv")
        write_plot(comparisons, args.output_dir / "table.png")
        print(text)
    if failed:
        raise MedIMetaError("\n".join([f"{len(failed)} cell(s) failed:", *failed]))
    return comparisons


def run(method: Method, task: Task, folder: Path, shared: Sequence[str]) -> None:
    """Run a cell, unless it is finished; what an interrupted run of the same arguments has done is kept."""
    options = [*method.options(task), *shared]
    wanted = {"arguments": options, "medimeta": medimeta.__version__}
    if earlier(folder / DONE) == wanted:
        print(f"{folder} is finished.")
        return
    started = folder / ".started.json"
    same = earlier(started) == wanted
    if PartialState().is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DONE).unlink(missing_ok=True)
        note(started, wanted)
    PartialState().wait_for_everyone()
    method.script([*options, "--output-dir", str(folder), *(["--resume"] if same else [])])
    PartialState().wait_for_everyone()
    if PartialState().is_main_process:
        note(folder / DONE, wanted)
    PartialState().wait_for_everyone()


def earlier(path: Path) -> object:
    """What `note` wrote; None if it did not."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def note(path: Path, what: object) -> None:
    """Write JSON, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(what) + "\n", encoding="utf-8")


if __name__ == "__main__":
    launch.run(main)
