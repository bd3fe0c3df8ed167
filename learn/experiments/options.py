"""The command lines of the training commands.

This module imports neither torch nor `datasets`, so that `--help` is fast and a mistake is reported at once.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..encoders.prompts import LACKS, SHOWS
from .option_groups import (
    COUNT,
    RATE,
    Parser,
    add_chunk,
    add_common,
    add_epochs,
    add_min_images,
    add_pool,
    add_push,
    add_target,
    add_tasks,
    add_training,
    new_parser,
    shared_options,
)

CLIP = "openai/clip-vit-base-patch32"
METHODS = ("finetune", "probe", "prototype")
SWEEP_METHODS = ("full supervision", "IM-PT", "mm-PT", "mm-MAML", "mm-MetaSGD")  # the last one is optional
SWEPT = (  # the commands of a sweep, each with the options of the sweep that pass options to it
    ("train", "--train", "--finetune"),
    ("few-shot", "--few-shot"),
    ("pretrain multitask", "--pretrain-multitask"),
    ("pretrain maml", "--pretrain-maml"),
)
TINY_MAML = {"shots": (1, 3), "queries": 5, "train_episodes": 20, "validation_episodes": 5}  # fits miniatures


def parse(command: str, argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments of a command.

    `--tiny` changes defaults: the model is the small random ViT, and meta-training has fewer and smaller episodes.

    Args:
        command: One of `PARSERS`.
        argv: The words after the command.

    Raises:
        SystemExit: With code 0 after `--help`, and 2 after a mistake, which has been printed.
    """
    parser = PARSERS[command]()
    if command == "sweep":
        args, args_of_all = parser.parse_known_args(argv)
        shared_options().parse_args(args_of_all)  # refuses options that the commands do not share
        args.shared, args.own = args_of_all, {name: getattr(args, name) for name, *_ in SWEPT}
        return args
    args = parser.parse_args(argv)
    if args.tiny:
        parser.set_defaults(model=None, **(TINY_MAML if command == "pretrain maml" else {}))
        args = parser.parse_args(argv)
    return args


def train() -> Parser:
    """`medimeta train`."""
    parser = new_parser(
        "train",
        "--tasks TASK... ",
        "Fine-tune an image classifier on all training images of a task, and test it: full supervision.",
        "--tasks bus",
        '--tasks crc "cxr/disease labels" --class-weights',
        "--tasks main --model microsoft/resnet-50 --mixed-precision bf16",
        "--tiny --tasks bus/malignancy --epochs 5        # offline, in seconds",
    )
    add_tasks(parser)
    add = parser.add_argument
    add("--engine", choices=("accelerate", "trainer"), default="accelerate", help="Accelerate or Trainer (%(default)s)")
    add("--name", help="name of the method in tables; fine-tuning if not given")
    add_training(parser)
    parser.add_argument(
        "--class-weights", action="store_true", help="weigh classes (multilabel: positives) by their rarity in train"
    )
    parser.add_argument(
        "--calibrate", action="store_true", help="divide test logits by a temperature that fits validation"
    )
    add_common(parser, seeds=True)
    return parser


def multitask() -> Parser:
    """`medimeta pretrain multitask`."""
    parser = new_parser(
        "pretrain multitask",
        "(--target ID | --leave-domain-out DOMAIN) ",
        "Pre-train one backbone on all tasks of the source pool (mm-PT).",
        "--target oct --model microsoft/resnet-18 --output-dir runs/mm-pt",
    )
    add_pool(parser)
    add_training(parser)
    add_common(parser)
    return parser


def maml() -> Parser:
    """`medimeta pretrain maml`; the defaults are the published protocol where it names them."""
    parser = new_parser(
        "pretrain maml",
        "(--target ID | --leave-domain-out DOMAIN) ",
        "Meta-train a backbone on episodes of the source pool (mm-MAML, or mm-MetaSGD with --inner learned).",
        "--target pbc --model microsoft/resnet-18 --output-dir runs/maml",
    )
    add_pool(parser)
    add = parser.add_argument_group("episodes").add_argument
    add("--train-episodes", type=COUNT, default=1000, metavar="N", help="number per task (%(default)s)")
    add("--validation-episodes", type=COUNT, default=100, metavar="N", help="number per task (%(default)s)")
    add(
        "--shots",
        type=COUNT,
        nargs=2,
        default=(1, 10),
        metavar=("MIN", "MAX"),
        help="support images per class, drawn for each episode (1 10)",
    )
    add("--queries", type=COUNT, default=10, metavar="N", help="query images per class (%(default)s)")
    add_min_images(add, "40; with --tiny as many as an episode takes")
    add("--no-augmentation", action="store_true", help="train on images as they are")
    add = parser.add_argument_group("inner loop").add_argument
    add(
        "--inner",
        choices=("published", "learned"),
        default="published",
        help="rates: one fixed --inner-rate (mm-MAML), or one learned per weight (mm-MetaSGD) (%(default)s)",
    )
    add("--inner-rate", type=RATE, default=0.1, metavar="RATE", help="fixed, or the start of learned (%(default)s)")
    add("--inner-steps", type=COUNT, default=4, metavar="N", help="gradient steps (%(default)s)")
    add("--validation-steps", type=COUNT, default=32, metavar="N", help="steps at --inner-rate (%(default)s)")
    add("--order", type=int, choices=(1, 2), default=2, help="order of the meta-gradient; 1 is cheaper (%(default)s)")
    add = parser.add_argument_group("outer loop").add_argument
    add("--lr", type=RATE, default=1e-3, metavar="RATE", help="learning rate of Adam (%(default)s)")
    add("--batch-size", type=COUNT, default=1, metavar="N", help="episodes per step, over all processes (%(default)s)")
    add("--epoch-steps", type=COUNT, metavar="N", help="steps per epoch; a pass through all episodes if not given")
    add_epochs(add, patience=5)
    add_push(add)
    add_common(parser)
    return parser


