"""Compare results: group them by protocol and split, name the methods, and average over seeds.

Results of several seeds are averaged, with the interval of their mean. Runs of one method with different settings
become different methods, named after the settings that differ. A note warns of results of one task that were not
measured on the same data, because they are not comparable.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import MedIMetaError, unknown
from ....files.json_values import canonical
from ..measures.bootstrap import TOO_FEW
from ..measures.intervals import Measured, joint_interval, mean_interval
from ..measures.metrics import SMALLER_IS_BETTER
from ..results import Result
from .result_table import Cell, ResultTable

SHORTCUT = "shortcut"  # starts the names of the encoders of `benchmark.shortcuts`
Cells = dict[tuple[str, str], Cell]
Sourced = tuple[Path, Result]


def compare(sourced: Iterable[Sourced], metric: str = "auroc") -> list[ResultTable]:
    """Return tables of results, one per protocol and split.

    Args:
        sourced: Results with the files they come from, as `results` returns them.
        metric: Metric to compare by.

    Returns:
        Tables sorted by protocol (numbers in the name by value: 5 before 10), then by split.

    Raises:
        UnknownName: If no result has the metric.
        MedIMetaError: If two results of one method, task and seed have the same settings.
    """
    grouped = by_protocol(sourced, metric)
    return [_table(protocol, split, metric, grouped[protocol, split]) for protocol, split in grouped]


def by_protocol(sourced: Iterable[Sourced], metric: str) -> dict[tuple[str, str], list[Sourced]]:
    """Group results that have a metric by protocol and split, in the order of tables.

    Raises:
        UnknownName: If no result has the metric.
    """
    sourced = without_corruptions(sourced)
    groups: dict[tuple[str, str], list[Sourced]] = defaultdict(list)
    for path, result in sourced:
        if metric in result.metrics:
            groups[result.protocol, result.split].append((path, result))
    if not groups:
        raise unknown("metric", metric, sorted({name for _, result in sourced for name in result.metrics}))
    return {key: groups[key] for key in sorted(groups, key=_by_size)}


def without_corruptions(sourced: Iterable[Sourced]) -> list[Sourced]:
    """Leave out results of corrupted images, unless there are no others: `robustness` compares them."""
    sourced = list(sourced)
    return [one for one in sourced if not one[1].settings.get("corruption")] or sourced


def task_name(result: Result) -> str:
    """Return the name of a task in tables: "bus / case category"."""
    return f"{result.dataset} / {result.task}"


def runs_of(sourced: Sequence[Sourced]) -> dict[tuple[str, str], list[Sourced]]:
    """Group the results of one protocol and split by method (its name in tables) and task; one result per seed.

    The name of a method that was run with several models includes the model. The name of a method that was run with
    several settings on one task and seed includes the settings that differ.

    Raises:
        MedIMetaError: If two results of one method, task and seed have the same settings.
    """
    models = defaultdict(set)
    for _, result in sourced:
        models[result.method].add(result.model)

    def with_model(result: Result) -> str:
        return f"{result.method} ({result.model})" if len(models[result.method]) > 1 else result.method

    rivals: dict[tuple[str, str, int | None], list[Sourced]] = defaultdict(list)
    for path, result in sourced:
        rivals[with_model(result), task_name(result), result.seed].append((path, result))
    differing: dict[str, set[str]] = defaultdict(set)
    for (method, task, seed), several in rivals.items():
        differing[method] |= _different([result.settings for _, result in several])
        of_settings = sorted(several, key=lambda one: _identity(one[1]))
        for (path, result), (other, same) in pairwise(of_settings):
            if _identity(result) == _identity(same):
                first, second = sorted((path, other))
                raise MedIMetaError(
                    f"{first} and {second} are both of {method} on {task}, seed {seed}, with the same settings. Leave "
                    "one out, or give the methods different names (--name in scripts, --method in evaluate)."
                )
    runs: dict[tuple[str, str], list[Sourced]] = defaultdict(list)
    for path, result in sourced:
        base = with_model(result)
        settings = [f"{key}={_short(result.settings.get(key))}" for key in sorted(differing[base])]
        runs[", ".join([base, *settings]), task_name(result)].append((path, result))
    return dict(runs)


def _different(several: Sequence[dict[str, Any]]) -> set[str]:
    keys = {key for settings in several for key in settings}
    return {key for key in keys if len({canonical(settings.get(key)) for settings in several}) > 1}


def _identity(result: Result) -> bytes:
    return canonical(result.settings)


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:12]}..."


def _by_size(key: tuple[str, str]) -> list[str]:
    return [re.sub(r"\d+", lambda digits: digits[0].zfill(20), text) for text in key]


def _table(protocol: str, split: str, metric: str, sourced: list[Sourced]) -> ResultTable:
    cells = {key: _cell(metric, runs) for key, runs in runs_of(sourced).items()}
    cells, notes = _best_shortcut(metric, cells)
    return ResultTable(protocol, split, metric, cells, (*_notes(sourced, cells), *notes))


def _best_shortcut(metric: str, cells: Cells) -> tuple[Cells, list[str]]:
    """Replace the shortcuts of a benchmark by the best of them on each task, if there are other methods."""
    others = {key: cell for key, cell in cells.items() if not key[0].startswith(SHORTCUT)}
    if not others or len(others) == len(cells):
        return cells, []
    best: dict[str, tuple[float, str]] = {}
    sign = -1 if metric in SMALLER_IS_BETTER else 1
    for (method, task), cell in cells.items():
        if method.startswith(SHORTCUT) and cell.measured.value is not None:
            best[task] = max(best.get(task, (-np.inf, "")), (sign * cell.measured.value, method))
    rows = {(f"best {SHORTCUT}", task): cells[method, task] for task, (_, method) in best.items()}
    named = "; ".join(f"{task}: {method.removeprefix(SHORTCUT)[2:]}" for task, (_, method) in sorted(best.items()))
    note = f"The best shortcut, chosen by these values, is a baseline that uses no medical content ({named})."
    return {**others, **rows}, [note]


def _cell(metric: str, runs: Sequence[Sourced]) -> Cell:
    measured = [result.metrics[metric] for _, result in runs]
    classes = {_evaluated(result) for _, result in runs}
    copies = [result.copies for _, result in runs if result.copies is not None]
    without = [one.without.get(metric, Measured(None)) for one in copies]
    complete = len(copies) == len(runs) and len({one.images for one in copies}) == 1
    return Cell(
        measured[0] if len(measured) == 1 else mean_interval(np.array([one.value for one in measured], np.float64)),
        len(measured),
        _mean(measured),
        classes.pop() if len(classes) == 1 else None,
        copies[0].images if complete else None,
        _mean(without) if complete else Measured(None),
        joint_interval(measured) if len(measured) > 1 else Measured(None),
    )


def _mean(measured: Sequence[Measured]) -> Measured:
    """Return the mean value, mean lower end and mean upper end."""

    def mean(name: str) -> float:
        values = [getattr(one, name) for one in measured]
        return float("nan") if None in values else float(np.mean(values))

    return Measured(mean("value"), mean("low"), mean("high"))


def _evaluated(result: Result) -> int | None:
    supports = [of_class["support"].value for of_class in result.classes.values() if "support" in of_class]
    return sum(map(bool, supports)) or None


def _notes(sourced: Sequence[Sourced], cells: dict[tuple[str, str], Cell]) -> Iterable[str]:
    data: dict[str, dict[str, set[bytes]]] = defaultdict(lambda: defaultdict(set))
    absent: dict[str, set[str]] = defaultdict(set)
    for _, result in sourced:
        data[task_name(result)][result.method].add(canonical([result.fingerprint, result.episodes]))
        absent[task_name(result)].update(result.extra.get("absent", ()))
    for task, by_method in sorted(data.items()):
        different = {one for several in by_method.values() for one in several}
        if any(several != different for several in by_method.values()):
            yield f"{task}: measured on {len(different)} different sets of rows or episodes; do not compare."
    for task, labels in sorted(absent.items()):
        if labels:
            yield f"{task}: means over labels leave out {', '.join(sorted(labels))}, which no row or every row has."
    copies = {task: cell.copies for (_, task), cell in cells.items() if cell.copies}
    if copies:
        counts = "; ".join(f"{task}: {number:,}" for task, number in sorted(copies.items()))
        yield f"Images with a copy in another split, which a model may have seen in training: {counts}."
    if any(cell.runs > 1 for cell in cells.values()):
        yield (
            "Several runs: the mean over seeds, with its 95 % interval by Student's t. It reflects how much training "
            "varies; the joint interval covers other seeds and other test images at once. The interval of the test set "
            "alone is in the columns test_low and test_high of the CSV file."
        )
    if flat := [f"{method} on {task}" for (method, task), cell in cells.items() if cell.measured.degenerate]:
        yield (f"An interval of zero width, as with perfect predictions, does not mean certainty: {'; '.join(flat)}.")
    if few := sorted({task_name(result) for _, result in sourced if TOO_FEW in result.interval}):
        yield f"So few subjects or images that intervals may be too narrow: {'; '.join(few)}."
    intervals = sorted({result.interval.partition(" over ")[0] for _, result in sourced if result.interval != "none"})
    yield f"Intervals: {'; '.join(intervals) or 'none'}."
