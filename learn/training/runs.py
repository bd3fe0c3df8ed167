"""A training run from its start to its result: trackers, resuming, test metrics, curve, model card."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from datasets import Dataset

from ...cards.facts import Task
from ...errors import MedIMetaError
from ...files.json_values import canonical
from ..episodes.rows import fingerprint, labels_and_subjects
from ..evaluation.measures.calibration import scaled, temperature
from ..evaluation.measures.scores import probabilities
from ..evaluation.results import FILE, FULL_SUPERVISION, Result
from ..figures.style import look, mark_auroc, save, styled
from .arguments import model_name, named_tasks, settings
from .checkpoints import FINAL
from .learning_rates import learning_rate
from .model_card import check_hub, push, repository, write_card
from .resume import finished

CHOICES = {"auroc": FILE, "loss": "result-by-loss.json"}  # file of the result, by criterion for the best epoch
METHOD = {"accelerate": "fine-tuning", "trainer": "fine-tuning, Trainer"}  # the name in tables, by --engine
Engine = Callable[[argparse.Namespace, Task, Path], Result]


def each_task(args: argparse.Namespace, train: Engine) -> list[Result]:
    """Run one task after another, and return the results; a task that fails does not stop the others.

    Args:
        args: Arguments of the run; a missing learning rate is set. With `--resume`, a task that has a result with the
            same settings keeps it.
        train: Function that trains and tests, called with arguments, task and the output folder,
            `<output-dir>/<dataset>/<column>`.

    Raises:
        MedIMetaError: At the end, if tasks failed; the message names them and the reasons.
    """
    tasks = named_tasks(args.tasks)
    if args.push_to_hub is not None:
        check_hub(args.push_to_hub, tasks)
    if args.lr is None:
        args.lr = learning_rate(args.model)
    results, failed = [], []
    for task in tasks:
        folder = args.output_dir / task.dataset / task.column
        if args.resume and finished(folder / FILE, settings(args)) is not None:
            print(f"{folder} is finished.")  # noqa: T201
            results.append(Result.load(folder / FILE))
            continue
        try:
            results.append(train(args, task, folder))
        except MedIMetaError as error:
            if len(tasks) == 1:
                raise
            failed.append(f"  {task.dataset}/{task.name}: {error}")
            print(f"{task.dataset}/{task.name} failed: {error}", file=sys.stderr)  # noqa: T201
    if failed:
        raise MedIMetaError("\n".join([f"{len(failed)} of {len(tasks)} tasks failed:", *failed]))
    return results


def start(args: argparse.Namespace, folder: Path) -> Accelerator:
    """Return the `Accelerator` of a run, with its trackers started; results of an earlier run are deleted.

    Raises:
        MedIMetaError: If the tracker is unknown or not installed.
    """
    tracker = None if args.report_to == "none" else args.report_to
    try:
        accelerator = Accelerator(
            mixed_precision=args.mixed_precision,
            gradient_accumulation_steps=getattr(args, "gradient_accumulation", 1),
            log_with=tracker,
            project_dir=folder,
        )
    except ValueError as error:
        raise MedIMetaError(f"--report-to {tracker}, --mixed-precision {args.mixed_precision}: {error}") from error
    if tracker is not None and not accelerator.log_with:  # Accelerate says nothing
        raise MedIMetaError(f"--report-to {tracker}: its package is not installed. Install it: pip install {tracker}")
    if accelerator.is_main_process:
        for name in CHOICES.values():
            for suffix in (".json", ".predictions.parquet"):
                (folder / name).with_suffix(suffix).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
    if tracker is not None:
        plain = {k: v if isinstance(v, int | float | str | bool) else str(v) for k, v in settings(args).items()}
        accelerator.init_trackers("medimeta", config=plain)
    return accelerator


def end_trackers(accelerator: Accelerator) -> None:
    """End the trackers, like `Accelerator.end_training`, but keep the process group for another run."""
    for tracker in accelerator.trackers:
        tracker.finish()


def identity(args: argparse.Namespace, task: Task, rows: Mapping[str, Dataset]) -> dict[str, Any]:
    """Return everything that influences the results of a run: settings, task, and a hash of the data."""
    data = {split: fingerprint(view, task) for split, view in rows.items()}
    return settings(args) | {
        "task": f"{task.dataset}/{task.name}",
        "data": hashlib.sha256(canonical(data)).hexdigest(),
    }


def finish(
    args: argparse.Namespace,
    task: Task,
    rows: Mapping[str, Dataset],
    accelerator: Accelerator,
    history: Sequence[Mapping[str, Any]],
    best: Mapping[str, Mapping[str, Any]],
    logits: Mapping[str, torch.Tensor],
    *,
    validation: Mapping[str, torch.Tensor] | None = None,
    images_per_second: float,
) -> Result:
    """Write the results of the test split, the curve and the model cards; result.json is last and marks the end.

    Args:
        args: Arguments of the run.
        task: The task.
        rows: The splits, with all columns.
        accelerator: The accelerator of the run; its trackers are ended.
        history: As in `Progress`.
        best: As in `Progress`; the models are in `model/` and `model-by-loss/`.
        logits: Logits of the test split, for the best epochs by "auroc" and "loss".
        validation: Logits of the validation split, for `--calibrate`.
        images_per_second: Speed of training, without evaluation.

    Returns:
        The result of the best epoch by AUROC.
    """
    results = {}
    for by, values in logits.items():
        scores, calibrated = probabilities(task, values.numpy()), {}
        if validation is not None:
            held_out = probabilities(task, validation[by].numpy())
            calibrated["temperature"] = temperature(task, held_out, labels_and_subjects(rows["validation"], task)[0])
            scores = scaled(task, scores, calibrated["temperature"])
        results[by] = Result.of_scores(
            task,
            scores,
            rows["test"],
            split="test",
            protocol=FULL_SUPERVISION,
            method=args.name or METHOD[args.engine],
            model=model_name(args),
            seed=args.seed,
            settings=settings(args),
            extra={
                "chosen_by": f"validation {by}",
                "epoch": best[by]["epoch"],
                "validation": best[by]["metrics"],
                "history": list(history),
                "images": {split: len(view) for split, view in rows.items()},
                "processes": accelerator.num_processes,
                "images_per_second": images_per_second,
                **calibrated,
            },
        )
    result, folder = results["auroc"], args.output_dir / task.dataset / task.column
    accelerator.log(
        {f"test_{name}": metric.value for name, metric in result.metrics.items() if metric.value is not None}
    )
    if accelerator.is_main_process:
        plot_curve(result, folder / "curve.png")
        repo = None if args.push_to_hub is None else repository(args.push_to_hub, task)
        write_card(folder / FINAL["loss"], [results["loss"]], data_dir=args.data_dir)
        write_card(folder / FINAL["auroc"], [results["auroc"]], repo=repo, data_dir=args.data_dir)
        if repo is not None:
            push(folder / FINAL["auroc"], repo)
        for by, name in sorted(CHOICES.items(), reverse=True):
            results[by].save(folder / name)
    end_trackers(accelerator)
    accelerator.print("test: " + ", ".join(f"{name} {metric}" for name, metric in result.metrics.items()))
    return result


def quiet() -> bool | None:
    """Return the `disable` of progress bars: only the main process shows them, and only on a terminal."""
    return None if PartialState().is_main_process else True


@styled
def plot_curve(result: Result, path: Path) -> None:
    """Draw losses and validation AUROC per epoch, with the chosen epoch marked."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state
    from matplotlib.ticker import MaxNLocator

    history, best = result.extra["history"], result.extra["epoch"]
    figure = Figure(figsize=(8, 3.2))
    left, right = figure.subplots(1, 2)
    for axes, key, label, number in (
        (left, "train_loss", "training", 0),
        (left, "validation_loss", "validation", 1),
        (right, "validation_auroc", "validation", 1),
    ):
        values = [entry[key] for entry in history]
        colour, marker = look(number)
        axes.plot(range(1, len(values) + 1), values, color=colour, marker=marker, label=label)
    mark_auroc(right, "y")
    for axes, name in ((left, "Loss (mean over images)"), (right, "AUROC")):
        axes.axvline(best, color="0.4", linestyle="--", marker="", label=f"best epoch ({best})")
        axes.set(xlabel="Epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    figure.suptitle(f"{result.dataset}, {result.task}: {result.model}")
    save(figure, path)
