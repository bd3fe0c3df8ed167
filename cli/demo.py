"""The main job offline: source archive -> Hub folder -> dataset -> fine-tuned tiny ViT, with two pictures of it.

It takes less than a minute on two cores. The images are drawn, not anyone's: stripes whose angle tells the class.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import transformers
from datasets import Dataset, load_dataset
from rich.console import Console
from rich.table import Table

from ..cards.catalogue import DATASETS
from ..files.atomic import whole_file
from ..files.version import VERSION
from ..learn.evaluation.results import Result
from ..learn.experiments import options, train
from ..upload.folder.miniatures import build_miniatures

DATASET, TASK = "bus", "case category"


def run(out: Path, *, seed: int = 0) -> Result:
    """Run the demo.

    Args:
        out: Folder for everything: source/, hub/, montage.png, and in bus/case_category/ the model, result.json and
            curve.png. Created if need be.
        seed: Of the drawn images and of the training.

    Returns:
        What result.json says.
    """
    console = Console()
    started = time.perf_counter()
    hub = _build(out, seed)
    console.print(f"Built {hub} from {out / 'source'}, a miniature of the {DATASET} source.", soft_wrap=True)
    dataset = load_dataset("medimeta", DATASET, data_dir=str(hub), cache_dir=str(out / "cache"))
    console.print(f"Loaded it: {', '.join(f'{split} {len(rows)}' for split, rows in dataset.items())} images.")
    montage(dataset["train"], out / "montage.png")
    with _calm():
        (result,) = train.run(options.parse("train", _arguments(out, hub, seed)))
    table = Table(title=f"{DATASET}: {TASK}", show_header=False)
    table.add_row("test AUROC", str(result.metrics["auroc"]))
    table.add_row("test accuracy", str(result.metrics["accuracy"]))
    table.add_row("best epoch", f"{result.extra['epoch']} of {len(result.extra['history'])}")
    table.add_row("training images/s", f"{result.extra['images_per_second']:.0f}")
    table.add_row("seconds in all", f"{time.perf_counter() - started:.0f}")
    console.print(table)
    console.print(f"  {out / 'montage.png'}", soft_wrap=True)
    for name in ("curve.png", "result.json", "model"):
        console.print(f"  {out / DATASET / DATASETS[DATASET].task(TASK).column / name}", soft_wrap=True)
    return result


def _build(out: Path, seed: int) -> Path:
    """Draw the source's archive and make a Hub folder of it, as `medimeta build` does."""
    return build_miniatures([DATASET], out, version=VERSION, per_class=60, seed=seed)


def _arguments(out: Path, hub: Path, seed: int) -> list[str]:
    places = ["--data-dir", str(hub), "--cache-dir", str(out / "cache"), "--output-dir", str(out)]
    training = ["--tiny", "--epochs", "10", "--batch-size", "16", "--no-augmentation", "--seed", str(seed)]
    return ["--tasks", f"{DATASET}/{TASK}", *places, *training]


@contextmanager
def _calm() -> Iterator[None]:
    """One thread and no progress bars: on a busy machine, threads that share tiny matrices wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        transformers.utils.logging.enable_progress_bar()


def montage(rows: Dataset, path: Path, *, columns: int = 6) -> None:
    """Draw the first few images of every class of the demo's task, a row per class.

    Args:
        rows: Rows of the dataset.
        path: PNG file to write.
        columns: Images per class.
    """
    from matplotlib.figure import Figure

    task = DATASETS[DATASET].task(TASK)
    labels = np.array(rows[task.column])
    figure = Figure(figsize=(1.5 * columns, 1.5 * len(task.labels) + 0.4), dpi=100, layout="constrained")
    grid = figure.subplots(len(task.labels), columns, squeeze=False)
    for label, (name, line) in enumerate(zip(task.labels, grid, strict=True)):
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(name)
        for axes, index in zip(line, np.flatnonzero(labels == label), strict=False):
            axes.imshow(rows[int(index)]["image"].convert("RGB"))
    figure.suptitle(f"{DATASETS[DATASET].name} (miniature): {task.name}")
    with whole_file(path) as partial:
        figure.savefig(partial, format="png")
