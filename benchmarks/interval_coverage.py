"""How often intervals hold the truth: simulations of every interval that this package reports.

    python benchmarks/interval_coverage.py [--times 1000] [--resamples 400] [--cases TEXT]

Data are drawn from distributions whose true values are known, or are found from a million rows. A 95 % interval should
hold the truth in 93 to 97 % of cases. The simulation error of 1,000 cases is 0.7 points.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from scipy.special import ndtr

from medimeta.cards.facts import Task
from medimeta.learn.evaluation.comparing.paired import difference
from medimeta.learn.evaluation.comparing.statistics import mean_ranks
from medimeta.learn.evaluation.measures.bootstrap import bootstrap, interval
from medimeta.learn.evaluation.measures.intervals import Measured, episodes_interval, joint_interval, mean_interval
from medimeta.learn.evaluation.measures.metrics import WITHOUT_INTERVAL, Scored
from medimeta.learn.evaluation.subgroups import subgroups

BINARY = Task("Sick", "binary", ("no", "yes"), dataset="toy")
GRADES = Task("Grade", "ordinal", ("0", "1", "2"), scores=(0, 1, 2), dataset="toy")
CLASSES = Task("Kind", "multiclass", ("a", "b", "c"), dataset="toy")
OF_A_CLASS = ("auroc", "average_precision", "recall", "precision")
Holds = dict[str, bool]


def scored(task: Task, rng: np.random.Generator, rows: int, shift: float) -> Scored:
    """Draw labels and calibrated scores of a method; the larger the shift, the better it is."""
    labels = rng.integers(0, len(task.labels), rows)
    labels[: len(task.labels)] = range(len(task.labels))
    evidence = rng.normal(size=(rows, len(task.labels))) + shift * np.eye(len(task.labels))[labels]
    scores = np.exp(shift * evidence)
    return Scored(task, scores / scores.sum(axis=1, keepdims=True), labels)


@cache
def truth(task: Task, shift: float) -> dict[str, float]:
    """Return the metrics of very many rows."""
    measured = scored(task, np.random.default_rng(1), 1_000_000, shift).measure()
    values = {name: float(value[0]) for name, value in measured.overall.items()}
    classes = {f"{name} of a class": float(value[0, 0]) for name, value in measured.per_label.items()}
    return values | classes


def of_split(task: Task, rows: int, shift: float, seed: int, resamples: int, *, subjects: int = 0) -> Holds:
    """Whether the bootstrap's intervals of a split hold the truth; with `subjects`, each has several equal rows."""
    rng = np.random.default_rng([rows, seed])
    drawn = scored(task, rng, subjects or rows, shift)
    names = None
    if subjects:
        owner = np.sort(rng.integers(0, subjects, rows))
        drawn = Scored(task, drawn.scores[owner], drawn.labels[owner])
        names = [str(one) for one in owner]
    units = rows if names is None else len(set(names))
    samples, measured = bootstrap(drawn, names, resamples=resamples, seed=seed), drawn.measure()
    found = {
        name: interval(name, value[0], samples.overall[name], units)
        for name, value in measured.overall.items()
        if name not in WITHOUT_INTERVAL
    }
    found |= {
        f"{name} of a class": interval(name, measured.per_label[name][0, 0], samples.per_label[name][0], units)
        for name in OF_A_CLASS
    }
    return {name: _holds(one, truth(task, shift)[name]) for name, one in found.items()}


def of_difference(rows: int, seed: int, resamples: int) -> Holds:
    """Whether the interval of a paired difference holds it: two methods that share half of their noise."""
    rng = np.random.default_rng([rows, seed])
    labels, shared = np.arange(rows) % 2, rng.normal(size=rows)
    both = [
        Scored(BINARY, ndtr((shared + rng.normal(size=rows)) / 2**0.5 + shift * (labels - 0.5)), labels)
        for shift in (1.5, 0.8)
    ]
    found = difference(both[0], both[1], [None] * rows, resamples=resamples, seed=seed)
    return {"paired difference of auroc": _holds(found, ndtr(1.5 / 2**0.5) - ndtr(0.8 / 2**0.5))}


def of_groups(rows: int, seed: int, resamples: int) -> Holds:
    """Whether a planted gap between two groups of `rows` / 2 rows each is recovered."""
    rng = np.random.default_rng([rows, seed])
    labels, group = np.arange(rows) % 2, np.arange(rows) // 2 % 2
    scores = ndtr(rng.normal(size=rows) + np.array((2.0, 0.8))[group] * (labels - 0.5))
    found = subgroups(
        Scored(BINARY, scores, labels),
        [None] * rows,
        ["ab"[one] for one in group],
        by="g",
        resamples=resamples,
        seed=seed,
    )
    sign = 1 if found.best == "a" else -1
    low, high = sorted((sign * (found.gap.low or 0), sign * (found.gap.high or 0)))
    return {"gap between two groups": bool(low <= ndtr(2 / 2**0.5) - ndtr(0.8 / 2**0.5) <= high)}


