"""Commands `train`, `pretrain`, `few-shot`, `zero-shot` and `sweep`: the protocols as whole runs.

The commands pass their words on to the parsers of `learn/experiments/options.py`, so that torch is imported only after
a command line has been read. They run in several processes, too: `accelerate launch -m medimeta train ...`.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import typer

# For `typer`: take all words as they are; `--help` is one of them.
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
PRETRAIN = {"multitask": "mm-PT: one backbone for all tasks of the source pool.", "maml": "mm-MAML: meta-training."}


def train(context: typer.Context) -> None:
    """Fine-tune a model on all training images of a task, and test it."""
    args = _read("train", context.args)
    from ...learn.experiments.train import run

    _run(run, args)


def pretrain(context: typer.Context) -> None:
    """Train a backbone on other domains: `pretrain multitask` or `pretrain maml`."""
    method, *words = context.args or ["--help"]
    if method in ("-h", "--help"):
        lines = ["usage: medimeta pretrain (multitask | maml) [options]", ""]
        typer.echo("\n".join([*lines, *(f"  medimeta pretrain {name:<10} {what}" for name, what in PRETRAIN.items())]))
        return
    if method not in PRETRAIN:
        raise typer.BadParameter(f"There is no `pretrain {method}`. Choose one of: {', '.join(PRETRAIN)}.")
    args = _read(f"pretrain {method}", words)
    if method == "maml":
        from ...learn.experiments.pretrain_maml import run
    else:
        from ...learn.experiments.pretrain_multitask import run

    _run(run, args)


def few_shot(context: typer.Context) -> None:
    """Solve few-shot episodes with a pre-trained backbone."""
    args = _read("few-shot", context.args)
    from ...learn.experiments.few_shot import run

    _run(run, args)


def zero_shot(context: typer.Context) -> None:
    """Classify images by sentences with a CLIP-style model."""
    args = _read("zero-shot", context.args)
    from ...learn.experiments.zero_shot import run

    _run(run, args)


def sweep(context: typer.Context) -> None:
    """Compare methods on tasks in one table and one figure."""
    args = _read("sweep", context.args)
    from ...learn.experiments.sweep import run

    _run(run, args)


def _read(command: str, words: list[str]) -> Namespace:
    """Read a command line, then start all processes that a launcher asked for, before torch is imported."""
    from ...learn.experiments import options
    from ...learn.training import launch

    args = options.parse(command, words)
    launch.start_all_processes()
    return args


def _run(run: Callable[[Namespace], object], args: Namespace) -> None:
    from ...learn.training import launch

    seeds, output_dir = getattr(args, "seeds", None), Path(args.output_dir)
    try:
        for seed in seeds or [None]:
            if seed is not None:
                args.seed, args.output_dir = seed, output_dir / f"seed-{seed}"
            run(args)
        launch.part()
    except KeyboardInterrupt:
        print("Interrupted. The same command with --resume continues.", file=sys.stderr)  # noqa: T201
        raise typer.Exit(130) from None
