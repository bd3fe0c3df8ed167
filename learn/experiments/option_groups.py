"""Groups of options that several training commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Parser = argparse.ArgumentParser
Add = Callable[..., Any]
VIT = "google/vit-base-patch16-224-in21k"


def new_parser(command: str, required: str, description: str, *examples: str) -> Parser:
    """Return a parser whose help has a short usage line and ends with examples.

    Args:
        command: The words after `medimeta`.
        required: The required options, for the usage line.
        description: Description of the command.
        *examples: Example options, without `medimeta` and the command.
    """
    epilog = "\n".join(["examples:", *(f"  medimeta {command} {example}" for example in examples)])
    return Parser(
        prog=f"medimeta {command}",
        usage=f"medimeta {command} {required}[options]",
        description=description,
        epilog=epilog if examples else None,
        formatter_class=_Help,
        allow_abbrev=False,
    )


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max_help_position": 32} | options)


def at_least(least: float, kind: Callable[[str], float] = int) -> Callable[[str], float]:
    """Return the `type` of an option that takes a number, not smaller than `least`."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a{' whole' if kind is int else ''} number") from None
        if not value >= least:
            raise argparse.ArgumentTypeError(f"{text} is too small; give {least} or more")
        return value

    return read


COUNT, NUMBER, SEED, RATE = at_least(1), at_least(0), at_least(0), at_least(0, float)


def add_common(parser: Parser, *, seeds: bool = False) -> None:
    """Add the options of every command: data, model and run."""
    add = parser.add_argument_group("data").add_argument
    add("--data-dir", metavar="PATH", help="raw source, release or Hub folder; else MEDIMETA_DATA or a download")
    add("--partial", action="store_true", help="accept a raw source with fewer images than published")
    add("--labels", choices=("released", "corrected"), default="released", help="version of the labels (%(default)s)")
    add(
        "--exclude-leaks",
        nargs="?",
        const=True,
        metavar="LEDGER",
        help="leave out images that have a copy in a later split: by known ledgers, or by one of `medimeta audit`",
    )
    add("--splits-from", metavar="PATH", help="release whose split membership is applied to a raw source")
    add("--cache-dir", metavar="PATH", help="cache of the prepared dataset; that of `datasets` if not given")
    add("--no-store", action="store_true", help="decode images each time instead of once")
    add = parser.add_argument_group("model").add_argument
    add("--model", default=VIT, help="as for medimeta bench: ORG/MODEL or a folder, timm:NAME, ... (%(default)s)")
    add("--tiny", action="store_true", help="quick trial: a small random model, and miniatures if no data are given")
    add("--mixed-precision", choices=("no", "fp16", "bf16"), default="no", help="fp16 needs a GPU (%(default)s)")
    add = parser.add_argument_group("run").add_argument
    add("--seed", type=SEED, default=0, metavar="N", help="seed of weights, order and augmentation (%(default)s)")
    if seeds:
        add("--seeds", type=SEED, nargs="+", metavar="N", help="one run per seed, each in <output-dir>/seed-N")
    add(
        "--output-dir",
        type=Path,
        default=Path("runs"),
        metavar="PATH",
        help="folder of models and results (%(default)s)",
    )
    add("--resume", action="store_true", help="continue an interrupted run; a finished one is left alone")
    add("--report-to", default="none", help="tracker: tensorboard, wandb, ... (%(default)s)")


def shared_options() -> Parser:
    """Return a parser of the options that all commands share."""
    parser = new_parser("sweep", "", "Options that all commands share.")
    add_common(parser)
    return parser


def add_tasks(parser: Parser) -> None:
    """Add `--tasks`; `arguments.named_tasks` reads it."""
    parser.add_argument(
        "--tasks",
        nargs="+",
        required=True,
        metavar="TASK",
        help='dataset ids for their main tasks (crc), tasks ("cxr/disease labels"), "main" or "all"',
    )


def add_target(parser: Parser, *, split: str = "train+validation+test") -> None:
    """Add the options that choose the evaluated task."""
    add = parser.add_argument_group("target").add_argument
    add("--dataset", required=True, metavar="ID", help="the target dataset, e.g. pbc")
    add("--task", help="task of the dataset; the main task if not given")
    add("--split", default=split, help="split to evaluate (%(default)s)")
    add("--episodes", nargs="+", metavar="FILE", help="episodes written by `medimeta episodes`")


def add_pool(parser: Parser) -> None:
    """Add the source pool; `pretraining.source_pool` reads it."""
    group = parser.add_argument_group("source pool")
    kept = group.add_mutually_exclusive_group(required=True)
    kept.add_argument("--target", metavar="ID", help="target dataset: the pool shares no domain or subject with it")
    kept.add_argument("--leave-domain-out", metavar="DOMAIN", help="the same for all datasets of an imaging domain")
    group.add_argument("--main-only", action="store_true", help="use only the main task of each source dataset")
    group.add_argument("--sources", nargs="+", metavar="ID", help="use only these datasets of the pool")


def add_training(parser: Parser) -> None:
    """Add the options of a training loop; the defaults are those of the published protocol."""
    add = parser.add_argument_group("training").add_argument
    add_epochs(add, patience=10)
    add("--batch-size", type=COUNT, default=64, metavar="N", help="images per step, over all processes (%(default)s)")
    add("--gradient-accumulation", type=COUNT, default=1, metavar="N", help="parts to compute a batch in (%(default)s)")
    add("--lr", type=RATE, metavar="RATE", help="rate of AdamW; by architecture: 1e-3 for ResNet-18, 1e-4 for larger")
    add("--weight-decay", type=RATE, default=0.0, metavar="RATE", help="weight decay of AdamW (%(default)s)")
    add("--no-augmentation", action="store_true", help="train on images as they are")
    add_push(add)


def add_epochs(add: Add, *, patience: int) -> None:
    """Add the options that limit the number of epochs."""
    add("--epochs", type=COUNT, default=100, metavar="N", help="largest number of epochs (%(default)s)")
    add("--patience", type=COUNT, default=patience, metavar="N", help="stop after N without better AUROC (%(default)s)")


def add_push(add: Add) -> None:
    """Add `--push-to-hub`."""
    add("--push-to-hub", metavar="REPO", help="upload the model; several: me/vit-{dataset}-{task}")


def add_min_images(add: Add, default: str) -> None:
    """Add `--min-images` and `--share-subjects`; the default depends on other options, so only its text is given."""
    add("--min-images", type=NUMBER, metavar="N", help=f"leave out classes with fewer images ({default})")
    add("--share-subjects", action="store_true", help="support and query may show the same subject, as published")


def add_chunk(add: Add) -> None:
    """Add `--chunk`."""
    add("--chunk", type=COUNT, default=64, metavar="N", help="images per forward pass (%(default)s)")
