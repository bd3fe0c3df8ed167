"""`medimeta evaluate` and `medimeta table`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..builders.loading import load_dataset
from ..cards.catalogue import DATASETS
from ..cards.facts import split_name
from .console import AsJson, From, Id, Labels, OneTask, Partial, Split, out, print_json, print_table

if TYPE_CHECKING:
    from ..learn.evaluation.subgroups import Subgroups


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="CSV, Parquet or Excel: a row per image, a column per label.")],
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
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN[:EDGES]", help="Compare groups: patient_sex, patient_age:40,60,80; repeatable."),
    ] = None,
    cross: Annotated[bool, typer.Option("--cross", help="With several --by: their combinations, too.")] = False,
    metric: Annotated[str, typer.Option(help="What groups are compared by.")] = "auroc",
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

    With --out, predictions are stored next to the result, in the same form.
    """
    from ..learn.evaluation import subgroups
    from ..learn.evaluation.grouping import Grouping
    from ..learn.evaluation.predictions import read_result

    grouped = [Grouping.parse(text) for text in by or ()]

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
    compared = []
    if grouped:
        compared = subgroups.of_result(found, wanted, rows, grouped, cross=cross, metric=metric, resamples=resamples)
        found.extra["subgroups"] = [asdict(one) for one in compared]
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
        out.print(f"Left out of means over labels: {', '.join(absent)}, which no row or every row has", markup=False)
    if flat := [name for name, measured in found.metrics.items() if measured.degenerate]:
        out.print(f"An interval without width says nothing of uncertainty: {', '.join(flat)}", markup=False)
    out.print(f"Intervals: {found.interval}", markup=False, highlight=False, soft_wrap=True)
    for one in compared:
        _show_groups(one)


def _show_groups(found: Subgroups) -> None:
    rows = [
        [group.name, f"{group.images:,}", f"{group.subjects:,}", str(group.measured), group.note]
        for group in found.groups
    ]
    out.print(f"\n{found.metric} by {found.by}", markup=False, highlight=False)
    print_table(["group", "images", "subjects", found.metric, "note"], rows, right=(1, 2))
    if found.best is not None:
        gap = f"Gap: {found.best} is better than {found.worst} by {found.gap}"
        out.print(gap, markup=False, highlight=False, soft_wrap=True)


def table(
    places: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Results, or folders of result.json.")],
    metric: Annotated[str, typer.Option(help="What to compare by.")] = "auroc",
    per_class: Annotated[
        bool, typer.Option("--per-class", help="A row per class instead of a mean over them.")
    ] = False,
    compared: Annotated[
        bool, typer.Option("--compare", help="Add ranks over tasks, tests, and paired differences on each task.")
    ] = False,
    markdown: Annotated[Path | None, typer.Option(help="File for the table; printed by default.")] = None,
    csv: Annotated[Path | None, typer.Option(help="File for the numbers, a row per method and task.")] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file for values and intervals.")] = None,
    ranks: Annotated[Path | None, typer.Option(help="PNG file for a critical-difference diagram.")] = None,
    confusion: Annotated[
        Path | None, typer.Option(help="Folder for a confusion matrix of each result, as PNG.")
    ] = None,
) -> None:
    """Compare methods over tasks, from the results of any script."""
    from ..files.atomic import whole_file
    from ..learn.evaluation.comparing import pictures, report
    from ..learn.evaluation.comparing.result_table import write_frames
    from ..learn.evaluation.results import results

    found = results(places)
    made = report.make(found, metric, per_class=per_class, compared=compared, ranked=ranks is not None)
    if markdown is not None:
        with whole_file(markdown) as partial:
            partial.write_text(made.text, encoding="utf-8")
    if csv is not None:
        write_frames(made.frames, csv)
    if plot is not None:
        pictures.write_plot(made.tables, plot)
    if ranks is not None:
        pictures.write_ranks(made.only_standing(), ranks)
    if confusion is not None:
        pictures.write_confusions(found, confusion)
    if markdown is csv is plot is ranks is confusion is None:
        out.file.write(made.text)
