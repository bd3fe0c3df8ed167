"""Command `bench`: encoders on many tasks, from features that are computed once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated, Any

import typer

from ..shared.console import print_text
from ..shared.options import writes

HELP = """Evaluate encoders on tasks, from features that are computed once per encoder and dataset.

Protocols:
  probe             logistic regression on all training images
  knn               nearest neighbours
  prototype         nearest class mean
  few-shot          episodes of the whole dataset, by prototypes and by logistic regression
  label-efficiency  the probe on 1 to 100 % of the training images
  zero-shot         similarity to sentences about the classes, for image-text encoders
  retrieval         similar training images
  published         the follow-up study: its probe on 1 to 30 shots, and zero-shot

Encoders: checkpoints of transformers, timm, open_clip or PEFT on the Hub or in a folder; timm:NAME and
open_clip:NAME/PRETRAINED (pip install torch torchvision timm open_clip_torch); FILE.py:FUNCTION, which is run.

Choices are made on validation. Rerun the command to resume: finished results are kept, and features are read from the
cache."""


def bench(context: typer.Context) -> None:
    """Evaluate pre-trained backbones on many tasks, without training them."""
    args = _parser().parse_args(context.args or ["--help"])
    if not args.models and not args.tiny:
        _parser().error("name at least one MODEL, or give --tiny")
    from ...learn.benchmark.bench import bench as evaluate
    from ...learn.benchmark.plan import TINY_ENCODER, Plan

    names = ["protocols", "shots", "seeds", "episodes", "queries", "min_images", "prompts", "tiny"]
    names += ["exclude_leaks", "corruptions", "severities"]
    settings: dict[str, Any] = {name: getattr(args, name) for name in names}
    if args.list:
        plan = Plan.of(args.tasks, **settings)
        print_text(plan.summary(args.models or [TINY_ENCODER], drawn=args.tiny and args.data_dir is None))
        return
    settings |= {name: getattr(args, name) for name in ("tasks", "data_dir", "out", "jobs", "batch_size", "dtype")}
    settings |= {"partial": True} if args.partial else {}
    settings |= {} if args.size is None else {"size": args.size}
    done = evaluate(args.models, say=print_text, **settings)
    print_text("\n" + done.table(args.metric, args.baseline).rstrip("\n"))
    if args.report is not None:
        done.report(args.report, metric=args.metric)
        print_text(f"\nReport: {args.report / 'index.html'}")
    if done.failures:
        raise typer.Exit(1)


def report(
    places: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Files result.json, or folders that contain them.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder to write to.", callback=writes("folder"))
    ] = Path("report"),
    metric: Annotated[str, typer.Option(help="Metric to compare.")] = "auroc",
    title: Annotated[str, typer.Option(help="Title of the page.")] = "MedIMeta benchmark",
) -> None:
    """Write results as one HTML page, with the numbers as Markdown, CSV, LaTeX and figures next to it."""
    from ...learn.benchmark.report.write import report as write
    from ...learn.evaluation.results import results

    print_text(str(write(results(places), out, metric=metric, title=title)))


def _parser() -> argparse.ArgumentParser:
    from ...learn.benchmark.plan import DEFAULT, PROTOCOLS
    from ...learn.experiments.option_groups import COUNT, SEED, new_parser

    examples = (
        "microsoft/resnet-18 facebook/dinov2-base --tasks main --data-dir hub",
        "--tiny --tasks all                                   # offline, on drawn images",
        "models.py:backbone --tasks bus pbc/disease domain:Dermatoscopy --protocols probe few-shot --shots 1 5 10",
    )
    parser = new_parser("bench", "MODEL... ", HELP, *examples)
    add = parser.add_argument
    add(
        "models",
        nargs="*",
        metavar="MODEL",
        help="ORG/MODEL or a folder, timm:NAME, open_clip:NAME/PRETRAINED, FILE.py:FUNCTION, or shortcut",
    )
    add("--tasks", nargs="+", default=["main"], metavar="TASK", help="main, all, ID, ID/TASK or domain:NAME (main)")
    add(
        "--protocols",
        nargs="+",
        choices=(*PROTOCOLS, "published"),
        default=list(DEFAULT),
        metavar="NAME",
        help=f"some of the above ({' '.join(DEFAULT)})",
    )
    add(
        "--data-dir", metavar="DIR", help="raw archives, a release or a Hub folder; found in MEDIMETA_DATA if not given"
    )
    add("--partial", action="store_true", help="accept an incomplete source and use the available files")
    add("--size", type=COUNT, metavar="PIXELS", help="size of the images, 28 to 1024, made from raw archives (224)")
    add("--out", type=Path, default=Path("results"), metavar="DIR", help="folder of the results (%(default)s)")
    add("--metric", default="auroc", help="what the table compares by (%(default)s)")
    add(
        "--report",
        type=Path,
        metavar="DIR",
        help="write the report into this folder: HTML, Markdown, CSV, LaTeX, figures",
    )
    add("--prompts", metavar="FILE", help="zero-shot: phrases and sentences; cards/prompts/<id>.yaml if not given")
    add(
        "--exclude-leaks",
        nargs="?",
        const=True,
        metavar="LEDGER",
        help="learn without images that have a copy in a later split: by known ledgers, or by one of `medimeta audit`",
    )
    add("--corruptions", nargs="*", metavar="NAME", help="also answer corrupted test images; all if none is named")
    add("--severities", type=COUNT, nargs="+", metavar="N", help="of the corruptions (1 2 3 4 5)")
    add("--baseline", metavar="METHOD", help="what corruption errors are relative to; the first method if not given")
    add("--jobs", type=COUNT, default=1, metavar="N", help="processes (%(default)s)")
    add("--tiny", action="store_true", help="try it: a small random encoder, and miniatures where no data are given")
    add("--list", action="store_true", help="only show what would be evaluated")
    add = parser.add_argument_group("episodes").add_argument
    add("--shots", type=COUNT, nargs="+", metavar="N", help="support images per class (1 2 5 10)")
    add("--seeds", type=SEED, nargs="+", default=[0], metavar="N", help="a set of episodes is drawn with each (0)")
    add("--queries", type=COUNT, metavar="N", help="query images per class (10)")
    add("-n", "--episodes", type=COUNT, metavar="N", help="episodes in a set (100)")
    add(
        "--min-images",
        type=lambda text: text if text == "published" else COUNT(text),
        default="published",
        metavar="N",
        help="leave out classes with fewer images (50 in the whole dataset, as published)",
    )
    add = parser.add_argument_group("encoding").add_argument
    add("--batch-size", type=COUNT, metavar="N", help="images per pass; a number that fits if not given")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="precision (%(default)s)")
    return parser