def of_ranks(units: int, seed: int, resamples: int) -> Holds:
    """Whether the interval of a mean rank over datasets holds the expected rank."""
    rng = np.random.default_rng([units, seed])
    scores = rng.normal(size=(units, 4)) + np.array([0.8, 0, 0, 0])
    _, found = mean_ranks(scores, seed=seed)
    return {"mean rank": _holds(found[0], 1 + 3 * ndtr(-0.8 / 2**0.5))}


def of_runs(rows: int, seed: int, resamples: int, *, runs: int, spread: float) -> Holds:
    """Whether the joint interval of several seeds holds the mean over all seeds and images.

    Seeds differ in how good they are (standard deviation `spread`, next to 1.2) and in a fifth of their noise.
    """
    rng = np.random.default_rng([rows, runs, seed])
    labels, shared = np.arange(rows) % 2, rng.normal(size=rows)
    measured = []
    for shift in 1.2 + spread * rng.normal(size=runs):
        noise = 0.8**0.5 * shared + 0.2**0.5 * rng.normal(size=rows)
        scored = Scored(BINARY, ndtr(noise + shift * (labels - 0.5)), labels)
        samples = bootstrap(scored, resamples=resamples, seed=seed).overall["auroc"]
        measured.append(interval("auroc", float(scored.measure().overall["auroc"][0]), samples, rows))
    true = float(ndtr(1.2 / (2 + spread**2) ** 0.5))
    alone = mean_interval([one.value or 0 for one in measured])
    return {"joint, of seeds and images": _holds(joint_interval(measured), true), "of seeds alone": _holds(alone, true)}


def of_means(count: int, seed: int, resamples: int) -> Holds:
    """Whether intervals of means over seeds and over episodes hold the true mean."""
    values = np.random.default_rng([count, seed]).normal(size=count)
    found = {"mean over seeds": mean_interval(values)}
    if count >= 50:
        found["mean over episodes"] = episodes_interval(values)
    return {name: _holds(one, 0) for name, one in found.items()}


def _holds(found: Measured, true: float) -> bool:
    return bool(found.low is not None and found.low <= true <= found.high)


CASES: dict[str, tuple[Callable[..., Holds], tuple]] = {
    **{
        f"{task.kind}, AUROC {auroc}, {rows} images": (of_split, (task, rows, shift))
        for task, auroc, shift in (
            (BINARY, 0.76, 0.707),
            (BINARY, 0.92, 1.4),
            (CLASSES, 0.87, 1.25),
            (GRADES, 0.87, 1.25),
        )
        for rows in (50, 100, 200)
    },
    "binary, 300 images of 100 subjects": (lambda *given: of_split(*given, subjects=100), (BINARY, 300, 0.707)),
    **{f"two methods, {rows} images": (of_difference, (rows,)) for rows in (50, 100, 200)},
    **{f"two groups of {rows // 2} images": (of_groups, (rows,)) for rows in (100, 200)},
    **{
        f"{runs} seeds of spread {spread}, {rows} images": (
            lambda *given, runs=runs, spread=spread: of_runs(*given, runs=runs, spread=spread),
            (rows,),
        )
        for rows in (100, 200)
        for runs in (2, 3, 5)
        for spread in (0.05, 0.2)
    },
    **{f"{units} datasets": (of_ranks, (units,)) for units in (6, 10, 15)},
    **{f"{count} values": (of_means, (count,)) for count in (2, 3, 5, 50, 100)},
}


def coverage(case: str, times: int, resamples: int) -> Iterator[tuple[str, float]]:
    """Yield the share of cases in which each interval holds the truth."""
    function, given = CASES[case]
    held = [function(*given, seed, resamples) for seed in range(times)]
    for name in held[0]:
        yield name, float(np.mean([one[name] for one in held]))


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--cases", default="", help="only cases whose name holds this text")
    args = parser.parse_args()
    print("| case | interval | holds the truth | within 93-97 % |\n|---|---|--:|---|")
    for case in (name for name in CASES if args.cases in name):
        for name, share in coverage(case, args.times, args.resamples):
            print(f"| {case} | {name} | {100 * share:.1f} % | {'yes' if 0.93 <= share <= 0.97 else 'no'} |", flush=True)


if __name__ == "__main__":
    main()
