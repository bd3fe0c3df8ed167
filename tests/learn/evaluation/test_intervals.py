"""Weighted metrics against scikit-learn's of repeated rows, and intervals against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fakes.episodes import FINDINGS, GRADE, KIND, SICK, TASKS
from medimeta.cards.facts import Task
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.intervals import Measured, bootstrap, groups, mean_interval
from medimeta.learn.evaluation.metrics import evaluate_scores
from medimeta.learn.evaluation.resampling import Weighted


def predictions(task, rows, seed=0, decimals=1):
    """Random labels and scores, with many ties."""
    rng, count = np.random.default_rng(seed), len(task.labels)
    scores = rng.random((rows, count)).round(decimals)
    if task.kind == "multilabel":
        labels = (rng.random((rows, count)) < 0.3).astype(np.float32)
        labels[rng.random((rows, count)) < 0.1] = np.nan
        return scores, labels
    scores = (scores + 1e-3) / (scores + 1e-3).sum(axis=1, keepdims=True)
    return scores, rng.integers(0, count, rows)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
@pytest.mark.parametrize("rows", [5, 80])
def test_a_row_of_weight_three_counts_like_three_rows(task, rows):
    scores, labels = predictions(task, rows)
    weights = np.random.default_rng(1).integers(0, 4, (rows, 12))
    weights[0] = np.maximum(weights[0], 1)

    found = Weighted(task, scores, labels).metrics(weights.astype(float))

    for position, times in enumerate(weights.T):
        wanted = evaluate_scores(task, np.repeat(scores, times, axis=0), np.repeat(labels, times, axis=0))
        del wanted["absent"]
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name][position], value, err_msg=name, atol=1e-12)


def test_weights_mean_what_they_mean_to_scikit_learn():
    scores, labels = predictions(SICK, 300)
    weights = np.random.default_rng(1).exponential(size=(300, 1))

    found = Weighted(SICK, scores, labels).metrics(weights)

    given = {"y_score": scores[:, 1], "sample_weight": weights[:, 0]}
    assert found["auroc"][0] == pytest.approx(roc_auc_score(labels, **given))
    assert found["average_precision"][0] == pytest.approx(average_precision_score(labels, **given))


def test_subjects_are_drawn_whole():
    # Ten copies of each row under one subject tell no more than one: intervals over subjects stay, over rows shrink.
    scores, labels = predictions(KIND, 60, decimals=3)
    ten = np.repeat(scores, 10, axis=0), np.repeat(labels, 10)
    subjects = [f"s{row // 10}" for row in range(600)]

    once = bootstrap(KIND, scores, labels, resamples=200)

    together = bootstrap(KIND, *ten, subjects, resamples=200)
    assert {name: pytest.approx(ends) for name, ends in together.items()} == once
    low, high = bootstrap(KIND, *ten, resamples=200)["auroc"]
    assert high - low < 0.5 * (once["auroc"][1] - once["auroc"][0])


def test_rows_without_a_subject_are_drawn_on_their_own():
    assert groups(["a", None, "a", None, "b"], 5).tolist() == [0, 1, 0, 2, 3]
    assert groups(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(MedIMetaError, match="2 subjects for 3 rows"):
        groups(["a", "b"], 3)


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    given = FINDINGS, *predictions(FINDINGS, 100)

    first = bootstrap(*given, resamples=50, seed=3)

    assert bootstrap(*given, resamples=50, seed=3) == first
    assert bootstrap(*given, resamples=50, seed=4) != first


def test_intervals_hold_the_truth_as_often_as_they_say():
    # Two normal scores one deviation apart have the AUROC that probability theory says.
    truth, inside = 0.7602, 0  # Phi(1 / sqrt(2))
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = np.arange(80) % 2
        scores = 1 / (1 + np.exp(-(rng.normal(size=80) + labels)))
        low, high = bootstrap(SICK, scores, labels, resamples=200)["auroc"]
        inside += low <= truth <= high

    assert 88 <= inside <= 99  # 95 of 100, give or take three deviations


def test_what_is_never_defined_has_no_interval():
    low, high = bootstrap(GRADE, np.eye(3)[[1, 1]], np.array([1, 1]), resamples=5)["auroc"]

    assert np.isnan(low)
    assert np.isnan(high)
    with pytest.raises(MedIMetaError, match="at least one resample"):
        bootstrap(GRADE, np.eye(3)[[1, 1]], np.array([1, 1]), resamples=0)


def test_mean_over_episodes():
    found = mean_interval([0.5, 0.7, np.nan, 0.9])

    assert found.value == pytest.approx(0.7)
    assert found.high - found.value == pytest.approx(1.96 * 0.2 / 3**0.5)
    assert found.value - found.low == pytest.approx(1.96 * 0.2 / 3**0.5)
    assert mean_interval([0.5, np.nan]) == Measured(0.5)
    assert mean_interval([np.nan]) == Measured(None)


def test_measured_reads_well():
    assert str(Measured(0.9, 0.85, 0.95)) == "0.900 [0.850, 0.950]"
    assert str(Measured(0.9)) == "0.900"
    assert str(Measured(float("nan"))) == "-"


def test_many_labels_are_asked_one_by_one():
    task = Task("Wide", "multilabel", tuple("abcdefghij"), dataset="toy")
    scores, labels = predictions(task, 50)
    labels[:, 3] = np.nan  # nobody knows

    found = bootstrap(task, scores, labels, resamples=20)

    assert found["auroc"][0] < evaluate_scores(task, scores, labels)["auroc"] < found["auroc"][1]
