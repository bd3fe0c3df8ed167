"""The protocols on features: linear probes and nearest neighbours, next to scikit-learn and a matrix product.

    python benchmarks/probes.py

Features are random, with a spectrum that falls as that of networks does, and labels that they say something of. The
probe is fitted for all 45 strengths; scikit-learn fits some of them, a label at a time, and its seconds are multiplied.
Both give the same coefficients. Neighbours are compared with the bare product of all features, a block at a time, which
finds nothing. Episodes have 8 classes and are solved with 1 to 30 shots. Seconds are those that the processor spent in
one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from medimeta.cards.facts import Task
from medimeta.learn.benchmark.protocols.few_shot import logistic_logits, published_logits
from medimeta.learn.encoders.neighbours import CELLS, neighbour_scores
from medimeta.learn.encoders.probe import STRENGTHS, Standardisation, fit_path
from medimeta.learn.encoders.prototypes import prototype_logits

SHOTS = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30)


def drawn(task: Task, rows: int, width: int) -> tuple[torch.Tensor, np.ndarray]:
    """Return features and labels."""
    rng = np.random.default_rng(0)
    count = len(task.labels)
    directions = rng.standard_normal((count, width), np.float32)
    if task.kind == "multilabel":
        labels = (rng.random((rows, count)) < 0.08).astype(np.float32)
        signal = 0.1 * labels @ directions
    else:
        labels = rng.integers(0, count, rows)
        signal = 0.4 * directions[labels]
    axes = rng.standard_normal((width, width), np.float32) * np.arange(1, width + 1, dtype=np.float32) ** -0.6
    return torch.from_numpy((rng.standard_normal((rows, width), np.float32) + signal) @ axes.T), labels


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of some work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def probe(name: str, task: Task, rows: int, width: int, every: int, target: float) -> None:
    """Time the path of 45 strengths, and scikit-learn's fits of one in `every` of them, and print a row."""
    features, labels = drawn(task, rows, width)
    scaled = Standardisation.of(features)(features).float()
    ours = seconds(lambda: list(fit_path(task, scaled, labels)))
    matrix = scaled.numpy()
    chosen = STRENGTHS[every // 2 :: every]
    columns = labels.T[:1] if task.kind == "multilabel" else [labels]

    def theirs() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it stops after 100 steps, which is not enough for all strengths
            for column in columns:
                for strength in chosen:
                    LogisticRegression(C=strength).fit(matrix, column)

    share = len(STRENGTHS) / len(chosen) * (len(task.labels) if task.kind == "multilabel" else 1)
    other = seconds(theirs) * share
    print(f"| {name} | {ours:.1f} | {other:.1f} | {other / ours:.1f} | {target:g} |", flush=True)


def neighbours(rows: int, queries: int, width: int) -> None:
    """Time nearest neighbours and the bare products, and print a row."""
    task = Task("Kind", "multiclass", tuple("abcdefgh"), dataset="drawn")
    features, labels = drawn(task, rows + queries, width)
    train, query = features[:rows], features[rows:]
    ours = seconds(lambda: list(neighbour_scores(task, train, labels[:rows], query)))

    def product() -> None:
        for block in query.split(max(CELLS // rows, 1)):
            block @ train.T

    other = seconds(product)
    name = f"knn, {queries:,} queries, {rows:,} x {width}"
    print(f"| {name} | {ours:.1f} | {other:.1f} | {other / ours:.2f} | {1 / 1.5:.2f} |", flush=True)


def episodes(count: int, width: int) -> None:
    """Time solving episodes, and print a row for each solver."""
    task = Task("Kind", "multiclass", tuple("abcdefgh"), dataset="drawn")
    features, labels = drawn(task, 4000, width)
    pools = [np.flatnonzero(labels == label) for label in range(8)]
    rng = np.random.default_rng(0)
    solvers = {
        "prototype": prototype_logits,
        "logistic regression": logistic_logits,
        "published probe": published_logits,
    }
    for name, solve in solvers.items():

        def work(solve: Callable[..., object] = solve) -> None:
            for shots in SHOTS:
                for _ in range(count):
                    chosen = [rng.choice(pool, shots + 10, replace=False) for pool in pools]
                    support = np.concatenate([one[:shots] for one in chosen])
                    query = np.concatenate([one[shots:] for one in chosen])
                    solve(task, features[support], labels[support], features[query])

        spent = seconds(work) * 100 / count
        limit = "-" if name == "published probe" else f"{20 / spent:.1f}"
        print(
            f"| 100 episodes x {len(SHOTS)} shots, {width} features, {name} | {spent:.1f} | 20 (limit) | {limit} | 1 |"
        )


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=112_120)
    parser.add_argument("--queries", type=int, default=25_596)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    findings = Task("Findings", "multilabel", tuple(f"label {number}" for number in range(14)), dataset="drawn")
    kinds = Task("Kind", "multiclass", tuple("abc"), dataset="drawn")
    print("| what | medimeta s | other side s | ratio | at least |")
    print("|---|--:|--:|--:|--:|")
    probe("probe, 45 strengths, 546 x 1280, 3 classes", kinds, 546, 1280, 3, 1)
    episodes(arguments.episodes, arguments.width)
    train = arguments.rows - arguments.queries
    neighbours(train, arguments.queries, arguments.width)
    name = f"probe, 45 strengths, {arguments.rows:,} x {arguments.width}, 14 labels"
    probe(name, findings, arguments.rows, arguments.width, 22, 10)
    print(f"\nPeak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB.")


if __name__ == "__main__":
    main()