def few_shot() -> Parser:
    """`medimeta few-shot`."""
    parser = new_parser(
        "few-shot",
        "--dataset ID ",
        "Solve few-shot episodes of one task with a pre-trained backbone.",
        "--dataset pbc --model microsoft/resnet-18 --output-dir runs/pbc",
        "--dataset pbc --model runs/maml/model --name mm-MAML --methods probe --shots 1 2 5 10",
    )
    add_target(parser)
    add = parser.add_argument_group("episodes, where no --episodes are given").add_argument
    add("--shots", type=COUNT, nargs="+", default=[5], metavar="N", help="support images per class (5)")
    add("--queries", type=COUNT, default=10, metavar="N", help="query images per class (%(default)s)")
    add("-n", type=COUNT, default=100, metavar="N", help="episodes for each number of shots (%(default)s)")
    add_min_images(add, "50 in the whole dataset, as published")
    add = parser.add_argument_group("methods").add_argument
    add("--name", help="name of the backbone in tables, e.g. mm-MAML; the checkpoint if not given")
    add(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=METHODS,
        metavar="METHOD",
        help=f"{', '.join(METHODS)}; all if not given",
    )
    add("--lr", type=RATE, nargs="+", default=[1e-3, 1e-2], metavar="RATE", help="learning rates of Adam (0.001 0.01)")
    add("--steps", type=COUNT, nargs="+", default=[50, 100], metavar="N", help="steps before prediction (50 100)")
    add("--augmentation", action="store_true", help="fine-tuning: augment the support set in each step")
    add_chunk(add)
    add_common(parser, seeds=True)
    return parser


def zero_shot() -> Parser:
    """`medimeta zero-shot`."""
    parser = new_parser(
        "zero-shot",
        "--dataset ID ",
        "Classify images by sentences with a CLIP-style model, on a split or on few-shot episodes.",
        "--dataset pbc --output-dir runs/clip",
        "--dataset pbc --episodes pbc-5.parquet --output-dir runs/episodes",
    )
    add_target(parser, split="test")
    add = parser.add_argument_group("sentences").add_argument
    add("--name", help="name of the method in tables; the checkpoint if not given")
    add("--prompts", metavar="FILE", help="phrases and sentences; cards/prompts/<id>.yaml if not given")
    add("--shows", nargs="+", metavar="TEXT", help=f"sentences for a label instead, e.g. '{SHOWS}'; averaged")
    add("--lacks", nargs="+", metavar="TEXT", help=f"for its absence, in multilabel tasks, e.g. '{LACKS}'")
    add_chunk(add)
    add_common(parser)
    parser.set_defaults(model=CLIP)
    return parser


def sweep() -> Parser:
    """`medimeta sweep`."""
    parser = new_parser(
        "sweep",
        "--tasks TASK... ",
        "Run methods on tasks and compare them in one table and one figure.\n\n"
        "Options that all commands share (--model, --tiny, --data-dir, --seed, ...) are passed to all of them; give\n"
        "those of one command in the option named after it. A rerun repeats only what is missing or changed.",
        "--tasks main --model microsoft/resnet-18 --mixed-precision bf16",
        '--tiny --tasks bus pbc --sources bus pbc crc --train="--epochs 8" --few-shot="-n 20 --steps 20"',
    )
    add_tasks(parser)
    add = parser.add_argument
    add(
        "--methods",
        nargs="+",
        choices=SWEEP_METHODS,
        default=list(SWEEP_METHODS[:4]),
        metavar="METHOD",
        help=f"{', '.join(SWEEP_METHODS)}; all but the last if not given",
    )
    add("--sources", nargs="+", metavar="ID", help="use only these datasets of each target's source pool")
    for command, *names in SWEPT:
        options: dict[str, Any] = {"dest": command, "type": shlex.split, "default": [], "metavar": "OPTIONS"}
        add(*names, **options, help=f'options of medimeta {command}: {names[0]}="..."')
    add("--output-dir", type=Path, default=Path("sweep"), help="folder of cells, backbones and table (%(default)s)")
    add("--metric", default="auroc", help="metric of the table (%(default)s)")
    add("--resume", action="store_true", help="accepted for uniformity: a sweep always resumes")
    return parser


PARSERS: dict[str, Callable[[], Parser]] = {
    "train": train,
    "pretrain multitask": multitask,
    "pretrain maml": maml,
    "few-shot": few_shot,
    "zero-shot": zero_shot,
    "sweep": sweep,
}
