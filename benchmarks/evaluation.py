"""Scoring few-shot episodes and bootstrap resamples, next to a loop over scikit-learn's functions.

    python benchmarks/evaluation.py

Both sides compute AUROC, average precision, accuracy, balanced accuracy and F1 of the same random predictions, as means
over labels; ours also computes the calibration error, the numbers of each label and, of ordinal tasks, kappa and mean
error. An episode has 10 query images per class; resamples are of a test split. Sides take turns, and seconds are those
of the fastest round. scikit-learn scores a tenth of the episodes, and its seconds are multiplied. The last column is
the largest difference between the two sides' numbers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import sklearn.metrics as sk

from medimeta.cards.facts import Task
from medimeta.learn.evaluation.measures.bootstrap import bootstrap, draws
from medimeta.learn.evaluation.measures.metrics import Scored, evaluate_scores

SHARE = 10  # scikit-learn scores one episode in so many
NAMES = ("auroc", "average_precision", "accuracy", "balanced_accuracy", "f1")
Side = Callable[[], np.ndarray]


def letters(count: int) -> tuple[str, ...]:
    """Return names of labels."""
    return tuple(f"label {number}" for number in range(count))


def predictions(task: Task, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random scores and labels; every label has rows with it and without it."""
    rng, count = np.random.default_rng(seed), len(task.labels)
    if task.kind == "multilabel":
        labels = (rng.random((rows, count)) < 0.3).astype(np.float32)
        labels[0], labels[1] = 0, 1
        return rng.random((rows, count)), labels
    scores = rng.random((rows, count))
    return scores / scores.sum(axis=1, keepdims=True), np.arange(rows) % count


def oracle(task: Task, scores: np.ndarray, labels: np.ndarray) -> list[float]:
    """Compute the metrics with scikit-learn, a label at a time."""
    if task.kind == "multilabel":
        truth, said = labels, scores > 0.5
        accuracy = sk.accuracy_score(truth.ravel(), said.ravel())
        balanced = np.mean([sk.balanced_accuracy_score(t, s) for t, s in zip(truth.T, said.T, strict=True)])
    else:
        truth, said = (np.eye(len(task.labels))[ids] for ids in (labels, scores.argmax(axis=1)))
        accuracy = sk.accuracy_score(labels, scores.argmax(axis=1))
        balanced = sk.balanced_accuracy_score(labels, scores.argmax(axis=1))
    first = 1 if task.kind == "binary" else 0
    columns = list(zip(truth.T, scores.T, said.T, strict=True))[first:]
    return [
        float(np.mean([sk.roc_auc_score(t, score) for t, score, _ in columns])),
        float(np.mean([sk.average_precision_score(t, score) for t, score, _ in columns])),
        float(accuracy),
        float(balanced),
        float(np.mean([sk.f1_score(t, s, zero_division=0) for t, _, s in columns])),
    ]


def episode_sides(task: Task, episodes: int) -> tuple[Side, Side]:
    """Return both sides of scoring episodes, each giving an array (episodes, metrics)."""
    rows = 10 * max(2, len(task.labels))
    drawn = [predictions(task, rows, seed) for seed in range(episodes)]

    def ours() -> np.ndarray:
        return np.array([[found[name] for name in NAMES] for found in (evaluate_scores(task, *one) for one in drawn)])

    return ours, lambda: np.array([oracle(task, *one) for one in drawn[::SHARE]])


def resample_sides(task: Task, rows: int, resamples: int) -> tuple[Side, Side]:
    """Return both sides of a bootstrap, each giving an array (resamples, metrics)."""
    scores, labels = predictions(task, rows, 0)

    def ours() -> np.ndarray:
        found = bootstrap(Scored(task, scores, labels), resamples=resamples)
        return np.stack([found.overall[name] for name in NAMES], axis=1)

    def theirs() -> np.ndarray:
        blocks = draws(np.arange(rows), resamples=resamples, seed=0)
        drawn = [np.repeat(np.arange(rows), times.astype(int)) for block in blocks for times in block.T]
        return np.array([oracle(task, scores[one], labels[one]) for one in drawn])

    return ours, theirs


def compare(name: str, sides: Sequence[Side], rounds: int, limit: str, share: int = 1) -> None:
    """Time both sides in turn, the second with one number in `share`, and print a row."""
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        found = []
        for side, taken in zip(sides, times, strict=True):
            started = time.perf_counter()
            found.append(side())
            taken.append(time.perf_counter() - started)
    ours, theirs = min(times[0]), min(times[1]) * share
    gap = np.abs(found[0][::share] - found[1]).max()
    print(f"| {name} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} | {limit} | {gap:.0e} |", flush=True)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=50)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    eight = Task("Kind", "multiclass", letters(8), dataset="drawn")
    sick = Task("Sick", "binary", letters(2), dataset="drawn")
    findings = Task("Findings", "multilabel", letters(14), dataset="drawn")
    print("| what | medimeta s | scikit-learn s | ratio | limit s | largest difference |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, task, limit in (
        ("8 classes", eight, "1.5"),
        ("binary", sick, "1"),
        ("14 labels", findings, "-"),
    ):
        sides = episode_sides(task, arguments.episodes)
        compare(f"{arguments.episodes:,} episodes, {name}", sides, arguments.rounds, limit, SHARE)
    for name, task in (("8 classes", eight), ("14 labels", findings)):
        sides = resample_sides(task, arguments.rows, arguments.resamples)
        compare(f"{arguments.resamples} resamples of {arguments.rows:,} rows, {name}", sides, arguments.rounds, "-")


if __name__ == "__main__":
    main()
