"""Small tables of labels and subjects to draw episodes from."""

from __future__ import annotations

import io

import numpy as np
from datasets import Dataset, Features, Image, Value
from PIL import Image as Picture

from medimeta.builders.rows import task_feature
from medimeta.cards.facts import Task
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes

KIND = Task("Kind", "multiclass", ("a", "b", "c"), dataset="toy")
GRADE = Task("Grade", "ordinal", ("none", "some", "much"), (0, 4, 10), dataset="toy")
SICK = Task("Sick", "binary", ("no", "yes"), dataset="toy")
FINDINGS = Task("All findings", "multilabel", ("x", "y", "z"), dataset="toy")
TASKS = (KIND, GRADE, SICK, FINDINGS)


def toy(task: Task, labels: list, subjects: list | None = None, *, images: bool = False) -> Dataset:
    """Rows of a split; the pixels of image `i` are all `i`."""
    count = len(labels)
    columns = {task.column: task_feature(task), "subject_id": Value("string")}
    columns |= {"index": Value("int32"), "original_filepath": Value("string")}
    rows = {task.column: labels, "subject_id": subjects or [None] * count}
    rows |= {"index": list(range(count)), "original_filepath": [f"é/{number}.png" for number in range(count)]}
    if images:
        columns["image"] = Image()
        rows["image"] = [{"bytes": _png(number), "path": None} for number in range(count)]
    return Dataset.from_dict(rows, features=Features(columns))


def random_toy(task: Task, seed: int, count: int = 400, *, images: bool = False) -> Dataset:
    """Random labels; one row in ten has no subject, the others have up to six of one."""
    rng = np.random.default_rng(seed)
    if task.kind == "multilabel":
        labels = [np.flatnonzero(rng.random(len(task.labels)) < 0.3).tolist() for _ in range(count)]
    else:
        labels = rng.integers(0, len(task.labels), count).tolist()
    ids = np.sort(rng.integers(0, count // 3, count))
    subjects = [None if rng.random() < 0.1 else f"s{number}" for number in ids]
    return toy(task, labels, subjects, images=images)


def described(task: Task, rows: np.ndarray) -> tuple[str, list[int]]:
    """A `fetch` for mixed batches that spawned workers can import."""
    return task.name, rows.tolist()


def _png(value: int) -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(np.full((4, 4), value % 256, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def draw(task=KIND, rows=None, n=8, workers=0, **recipe):
    rows = random_toy(task, 0) if rows is None else rows
    return sample_episodes(rows, task, Recipe(**recipe), n=n, seed=4, split="test", workers=workers)


def same(first, second):
    return all(
        one.number == other.number
        and one.classes == other.classes
        and one.shots == other.shots
        and all(map(np.array_equal, one, other))
        and np.array_equal(one.support_labels, other.support_labels)
        and np.array_equal(one.query_labels, other.query_labels)
        for one, other in zip(first, second, strict=True)
    )
