"""The result of a training run: what it was, what it measured, and its curve."""

from __future__ import annotations

import argparse
import json
import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset

import medimeta

from ..cards.catalogue import Task

_SAID = ("dataset", "task", "model", "tiny", "seed")  # arguments that the result has under their own names


def result(args: argparse.Namespace, task: Task, views: Mapping[str, Dataset], **measured: Any) -> dict[str, Any]:
    """All that identifies a run and all that it measured, ready for JSON (NaN becomes None)."""
    packages = ("datasets", "transformers", "accelerate", "torch", "numpy", "scikit-learn")
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in sorted(vars(args).items()) if k not in _SAID}
    return {
        "dataset": task.dataset,
        "task": task.name,
        "target": task.target,
        "model": "tiny random ViT" if args.tiny else args.model,
        "seed": args.seed,
        "images": {split: len(view) for split, view in views.items()},
        **{name: _without_nan(value) for name, value in measured.items()},
        "settings": settings,
        "versions": {"python": platform.python_version(), "medimeta": medimeta.__version__}
        | {name: version(name) for name in packages},
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_result(found: Mapping[str, Any], folder: Path) -> None:
    """Write curve.png and then result.json, each whole or not at all."""
    plot_curve(found, folder / "curve.png")
    fresh = folder / ".result.json"
    fresh.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    fresh.replace(folder / "result.json")


def plot_curve(found: Mapping[str, Any], path: Path) -> None:
    """Draw losses and validation AUROC per epoch, with the chosen epoch marked."""
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state
    from matplotlib.ticker import MaxNLocator

    history, best = found["history"], found["best_epoch"]
    figure = Figure(figsize=(8, 3.2), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, key, label, colour in (
        (left, "train_loss", "training", "tab:blue"),
        (left, "validation_loss", "validation", "tab:orange"),
        (right, "validation_auroc", "validation", "tab:orange"),
    ):
        values = [entry[key] for entry in history]
        axes.plot(range(1, len(values) + 1), values, marker="o", markersize=3, color=colour, label=label)
    for axes, title in ((left, "Loss"), (right, "AUROC")):
        axes.axvline(best, color="grey", linestyle=":", label=f"best epoch ({best})")
        axes.set(title=title, xlabel="Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.suptitle(f"{found['dataset']}, {found['task']}: {found['model']}", fontsize="medium")
    fresh = path.with_name(f".{path.name}")
    figure.savefig(fresh, format="png")
    fresh.replace(path)
