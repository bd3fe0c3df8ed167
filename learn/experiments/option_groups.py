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
    """Make a parser whose help is short at its head and shows examples at its end.

    Args:
        command: The words after `medimeta`.
        required: The options that must be given.
        description: What the command does.
        *examples: What may follow the command.
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
    """The `type` of an option: a number, not smaller than `least`."""

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
    """Add data, model and run: the options of every command."""
    add = parser.add_argument_group("data").add_argument
    add("--data-dir", metavar="PATH", help="raw source, release or Hub folder; else MEDIMETA_DATA or a download")
    add("--partial", action="store_true", help="accept a raw source with fewer images than published")
    add("--labels", choices=("released", "corrected"), default="released", help="which labels (%(default)s)")
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
    add("--tiny", action="store_true", help="try it: a small random model, and miniatures where no data are given")
    add("--mixed-precision", choices=("no", "fp16", "bf16"), default="no", help="fp16 needs a GPU (%(default)s)")
    add = parser.add_argument_group("run").add_argument
    add("--seed", type=SEED, default=0, metavar="N", help="of weights, order and augmentation (%(default)s)")
    if seeds:
        add("--seeds", type=SEED, nargs="+", metavar="N", help="one run per seed, each in <output-dir>/seed-N")
    add("--output-dir", type=Path, default=Path("runs"), metavar="PATH", help="for models and results (%(default)s)")
    add("--resume", action="store_true", help="continue an interrupted run; a finished one is left alone")
    add("--report-to", default="none", help="tracker: tensorboard, wandb, ... (%(default)s)")


def shared_options() -> Parser:
    """Make a parser of the options that every command knows."""
    parser = new_parser("sweep", "", "Options that every command knows.")
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
    """Add the task that is evaluated."""
    add = parser.add_argument_group("target").add_argument
    add("--dataset", required=True, metavar="ID", help="the target dataset, e.g. pbc")
    add("--task", help="its task; the main task if not given")
    add("--split", default=split, help="what is evaluated (%(default)s)")
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
    """Add what a training loop needs; the defaults are the published protocol."""
    add = parser.add_argument_group("training").add_argument
    add_epochs(add, patience=10)
    add("--batch-size", type=COUNT, default=64, metavar="N", help="images per step, over all processes (%(default)s)")
    add("--gradient-accumulation", type=COUNT, default=1, metavar="N", help="parts to compute a batch in (%(default)s)")
    add("--lr", type=RATE, metavar="RATE", help="of AdamW; by architecture: 1e-3 for ResNet-18, 1e-4 for larger ones")
    add("--weight-decay", type=RATE, default=0.0, metavar="RATE", help="of AdamW (%(default)s)")
    add("--no-augmentation", action="store_true", help="train on images as they are")
    add_push(add)


def add_epochs(add: Add, *, patience: int) -> None:
    """Add how long to train."""
    add("--epochs", type=COUNT, default=100, metavar="N", help="at most (%(default)s)")
    add("--patience", type=COUNT, default=patience, metavar="N", help="epochs without a better AUROC (%(default)s)")


def add_push(add: Add) -> None:
    """Add `--push-to-hub`."""
    add("--push-to-hub", metavar="REPO", help="upload the model; several: me/vit-{dataset}-{task}")


def add_min_images(add: Add, default: str) -> None:
    """`--min-images` and `--share-subjects`; the default depends on other options, so that only its text is given."""
    add("--min-images", type=NUMBER, metavar="N", help=f"leave out classes with fewer images ({default})")
    add("--share-subjects", action="store_true", help="support and query may show the same subject, as published")


def add_chunk(add: Add) -> None:
    """Add `--chunk`."""
    add("--chunk", type=COUNT, default=64, metavar="N", help="images that pass the model at once (%(default)s)")
