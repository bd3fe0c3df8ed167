"""Command `bench`: encoders on many tasks, from features that are computed once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import typer

from .shared.console import print_text

HELP = """Evaluate encoders on tasks, from features that are computed once per encoder and dataset.

Protocols: probe (logistic regression on all training images), knn (nearest neighbours), prototype (nearest class mean),
and few-shot (episodes of the whole dataset, by prototypes and by logistic regression). Choices are made on validation.
Encoders: checkpoints of transformers, timm, open_clip or PEFT on the Hub or in a folder; timm:NAME and
open_clip:NAME/PRETRAINED (pip install torch torchvision timm open_clip_torch); FILE.py:FUNCTION, which is run.
Rerun the command to resume: finished results are kept, and features are read from the cache."""


def bench(context: typer.Context) -> None:
    """Evaluate pre-trained backbones on many tasks, without training them."""
    args = _parser().parse_args(context.args or ["--help"])
    from ..learn.benchmark.bench import bench as evaluate
    from ..learn.benchmark.plan import chosen_tasks

    settings = {name: getattr(args, name) for name in ("protocols", "shots", "seeds", "episodes", "queries")}
    settings |= {"min_images": args.min_images, "batch_size": args.batch_size, "dtype": args.dtype}
    if args.list:
        from ..learn.benchmark.plan import Plan

        chosen = {name: settings[name] for name in ("episodes", "queries", "min_images")}
        several: Any = {name: tuple(settings[name]) for name in ("protocols", "shots", "seeds")}
        print_text(Plan(chosen_tasks(args.tasks), **several, **chosen).summary(args.models))
        return
    options: dict[str, Any] = {"partial": True} if args.partial else {}
    options |= {} if args.size is None else {"size": args.size}
    done = evaluate(
        args.models, tasks=args.tasks, data_dir=args.data_dir, out=args.out, say=print_text, **settings, **options
    )
    print_text("\n" + done.table(args.metric).rstrip("\n"))
    if done.failures:
        raise typer.Exit(1)


def _parser() -> argparse.ArgumentParser:
    from ..learn.benchmark.plan import PROTOCOLS
    from ..learn.experiments.option_groups import COUNT, SEED, new_parser

    examples = (
        "microsoft/resnet-18 facebook/dinov2-base --tasks main --data-dir hub",
        "models.py:backbone --tasks bus pbc/disease domain:Dermatoscopy --protocols probe few-shot --shots 1 5 10",
    )
    parser = new_parser("bench", "MODEL... ", HELP, *examples)
    add = parser.add_argument
    add(
        "models",
        nargs="+",
        metavar="MODEL",
        help="ORG/MODEL or a folder, timm:NAME, open_clip:NAME/PRETRAINED, or FILE.py:FUNCTION",
    )
    add("--tasks", nargs="+", default=["main"], metavar="TASK", help="main, all, ID, ID/TASK or domain:NAME (main)")
    add(
        "--protocols",
        nargs="+",
        choices=PROTOCOLS,
        default=list(PROTOCOLS),
        metavar="NAME",
        help=f"{', '.join(PROTOCOLS)}; all if not given",
    )
    add(
        "--data-dir", metavar="DIR", help="raw archives, a release or a Hub folder; found in MEDIMETA_DATA if not given"
    )
    add("--partial", action="store_true", help="accept an incomplete source and use the available files")
    add("--size", type=COUNT, metavar="PIXELS", help="size of the images, 28 to 1024, made from raw archives (224)")
    add("--out", type=Path, default=Path("results"), metavar="DIR", help="folder of the results (%(default)s)")
    add("--metric", default="auroc", help="what the table compares by (%(default)s)")
    add("--list", action="store_true", help="only show what would be evaluated")
    add = parser.add_argument_group("episodes").add_argument
    add(
        "--shots", type=COUNT, nargs="+", default=[1, 2, 5, 10], metavar="N", help="support images per class (1 2 5 10)"
    )
    add("--seeds", type=SEED, nargs="+", default=[0], metavar="N", help="a set of episodes is drawn with each (0)")
    add("--queries", type=COUNT, default=10, metavar="N", help="query images per class (%(default)s)")
    add("-n", "--episodes", type=COUNT, default=100, metavar="N", help="episodes in a set (%(default)s)")
    add(
        "--min-images",
        type=lambda text: text if text == "published" else COUNT(text),
        default="published",
        metavar="N",
        help="leave out classes with fewer images (50 in the whole dataset, as published)",
    )
    add = parser.add_argument_group("encoding").add_argument
    add("--batch-size", type=COUNT, default=32, metavar="N", help="images per pass (%(default)s)")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="precision (%(default)s)")
    return parser
