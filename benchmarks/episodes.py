"""Drawing few-shot episodes at the sizes of the two largest tasks: positions only, no pixels.

    python benchmarks/episodes.py

Labels and subjects are drawn at random: 112,120 x 14 labels as frequent as the findings of ChestX-ray14, on 30,805
subjects; 107,180 images of 9 classes, as in NCT-CRC-HE, without subjects and with as many. Printed: preparation, once
per task (reading labels and subjects from the rows, the fingerprint of the rows, sorting rows by class); milliseconds
per episode of 5 shots and 10 queries (median of the rounds); images per episode. The last column is what the published
sampler (torchcross) was *reported* to take; it is not measured here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise
from typing import Any

import numpy as np
from datasets import Dataset, Features, Value

from medimeta import DATASETS
from medimeta.builders.rows import task_feature
from medimeta.cards.facts import Task
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.rows import fingerprint, labels_and_subjects
from medimeta.learn.episodes.sampler import EpisodeSampler

# Positives of each finding among the 112,120 images of ChestX-ray14, in the order of the task's labels; 52,000 images
# or so have a finding.
FINDINGS = (11559, 2776, 13317, 19894, 5782, 6331, 1431, 5302, 4667, 2303, 2516, 1686, 3385, 227)
IMAGES, SICK, PATIENTS = 112_120, 51_759, 30_805
TILES = 107_180


def cases(rng: np.random.Generator) -> list[tuple[str, Task, list[Any], list[str | None], str]]:
    """Name, task, labels, subjects and the reported time of the published sampler."""
    cxr, crc = DATASETS["cxr"].tasks[0], DATASETS["crc"].tasks[0]
    sick = rng.permutation(IMAGES) < SICK
    present = (rng.random((IMAGES, 14)) < np.array(FINDINGS) / SICK) & sick[:, None]
    findings = [np.flatnonzero(row).tolist() for row in present]
    tissue = rng.integers(0, 9, TILES).tolist()
    patients: list[str | None] = [f"{number:08d}" for number in np.sort(rng.integers(0, PATIENTS, IMAGES))]
    return [
        ("112,120 x 14 multilabel, 30,805 subjects", cxr, findings, patients, "490"),
        ("107,180 x 9 multiclass, no subjects", crc, tissue, [None] * TILES, "270"),
        ("107,180 x 9 multiclass, 30,805 subjects", crc, tissue, patients[:TILES], "270"),
    ]


def without_images(task: Task, labels: list[Any], subjects: list[str | None]) -> Dataset:
    """The rows of a split, but for their images."""
    columns = {task.column: task_feature(task), "subject_id": Value("string")}
    columns |= {"index": Value("int32"), "original_filepath": Value("string")}
    rows = {task.column: labels, "subject_id": subjects, "index": list(range(len(labels)))}
    rows["original_filepath"] = [f"images/{number:08d}.png" for number in range(len(labels))]
    return Dataset.from_dict(rows, features=Features(columns))


def main() -> None:
    """Time preparation and drawing, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print("| rows | read ms | fingerprint ms | sort ms | ms per episode | support | query | published, reported ms |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name, task, labels, subjects, reported in cases(np.random.default_rng(0)):
        rows = without_images(task, labels, subjects)
        times = [time.perf_counter()]
        found = labels_and_subjects(rows, task)
        times.append(time.perf_counter())
        fingerprint(rows, task)
        times.append(time.perf_counter())
        sampler = EpisodeSampler(task, *found, Recipe(shots=5, queries=10))
        times.append(time.perf_counter())
        prepared = " | ".join(f"{1000 * (end - start):.0f}" for start, end in pairwise(times))
        seconds = []
        for turn in range(arguments.rounds):
            start = time.perf_counter()
            drawn = [sampler.sample(turn, number) for number in range(arguments.episodes)]
            seconds.append((time.perf_counter() - start) / arguments.episodes)
        support, query = (statistics.mean(len(getattr(e, part)) for e in drawn) for part in ("support", "query"))
        took = 1000 * statistics.median(seconds)
        print(f"| {name} | {prepared} | {took:.2f} | {support:.1f} | {query:.1f} | {reported} |", flush=True)


if __name__ == "__main__":
    main()
