"""Robustness: how much the balanced error grows when test images are corrupted, relative to a baseline.

The corruption error of a corruption is the sum of a method's balanced errors (1 - balanced accuracy) over severities,
divided by that of the baseline; the mean over corruptions is mCE. The relative one takes the growth over the error on
clean images instead. Both are in percent, 100 for the baseline itself (D. Hendrycks, T. Dietterich, "Benchmarking
neural network robustness to common corruptions and perturbations", ICLR 2019; with balanced errors as in MedMNIST-C,
arXiv 2406.17536). The baseline is a method that was measured on the same images; there are no built-in numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import MedIMetaError, some, unknown
from ..figures.style import look, save, styled
from .results import Result

Errors = dict[str, dict[int, float]]  # balanced error by corruption and severity
KEYS = ("corruption", "severity")  # of `Result.settings`
METRIC = "balanced_accuracy"


@dataclass(frozen=True)
class Robustness:
    """Balanced errors of a method on clean and corrupted images of one task; all values are means over seeds.

    Attributes:
        task: Dataset and task, e.g. "bus / case category".
        method: Name of the method.
        clean: Balanced error on clean images, 0 to 1.
        errors: Balanced error by corruption and severity, 0 to 1.
        corruption_errors: Corruption error (CE) by corruption, in percent of the baseline's; None where the baseline
            makes no errors.
        relative_errors: Relative CE by corruption, in percent; None where the baseline's error does not grow.
    """

    task: str
    method: str
    clean: float
    errors: Errors
    corruption_errors: dict[str, float | None]
    relative_errors: dict[str, float | None]

    @property
    def mce(self) -> float | None:
        """Mean corruption error in percent; None if that of a corruption is not defined."""
        return _mean(self.corruption_errors)

    @property
    def relative_mce(self) -> float | None:
        """Relative mean corruption error in percent; None if that of a corruption is not defined."""
        return _mean(self.relative_errors)


def robustness(results: Iterable[Result], baseline: str) -> list[Robustness]:
    """Compare methods on clean and corrupted test images.

    Args:
        results: Of clean images, and of the same images with corruptions: those have `corruption` and `severity` in
            their settings. Results of several seeds are averaged.
        baseline: Name of the method that errors are divided by.

    Returns:
        One per task and method, in the order of the results.

    Raises:
        UnknownName: If no result is of the baseline.
        MedIMetaError: If results of a task are not of the same images, or a method lacks the result on clean images,
            or a corruption or severity that another method has.
    """
    tasks: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        tasks[f"{result.dataset} / {result.task}"][result.method].append(result)
    methods = list(dict.fromkeys(method for by_method in tasks.values() for method in by_method))
    if any(baseline not in by_method for by_method in tasks.values()) or not tasks:
        raise unknown("baseline", baseline, methods, hint="It needs results on every task.")
    compared = []
    for task, by_method in tasks.items():
        _check_images(task, [result for several in by_method.values() for result in several])
        measured = {method: _errors(task, method, several) for method, several in by_method.items()}
        _check_complete(task, {method: errors for method, (_, errors) in measured.items()})
        clean_base, errors_base = measured[baseline]
        for method, (clean, errors) in measured.items():
            pairs = {name: (list(by.values()), list(errors_base[name].values())) for name, by in errors.items()}
            compared.append(
                Robustness(
                    task,
                    method,
                    clean,
                    errors,
                    {name: _percent(sum(ours), sum(base)) for name, (ours, base) in pairs.items()},
                    {
                        name: _percent(sum(e - clean for e in ours), sum(e - clean_base for e in base))
                        for name, (ours, base) in pairs.items()
                    },
                )
            )
    return compared


def by_protocol(results: Iterable[Result], baseline: str | None = None) -> list[tuple[str, str, list[Robustness]]]:
    """Compare methods on corrupted images, protocol by protocol.

    Args:
        results: As for `robustness`; protocols without results of corrupted images are left out.
        baseline: As for `robustness`; by default the first method of each protocol.

    Returns:
        Protocol, baseline and what `robustness` returns.

    Raises:
        UnknownName: If no result is of the baseline.
        MedIMetaError: As for `robustness`, or if no result is of corrupted images.
    """
    results = list(results)
    corrupted = {one.protocol for one in results if one.settings.get("corruption")}
    groups: dict[str, list[Result]] = defaultdict(list)
    for one in results:
        if one.protocol in corrupted:
            groups[one.protocol].append(one)
    if not groups:
        raise MedIMetaError("None of these results is of corrupted images. Make some: medimeta bench --corruptions")
    return [
        (protocol, name, robustness(group, name))
        for protocol, group in groups.items()
        for name in [baseline or group[0].method]
    ]


@styled
def write_curves(compared: Sequence[Robustness], path: Path) -> None:
    """Draw balanced error over severity as PNG: a panel per task and corruption, a line per method.

    Args:
        compared: What `robustness` returns.
        path: The file.
    """
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    methods = list(dict.fromkeys(one.method for one in compared))
    panels = list(dict.fromkeys((one.task, name) for one in compared for name in one.errors))
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(0.8 + 2.4 * columns, 0.8 + 2 * rows), dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for panel, (task, name) in zip(axes, panels, strict=False):
        for one in (one for one in compared if one.task == task and name in one.errors):
            errors = {0: one.clean} | one.errors[name]
            colour, marker = look(methods.index(one.method))
            panel.plot(list(errors), list(errors.values()), color=colour, marker=marker, markersize=3, label=one.method)
        panel.set_title(f"{task}\n{name}", fontsize="x-small")
        panel.set_xticks(range(6))
        panel.set_ylim(0, 1)
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes[len(panels) :]:
        panel.set_visible(False)
    figure.supxlabel("Severity", fontsize="small")
    figure.supylabel("Balanced error", fontsize="small")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=min(4, len(labels)), frameon=False, fontsize="small"
    )
    save(figure, path)


def report(compared: Iterable[Robustness], baseline: str) -> str:
    """Return Markdown: per task mCE of each method, and balanced errors by corruption and severity.

    Args:
        compared: What `robustness` returns.
        baseline: Name of the baseline.
    """
    by_task: dict[str, list[Robustness]] = defaultdict(list)
    for one in compared:
        by_task[one.task].append(one)
    lines = []
    for task, methods in by_task.items():
        lines += [f"### {task}: robustness relative to {baseline}", ""]
        lines += ["| method | balanced error, clean | mCE | relative mCE |", "|---|---:|---:|---:|"]
        lines += [f"| {m.method} | {m.clean:.3f} | {_shown(m.mce)} | {_shown(m.relative_mce)} |" for m in methods]
        severities = sorted({severity for by in methods[0].errors.values() for severity in by})
        heads = " | ".join(f"severity {severity}" for severity in severities)
        lines += [
            "",
            f"| corruption | method | {heads} | CE | relative CE |",
            f"|---|---|{'---:|' * (len(severities) + 2)}",
        ]
        for name in methods[0].errors:
            for m in methods:
                cells = " | ".join(f"{m.errors[name][s]:.3f}" if s in m.errors[name] else "" for s in severities)
                ends = f"{_shown(m.corruption_errors[name])} | {_shown(m.relative_errors[name])}"
                lines.append(f"| {name} | {m.method} | {cells} | {ends} |")
        lines.append("")
    return "\n".join(lines)


def _errors(task: str, method: str, results: list[Result]) -> tuple[float, Errors]:
    """Return the balanced errors of one method on clean and on corrupted images."""
    runs: dict[tuple[str | None, int], list[Result]] = defaultdict(list)
    for result in results:
        name = result.settings.get("corruption")
        runs[name, result.settings.get("severity", 0) if name else 0].append(result)
    for several in runs.values():
        if len({result.seed for result in several}) < len(several):
            raise MedIMetaError(
                f"Two results of {method!r} on {task} have the same seed, corruption and severity. Give runs with "
                "other settings another name (--method)."
            )
    errors: Errors = defaultdict(dict)
    for (name, severity), several in sorted(runs.items(), key=lambda run: (run[0][0] or "", run[0][1])):
        if name is not None:
            errors[name][severity] = _error(task, several)
    if (None, 0) not in runs or not errors:
        missing = "clean images" if errors else "corrupted images (medimeta evaluate --corruption NAME --severity N)"
        raise MedIMetaError(f"There is no result of {method!r} on {task} for {missing}.")
    return _error(task, runs[None, 0]), dict(errors)


def _error(task: str, results: list[Result]) -> float:
    values = [result.metrics[METRIC].value if METRIC in result.metrics else None for result in results]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        raise MedIMetaError(f"A result of {results[0].method!r} on {task} has no {METRIC}. Evaluate it again.")
    return 1 - float(np.mean(known))


def _check_images(task: str, results: list[Result]) -> None:
    of = {(result.protocol, result.split, tuple(sorted(result.fingerprint.items()))) for result in results}
    if len(of) > 1:
        raise MedIMetaError(f"Results of {task} were not measured on the same images: protocol, split or rows differ.")


def _check_complete(task: str, measured: Mapping[str, Errors]) -> None:
    cells = {method: {(name, s) for name, by in errors.items() for s in by} for method, errors in measured.items()}
    every = set().union(*cells.values())
    for method, of_method in cells.items():
        if missing := sorted(every - of_method):
            raise MedIMetaError(
                f"{method!r} has no result on {task} for {some([f'{name} {severity}' for name, severity in missing])}, "
                "which other methods have. Evaluate it, or leave those out for all."
            )


def _percent(part: float, whole: float) -> float | None:
    return 100 * part / whole if whole > 0 else None


def _mean(values: Mapping[str, float | None]) -> float | None:
    known = [value for value in values.values() if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
