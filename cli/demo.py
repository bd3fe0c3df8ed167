"""Command `demo`: source archive -> Hub folder -> dataset -> fine-tuned tiny ViT, offline, on phantoms.

It takes less than a minute on two cores.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..files.version import VERSION
from .build import print_next_steps, splits_text
from .shared.console import print_facts, print_text
from .shared.options import NumProc

if TYPE_CHECKING:
    from ..learn.evaluation.results import Result
    from ..upload.folder.record import BuildRecord

DATASET, TASK = "bus", "case category"


def demo(
    folder: Annotated[Path, typer.Option("--out", help="Folder to write everything to.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Random seed of images and training.")] = 0,
    all_datasets: Annotated[
        bool, typer.Option("--all", help="Build miniatures of all datasets instead, without training.")
    ] = False,
    num_proc: NumProc = 1,
) -> None:
    """Run all steps offline on phantoms: build, load, fine-tune, plot.

    Builds a miniature of `bus`, loads it, fine-tunes a tiny ViT on it, and plots images and learning curve.
    """
    if all_datasets:
        build_all(folder, seed=seed, num_proc=num_proc)
    else:
        run(folder, seed=seed)


def build_all(folder: Path, *, seed: int, num_proc: int) -> None:
    """Build miniatures of all datasets.

    Args:
        folder: Where to write source/ and hub/.
        seed: Random seed of the phantoms.
        num_proc: Number of processes.
    """
    from ..cards.catalogue import DATASETS
    from ..files.parallel import pool
    from ..upload.folder.miniatures import build_miniatures
    from .shared.progress import progress_bar

    with pool(num_proc) as (executor, workers), progress_bar("datasets") as progress:
        bar = progress.add_task("all", total=len(DATASETS))

        def finished(record: BuildRecord) -> None:
            progress.advance(bar)
            progress.console.print(f"{record.dataset}: {splits_text(record)}")

        common: Any = {"executor": executor, "workers": workers, "finished": finished}
        hub = build_miniatures(list(DATASETS), folder, version=VERSION, seed=seed, **common)
    print_next_steps(hub, DATASET)


def run(out: Path, *, seed: int = 0) -> Result:
    """Run the demo.

    Args:
        out: Folder for everything, created if necessary: source/, hub/, montage.png, and in bus/case_category/ the
            model, result.json and curve.png.
        seed: Random seed of phantoms and training.

    Returns:
        The content of result.json.
    """
    from datasets import load_dataset

    from ..cards.catalogue import DATASETS
    from ..learn.experiments import options, train
    from ..learn.figures.show import show
    from ..learn.figures.style import save
    from ..upload.folder.miniatures import build_miniatures

    started = time.perf_counter()
    hub = build_miniatures([DATASET], out, version=VERSION, per_class=60, seed=seed)
    print_text(f"Built {hub} from {out / 'source'}, a miniature of the {DATASET} source.")
    dataset = load_dataset("medimeta", DATASET, data_dir=str(hub), cache_dir=str(out / "cache"))
    print_text(f"Loaded it: {', '.join(f'{split} {len(rows)}' for split, rows in dataset.items())} images.")
    save(show(DATASET, TASK, data_dir=hub, cache_dir=out / "cache"), out / "montage.png")
    with _one_thread():
        (result,) = train.run(options.parse("train", _arguments(out, hub, seed)))
    place = out / DATASET / DATASETS[DATASET].task(TASK).column
    print_text(f"\n{DATASET}: {TASK}")
    print_facts(
        {
            "test AUROC": str(result.metrics["auroc"]),
            "test accuracy": str(result.metrics["accuracy"]),
            "best epoch": f"{result.extra['epoch']} of {len(result.extra['history'])}",
            "images/s": f"{result.extra['images_per_second']:.0f} in training",
            "seconds": f"{time.perf_counter() - started:.0f} in total",
            "files": [str(out / "montage.png"), *(str(place / name) for name in ("curve.png", "result.json", "model"))],
        }
    )
    return result


def _arguments(out: Path, hub: Path, seed: int) -> list[str]:
    places = ["--data-dir", str(hub), "--cache-dir", str(out / "cache"), "--output-dir", str(out)]
    training = ["--tiny", "--epochs", "10", "--batch-size", "16", "--no-augmentation", "--seed", str(seed)]
    return ["--tasks", f"{DATASET}/{TASK}", *places, *training]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Train with one thread and without progress bars: for tiny matrices, more threads are slower."""
    import torch
    from transformers.utils import logging

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        logging.enable_progress_bar()
