"""Class weights, positive weights and multi-hot labels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, Features, Image, Value

from medimeta.builders.rows import task_feature
from medimeta.cards.facts import Task
from medimeta.errors import MedIMetaError
from medimeta.learn.data.labels import multi_hot
from medimeta.learn.data.statistics import class_weights, label_counts, positive_weights
from medimeta.learn.data.views import task_view

KIND = Task("Kind", "multiclass", ("a", "b", "c"), dataset="toy")


GRADE = Task("Grade", "ordinal", ("none", "some", "much"), (0, 4, 10), dataset="toy")


SICK = Task("Sick", "binary", ("no", "yes"), dataset="toy")


FINDINGS = Task("All findings", "multilabel", ("x", "y", "z"), dataset="toy")


GARBAGE = {"bytes": b"no image", "path": None}


def toy(task: Task, labels: list) -> Dataset:
    """Return rows whose images cannot be decoded, so that decoding one fails the test."""
    columns = {
        "image": Image(),
        task.column: task_feature(task),
        "subject_id": Value("string"),
        "index": Value("int32"),
    }
    rows = {"image": [GARBAGE] * len(labels), task.column: labels}
    rows |= {"subject_id": [f"s{i // 2}" for i in range(len(labels))], "index": list(range(len(labels)))}
    return Dataset.from_dict(rows, features=Features(columns))


def test_multi_hot_refuses_ids_out_of_range():
    for ids in ([[0], [-1]], [[2]], [[0, None]]):
        with pytest.raises(MedIMetaError, match="from 0 to 1"):
            multi_hot(pa.array(ids, pa.list_(pa.int64())), 2)


def test_multi_hot_takes_sliced_and_chunked_lists():
    lists = pa.chunked_array([[[9], [0]], [None, []], [[1, 0]]], pa.list_(pa.int64())).slice(1)

    np.testing.assert_array_equal(multi_hot(lists, 2), [[1, 0], [np.nan] * 2, [0, 0], [1, 1]])


def test_nothing_is_decoded_for_views_and_statistics(monkeypatch):
    monkeypatch.setattr("PIL.Image.open", lambda *_: pytest.fail("an image was decoded"))
    kinds, findings = task_view(toy(KIND, [0, 0, 1]), KIND), task_view(toy(FINDINGS, [[0], [0, 1], None]), FINDINGS)

    np.testing.assert_array_equal(label_counts(kinds, KIND), [2, 1, 0])
    np.testing.assert_array_equal(label_counts(findings, FINDINGS), [2, 1, 0])
    class_weights(kinds, KIND)
    positive_weights(findings, FINDINGS)


def test_class_weights():
    weights = class_weights([0, 0, 0, 1, 2, 2], KIND)

    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [6 / 9, 6 / 3, 6 / 6])
    assert weights[[0, 0, 0, 1, 2, 2]].mean() == pytest.approx(1)
    np.testing.assert_allclose(class_weights([0, 0, 2], GRADE), [0.75, 0, 1.5])  # no row has grade "some"
    assert class_weights([0, 0, 2], GRADE)[[0, 0, 2]].mean() == pytest.approx(1)


def test_positive_weights():
    vectors = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 1], [np.nan] * 3])

    weights = positive_weights(vectors, FINDINGS)

    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [2, 1, 0])  # no positive: 1; no negative: 0
    np.testing.assert_allclose(positive_weights([0, 0, 0, 1], SICK), [3])


def test_statistics_of_no_rows():
    np.testing.assert_array_equal(label_counts([], KIND), [0, 0, 0])
    np.testing.assert_array_equal(label_counts([], FINDINGS), [0, 0, 0])
    np.testing.assert_array_equal(class_weights([], KIND), [0, 0, 0])
    np.testing.assert_array_equal(positive_weights([], FINDINGS), [1, 1, 1])


@pytest.mark.parametrize(
    ("statistic", "labels", "task", "message"),
    [
        (label_counts, [0, 3], KIND, r"ids from 0 to 2.*values 0, 3"),
        (label_counts, [-1, 0], KIND, "ids from 0 to 2"),
        (label_counts, [[0, 1]], KIND, r"got shape \(1, 2\)"),
        (label_counts, ["a"], KIND, "ids from 0 to 2"),
        (label_counts, [0, None], KIND, "ids from 0 to 2"),
        (label_counts, [[0], [0, 1]], KIND, "ids from 0 to 2"),
        (label_counts, None, KIND, "ids from 0 to 2"),
        (label_counts, [0, 1], FINDINGS, r"shape \(N, 3\)"),
        (label_counts, [[0, 1, 2]], FINDINGS, "0, 1 or NaN"),
        (class_weights, [[0, 1, 1]], FINDINGS, "positive_weights"),
        (positive_weights, [0, 1], KIND, "class_weights"),
    ],
)
def test_labels_that_do_not_fit_are_refused(statistic, labels, task, message):
    with pytest.raises(MedIMetaError, match=message):
        statistic(labels, task)
