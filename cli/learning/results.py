"""Commands `evaluate` and `table`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..shared.console import print_json, print_table, print_text
from ..shared.options import AsJson, From, Id, Labels, OneTask, Partial, Release, Split, writes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...learn.evaluation.measures.intervals import Measured
    from ...learn.evaluation.results import Result
    from ...learn.evaluation.subgroups import Subgroups


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="CSV, Parquet or Excel: a row per image, a column per label."),
    ],
    dataset: Id,
    task: OneTask = None,
    split: Split = "test",
    episodes: Annotated[Path | None, typer.Option(help="Episode set whose query images were predicted.")] = None,
    logits: Annotated[bool, typer.Option("--logits", help="The values are logits, not probabilities.")] = False,
    method: Annotated[str | None, typer.Option(help="Name in tables. Default: the name of the file.")] = None,
    model: Annotated[str, typer.Option(help="Name of the network.")] = "",
    protocol: Annotated[
        str | None, typer.Option(help="Name of the protocol. Default: as in the training scripts.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the training run.")] = None,
    resamples: Annotated[int, typer.Option(min=0, help="Resamples of the bootstrap over subjects.")] = 1000,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN[:EDGES]", help="Compare groups, e.g. patient_sex or patient_age:40,60,80; can be repeated."
        ),
    ] = None,
    cross: Annotated[bool, typer.Option("--cross", help="With several --by: also their combinations.")] = False,
    metric: Annotated[str, typer.Option(help="Metric to compare groups by.")] = "auroc",
    corruption: Annotated[
        str | None, typer.Option(help="How the images were corrupted; see `medimeta corruptions ID`.")
    ] = None,
    severity: Annotated[int | None, typer.Option(help="Severity of the corruption, 1 to 5.", show_default="3")] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Predictions of the validation split, by which to calibrate (temperature scaling)."
        ),
    ] = None,
    path: Annotated[
        Path | None, typer.Option("--out", help="JSON file to write the result to.", callback=writes("JSON"))
    ] = None,
    data_dir: From = None,
    release: Release = False,
    labels: Labels = "released",
    partial: Partial = False,
    as_json: AsJson = False,
) -> None:
    """Compute all metrics of a file of predictions, with intervals.

    Columns: `index`, the number of the image (if absent, rows are in the order of the split), and one column of
    probabilities per label, named like the label. Binary tasks may have a single column `probability`, of the second
    label. A column `prediction` with label names or ids replaces probabilities. With --episodes, also `episode`.

    With --out, the predictions are stored next to the result, in the same form.
    """
    from ...builders.loading import load_dataset
    from ...cards.catalogue import DATASETS
    from ...cards.split_names import join_splits
    from ...errors import MedIMetaError
    from ...learn.data.corruptions.registry import SEVERITY, check
    from ...learn.evaluation import subgroups
    from ...learn.evaluation.grouping import Grouping
    from ...learn.evaluation.predictions import Predictions
    from ..shared.sources import check_source

    grouped = [Grouping.parse(text) for text in by or ()]

    card = DATASETS[dataset]
    wanted = card.tasks[0] if task is None else card.task(task)
    settings: dict[str, object] = {"labels": labels, "partial": partial}
    if corruption is None and severity is not None:
        raise MedIMetaError(f"--severity {severity} needs a corruption. Name it: --corruption NAME")
    if corruption is not None:
        severity = SEVERITY if severity is None else severity
        check(card.id, corruption, severity)
        settings |= {"corruption": corruption, "severity": severity} if severity else {}
    split = join_splits(split)
    check_source(card, data_dir, release=release, command=f"evaluate {predictions}")
    given = Predictions.read(predictions, wanted, logits=logits)  # before any data are read
    held_out = None if calibrate is None else Predictions.read(calibrate, wanted, logits=logits)
    source: Any = {"data_dir": data_dir, "labels": labels, "partial": partial}
    rows = load_dataset(card.id, split=split, **source)
    if held_out is not None:
        given = given.calibrated(held_out, load_dataset(card.id, split="validation", **source))
        settings["temperature"] = given.temperature
    result = given.result(
        rows,
        split=split,
        episodes=episodes,
        resamples=resamples,
        protocol=protocol,
        about={
            "method": method or predictions.stem,
            "model": model,
            "seed": seed,
            "settings": settings,
        },
    )
    compared = []
    if grouped:
        compared = subgroups.of_result(result, wanted, rows, grouped, cross=cross, metric=metric, resamples=resamples)
        result.extra["subgroups"] = [asdict(one) for one in compared]
    if path is not None:
        result.save(path)
    if as_json:
        print_json(result.as_dict())
        return
    print_table(["metric", "value", "low", "high"], _numbers(result.metrics), right=(1, 2, 3))
    if result.copies is not None and result.copies.images:
        print_text(f"\nWithout the {result.copies.images:,} images that have a copy in another split:")
        print_table(["metric", "value", "low", "high"], _numbers(result.copies.without), right=(1, 2, 3))
        print_text("")
    if given.temperature is not None:
        print_text(f"Calibrated on validation: logits are divided by {given.temperature:.3f}")
    if absent := result.extra.get("absent"):
        print_text(f"Left out of means over labels, because no row or every row has them: {', '.join(absent)}")
    if flat := [name for name, measured in result.metrics.items() if measured.degenerate]:
        print_text(f"Intervals without width, which do not measure uncertainty: {', '.join(flat)}")
    print_text(f"Intervals: {result.interval}")
    for one in compared:
        _show_groups(one)


def _numbers(metrics: Mapping[str, Measured]) -> list[list[str]]:
    return [
        [name, *("" if end is None else f"{end:.4f}" for end in (measured.value, measured.low, measured.high))]
        for name, measured in metrics.items()
    ]


def _show_groups(compared: Subgroups) -> None:
    rows = [
        [group.name, f"{group.images:,}", f"{group.subjects:,}", str(group.measured), group.note]
        for group in compared.groups
    ]
    print_text(f"\n{compared.metric} by {compared.by}")
    print_table(["group", "images", "subjects", compared.metric, "note"], rows, right=(1, 2))
    if compared.best is not None:
        print_text(f"Gap: {compared.best} is better than {compared.worst} by {compared.gap}")


def table(
    places: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Files result.json, or folders that contain them.")
    ],
    metric: Annotated[str, typer.Option(help="Metric to compare.")] = "auroc",
    per_class: Annotated[
        bool, typer.Option("--per-class", help="One row per class instead of the mean over classes.")
    ] = False,
    compared: Annotated[
        bool, typer.Option("--compare", help="Add ranks over tasks, tests, and paired differences on each task.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help="Show robustness to corruptions instead: balanced errors, and mCE relative to this method.",
        ),
    ] = None,
    transposed: Annotated[bool, typer.Option("--transpose", help="Tasks down, methods across.")] = False,
    markdown: Annotated[
        Path | None, typer.Option(help="File to write the table to. Default: print it.", callback=writes("Markdown"))
    ] = None,
    latex: Annotated[
        Path | None, typer.Option(help="File to write the table to, as LaTeX.", callback=writes("LaTeX"))
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="File to write the numbers to, a row per method and task.", callback=writes("CSV")),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="PNG file to plot values and intervals to.", callback=writes("PNG"))
    ] = None,
    ranks: Annotated[
        Path | None, typer.Option(help="PNG file to plot a critical-difference diagram to.", callback=writes("PNG"))
    ] = None,
    confusion: Annotated[
        Path | None,
        typer.Option(help="Folder to write a confusion matrix of each result to, as PNG.", callback=writes("folder")),
    ] = None,
    reliabilities: Annotated[
        Path | None,
        typer.Option(
            "--reliability",
            help="Folder to write a reliability diagram of each result to, as PNG.",
            callback=writes("folder"),
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the results of several methods in one table."""
    from ...files.atomic import whole_file
    from ...learn.evaluation.comparing import latex as tex
    from ...learn.evaluation.comparing import pictures, reliability, report
    from ...learn.evaluation.comparing.result_table import write_frames
    from ...learn.evaluation.results import results

    loaded = results(places)
    if baseline is not None:
        _show_robustness([result for _, result in loaded], baseline, markdown, plot)
        return
    shown = {"per_class": per_class, "compared": compared, "ranked": ranks is not None, "transposed": transposed}
    comparison = report.make(loaded, metric, **shown)
    if markdown is not None:
        with whole_file(markdown) as partial:
            partial.write_text(comparison.text, encoding="utf-8")
    if latex is not None:
        with whole_file(latex) as partial:
            partial.write_text(tex.latex(comparison.tables, transposed=transposed), encoding="utf-8")
    if csv is not None:
        write_frames(comparison.frames, csv)
    if plot is not None:
        pictures.write_plot(comparison.tables, plot)
    if ranks is not None:
        pictures.write_ranks(comparison.only_standing(), ranks)
    if confusion is not None:
        pictures.write_confusions(loaded, confusion)
    if reliabilities is not None:
        reliability.write_reliabilities(loaded, reliabilities)
    if as_json:
        print_json([row for frame in comparison.frames for row in json.loads(frame.to_json(orient="records"))])
    elif markdown is latex is csv is plot is ranks is confusion is reliabilities is None:
        print_text(comparison.text.rstrip("\n"))


def _show_robustness(loaded: list[Result], baseline: str, markdown: Path | None, plot: Path | None) -> None:
    from ...errors import MedIMetaError
    from ...files.atomic import whole_file
    from ...learn.evaluation.robustness import by_protocol, report, write_curves

    compared = by_protocol(loaded, baseline)
    text = "\n".join(
        (f"## {protocol}\n\n" if len(compared) > 1 else "") + report(measured, name)
        for protocol, name, measured in compared
    )
    if plot is not None:
        if len(compared) > 1:
            names = ", ".join(protocol for protocol, *_ in compared)
            raise MedIMetaError(f"A figure of robustness shows one protocol; these results are of {names}.")
        write_curves(compared[0][2], plot)
    if markdown is not None:
        with whole_file(markdown) as partial:
            partial.write_text(text, encoding="utf-8")
    if markdown is plot is None:
        print_text(text.rstrip("\n"))
