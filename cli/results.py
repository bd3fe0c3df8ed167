"""`medimeta evaluate` and `medimeta table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..builders.dataset import load_dataset
from ..cards.catalogue import DATASETS
from ..cards.facts import split_name
from .console import AsJson, From, Id, Labels, OneTask, Partial, Split, out, print_json, print_table


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="CSV or Parquet: a row per image, a column per label.")],
    dataset: Id,
    task: OneTask = None,
    split: Split = "test",
    episodes: Annotated[Path | None, typer.Option(help="Episode set whose query images were predicted.")] = None,
    logits: Annotated[bool, typer.Option("--logits", help="The numbers are logits, not probabilities.")] = False,
    method: Annotated[str | None, typer.Option(help="Name for tables; the file's by default.")] = None,
    model: Annotated[str, typer.Option(help="What network made them.")] = "",
    protocol: Annotated[
        str | None, typer.Option(help="Its name; what the training scripts call it by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of training, if there is one.")] = None,
    resamples: Annotated[int, typer.Option(min=0, help="Of the bootstrap over subjects.")] = 1000,
    path: Annotated[Path | None, typer.Option("--out", help="JSON file for the result.")] = None,
    data_dir: From = None,
    labels: Labels = "released",
    partial: Partial = False,
    as_json: AsJson = False,
) -> None:
    """Measure a file of predictions: all metrics of the task, with intervals.

    Columns: `index`, the image's number (without it, rows in the split's order), and one per label, called like it.
    Binary tasks may have one called `probability`, of the second label. A column `prediction` with label names or ids
    does without probabilities. With --episodes, a column `episode` too.
    """
    from ..learn.evaluation.predictions import read_result

    card = DATASETS[dataset]
    wanted = card.tasks[0] if task is None else card.task(task)
    split = "+".join(split_name(part.strip()) for part in split.split("+"))
    rows = load_dataset(card.id, split=split, data_dir=data_dir, labels=labels, partial=partial)
    found = read_result(
        predictions,
        wanted,
        rows,
        split=split,
        episodes=episodes,
        logits=logits,
        resamples=resamples,
        protocol=protocol,
        about={
            "method": method or predictions.stem,
            "model": model,
            "seed": seed,
            "settings": {"labels": labels, "partial": partial},
        },
    )
    if path is not None:
        found.save(path)
    if as_json:
        print_json(found.as_dict())
        return
    numbers = [
        [name, *("" if end is None else f"{end:.4f}" for end in (measured.value, measured.low, measured.high))]
        for name, measured in found.metrics.items()
    ]
    print_table(["metric", "value", "low", "high"], numbers, right=(1, 2, 3))
    if absent := found.extra.get("absent"):
        out.print(f"Left out of means over labels, for no row has them: {', '.join(absent)}", markup=False)
    out.print(f"Intervals: {found.interval}", markup=False, highlight=False, soft_wrap=True)


def table(
    places: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Results, or folders of result.json.")],
    metric: Annotated[str, typer.Option(help="What to compare by.")] = "auroc",
    markdown: Annotated[Path | None, typer.Option(help="File for the table; printed by default.")] = None,
    csv: Annotated[Path | None, typer.Option(help="File for the numbers, a row per method and task.")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file for values and intervals.")] = None,
) -> None:
    """Compare methods over tasks, from the results of any script."""
    from ..files.atomic import whole_file
    from ..learn.evaluation.comparison import compare
    from ..learn.evaluation.pictures import write_plot
    from ..learn.evaluation.result_table import write_csv
    from ..learn.evaluation.results import results

    found = compare(results(places), metric)
    text = "\n".join(comparison.markdown() for comparison in found)
    if markdown is not None:
        with whole_file(markdown) as partial:
            partial.write_text(text, encoding="utf-8")
    if csv is not None:
        write_csv(found, csv)
    if plot is not None:
        write_plot(found, plot)
    if markdown is csv is plot is None:
        out.file.write(text)
