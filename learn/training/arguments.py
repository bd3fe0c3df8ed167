"""The command line of the training scripts: arguments, the tasks that they name, and where the data are."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets

from ...builders.locate import DATA_VARIABLE
from ...builders.phantoms import write_miniature
from ...cards.catalogue import DATASETS
from ...cards.facts import Task
from ...files.version import VERSION

VIT = "google/vit-base-patch16-224-in21k"
MINIATURE = 20  # images per class of the main task that `--tiny` draws

# Arguments that say where things are and how to go about it, not what comes out.
_NOT_SETTINGS = ("cache_dir", "data_dir", "output_dir", "push_to_hub", "report_to", "resume", "tasks")


def parser(description: str | None) -> argparse.ArgumentParser:
    """Data, model and run: what every training script asks for; `parse` reads it.

    Args:
        description: The script's docstring; its first line is shown.
    """
    wanted = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    add = wanted.add_argument
    add("--data-dir", help="raw source, release or Hub folder; without it MEDIMETA_DATA or a download")
    add("--partial", action="store_true", help="accept a raw source with fewer images than published")
    add("--cache-dir", help="cache of the prepared dataset; that of `datasets` if not given")
    add("--no-store", action="store_true", help="decode images each time, not once into the pixel store")
    add("--model", default=VIT, help="checkpoint, Hub name or folder (%(default)s)")
    add("--tiny", action="store_true", help="where no model is named a small random ViT, where no data are, miniatures")
    add("--mixed-precision", choices=("no", "fp16", "bf16"), default="no", help="fp16 needs a GPU (%(default)s)")
    add("--seed", type=int, default=0, help="of new weights, order and augmentation (%(default)s)")
    add("--output-dir", type=Path, default=Path("runs"), help="for models and results (%(default)s)")
    add("--resume", action="store_true", help="go on where an interrupted run stopped; finished ones are left alone")
    add("--report-to", default="none", help="tracker that Accelerate knows: tensorboard, wandb, ... (%(default)s)")
    return wanted


def parse(wanted: argparse.ArgumentParser, argv: Sequence[str] | None, **tiny: Any) -> argparse.Namespace:
    """Read a command line.

    Args:
        wanted: Of `parser`.
        argv: The words; those of the process if None.
        tiny: Defaults that `--tiny` puts in the place of the usual ones, as it puts the random ViT (None) in the place
            of the usual `--model`. What is given counts all the same.
    """
    args = wanted.parse_args(argv)
    if args.tiny:
        wanted.set_defaults(model=None, **tiny)
        args = wanted.parse_args(argv)
    return args


def add_push(wanted: argparse.ArgumentParser) -> None:
    """The argument `--push-to-hub`, of scripts that make a model."""
    wanted.add_argument(
        "--push-to-hub", metavar="REPO", help="upload the model; for several, e.g. me/vit-{dataset}-{task}"
    )


def add_tasks(wanted: argparse.ArgumentParser) -> None:
    """The argument `--tasks`; `named_tasks` reads it."""
    wanted.add_argument(
        "--tasks",
        nargs="+",
        required=True,
        metavar="TASK",
        help='ids of datasets for their main tasks (crc), tasks ("cxr/disease labels"), "main", or "all"',
    )


def add_training(wanted: argparse.ArgumentParser) -> None:
    """What a training loop needs; the defaults are the published protocol."""
    add = wanted.add_argument
    add("--epochs", type=int, default=100, help="at most (%(default)s)")
    add("--patience", type=int, default=10, help="stop after this many epochs without a better one (%(default)s)")
    add("--batch-size", type=int, default=64, help="images per optimiser step, over all processes (%(default)s)")
    add("--gradient-accumulation", type=int, default=1, help="parts to compute a batch in (%(default)s)")
    add("--lr", type=float, help="learning rate of AdamW (1e-3 for ResNet-18 and the random ViT, else 1e-4)")
    add("--weight-decay", type=float, default=0.0, help="weight decay of AdamW (%(default)s)")
    add("--no-augmentation", action="store_true", help="show training images as they are")
    add_push(wanted)


def add_class_weights(wanted: argparse.ArgumentParser) -> None:
    """The argument `--class-weights`; `training.loss_weights` reads it."""
    wanted.add_argument(
        "--class-weights", action="store_true", help="weigh classes (multilabel: positives) by their rarity in train"
    )


def learning_rate(args: argparse.Namespace) -> float:
    """`--lr`, or the published one: 1e-3 for small models, 1e-4 for larger ones."""
    if args.lr is not None:
        return float(args.lr)
    return 1e-3 if args.model is None or "resnet-18" in args.model.lower() else 1e-4


def named_tasks(names: Sequence[str]) -> list[Task]:
    """The tasks that `--tasks` names, each once, in the order given.

    Raises:
        UnknownName: If there is no such dataset or task.
    """
    found: list[Task] = []
    for name in names:
        if name.lower() in ("all", "main"):
            found += [
                task for card in DATASETS.values() for task in card.tasks if name.lower() == "all" or task.is_main
            ]
        else:
            dataset, _, task = name.partition("/")
            found.append(DATASETS[dataset].task(task) if task else DATASETS[dataset].tasks[0])
    return list(dict.fromkeys(found))


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments that decide what comes out, ready for JSON."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in sorted(vars(args).items())
        if name not in _NOT_SETTINGS
    }


def data_options(args: argparse.Namespace, dataset: str, *, per_class: int = MINIATURE) -> dict[str, Any]:
    """Where a dataset is, as arguments for `medimeta.load_dataset`.

    With `--tiny` and no data named, its miniature is drawn into the cache first, unless it is there. Call it in the
    main process first.

    Args:
        args: Of `parser`.
        dataset: Its id.
        per_class: Images per class of the main task, in the miniature.
    """
    options = {"data_dir": args.data_dir, "partial": args.partial, "cache_dir": args.cache_dir}
    if not args.tiny or args.data_dir is not None or DATA_VARIABLE in os.environ:
        return options
    cache = Path(args.cache_dir or datasets.config.HF_DATASETS_CACHE) / "medimeta-miniatures" / VERSION
    source = cache / f"{DATASETS[dataset].builder}-{per_class}"
    if not source.exists():
        draft = source.with_name(f".{source.name}.{os.getpid()}.part")
        shutil.rmtree(draft, ignore_errors=True)
        write_miniature(dataset, draft, per_class=per_class).rename(source)
    return options | {"data_dir": str(source), "partial": True}
