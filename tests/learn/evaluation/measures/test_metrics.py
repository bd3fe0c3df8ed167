"""Metrics against values worked out by hand, and against scikit-learn's under random weights."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as oracle

from medimeta.cards.facts import Task
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.measures.metrics import Scored, absent_labels, evaluate_scores
from medimeta.learn.evaluation.measures.scores import probabilities

SICK = Task("Sick", "binary", ("no", "yes"), dataset="toy")
KIND = Task("Kind", "multiclass", ("a", "b", "c"), dataset="toy")
GRADE = Task("Grade", "ordinal", ("none", "some", "much"), (0, 4, 10), dataset="toy")
FINDINGS = Task("Findings", "multilabel", ("x", "y", "z"), dataset="toy")
TASKS = (SICK, KIND, GRADE, FINDINGS)


@pytest.mark.parametrize("columns", [1, 2])
def test_binary(columns):
    scores = np.array([0.1, 0.4, 0.35, 0.8])
    if columns == 2:
        scores = np.stack([1 - scores, scores], axis=1)

    found = evaluate_scores(SICK, scores, np.array([0, 0, 1, 1]))

    # Of the four pairs of a sick and a healthy row, one is the wrong way round (0.35 < 0.4).
    assert found["auroc"] == 0.75
    assert found["absent"] == 0
    # Said sick: 0.8 alone, and rightly; the other sick one is missed.
    assert found["accuracy"] == found["balanced_accuracy"] == 0.75
    assert found["f1"] == pytest.approx(2 / 3)
    # Half of the sick have precision 1, half 2/3.
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    # Confidence 0.9, 0.6, 0.65, 0.8, of which 0.65 is wrong; 0.6 and 0.65 are in one bin of 15.
    assert found["calibration_error"] == pytest.approx((0.1 + abs(0.6 + 0.65 - 1) + 0.2) / 4)


def test_multiclass_is_the_mean_of_one_against_the_rest():
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.5, 0.4, 0.1], [0.1, 0.3, 0.6]])

    found = evaluate_scores(KIND, scores, np.array([0, 1, 1, 2]))

    # a: 0.6 above all; b: 0.5 and 0.4 above 0.3 and 0.3; c: 0.6 above all.
    assert {name: found[name] for name in ("auroc", "absent", "accuracy")} == {
        "auroc": 1,
        "absent": 0,
        "accuracy": 0.75,
    }
    assert found["average_precision"] == 1
    # Found: a and c wholly, b by half. Said: a, b, a, c.
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found["f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    found = evaluate_scores(KIND, scores, np.array([1, 0, 1, 2]))
    # a: 0.2 is above one of three; b: of (0.3, 0.4) against (0.5, 0.3), a tie and a win in four; c: 1.
    assert found["auroc"] == pytest.approx((1 / 3 + 1.5 / 4 + 1) / 3)


def test_absent_classes_are_left_out_and_counted():
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5]])

    assert evaluate_scores(KIND, scores, np.array([0, 1, 1]))["absent"] == 1
    only = evaluate_scores(KIND, scores, np.array([1, 1, 1]))
    assert only["absent"] == 3
    assert np.isnan(only["auroc"])
    assert only["accuracy"] == pytest.approx(1 / 3)
    assert evaluate_scores(SICK, np.array([0.2, 0.7]), np.array([1, 1]))["absent"] == 1


def test_absent_labels_have_names():
    assert absent_labels(KIND, np.array([0, 1, 1])) == ["c"]
    assert absent_labels(SICK, np.array([1, 1])) == ["yes"]
    assert absent_labels(SICK, np.array([0, 1])) == []
    assert absent_labels(FINDINGS, np.array([[1, 0, 0], [np.nan, 1, 0]])) == ["x", "z"]


def test_classes_without_rows_change_neither_f1_nor_balanced_accuracy():
    found = evaluate_scores(KIND, np.eye(3)[[0, 2, 1]], np.array([0, 1, 1]))

    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["f1"] == pytest.approx((1 + 2 / 3) / 2)


def test_calibration_error_of_calibrated_predictions():
    one = Task("One", "multilabel", ("x",), dataset="toy")
    right = (np.arange(1000) < 700).astype(float)

    def error(confidence, right):
        return evaluate_scores(one, confidence[:, None], right[:, None])["calibration_error"]

    assert error(np.full(1000, 0.7), right) == pytest.approx(0)
    assert error(np.full(1000, 0.9), right) == pytest.approx(0.2)
    # Bins of different confidence do not make up for each other; 1 belongs to the last one.
    assert error(np.array([0.1, 1.0]), np.array([1.0, 0.0])) == pytest.approx((0.9 + 1) / 2)


def test_probabilities_of_logits():
    logits = np.array([[1e4, 0.0, -1e4], [0, np.log(2), np.log(3)]])

    np.testing.assert_allclose(probabilities(KIND, logits), [[1, 0, 0], [1 / 6, 2 / 6, 3 / 6]])
    np.testing.assert_allclose(probabilities(FINDINGS, logits), [[1, 0.5, 0], [0.5, 2 / 3, 3 / 4]])
    np.testing.assert_allclose(probabilities(SICK, np.array([[0.0], [np.log(3)]])), [0.5, 0.75])
    with pytest.raises(MedIMetaError, match="1 of 3 logits are NaN or infinite"):
        probabilities(KIND, np.array([[0, np.nan, 1]]))


def test_ordinal_uses_the_published_scores():
    predicted = np.array([0, 2, 1, 2])
    found = evaluate_scores(GRADE, np.eye(3)[predicted], np.array([0, 1, 1, 2]))

    assert found["accuracy"] == 0.75
    assert found["mae"] == (10 - 4) / 4
    # Truth 0 4 4 10, predicted 0 10 4 10: squared difference 36 / 4 = 9; over all 16 pairs
    # (0 + 100 + 16 + 100) + 2 * (16 + 36 + 0 + 36) + (100 + 0 + 36 + 0) = 528, mean 33.
    assert found["kappa"] == pytest.approx(1 - 9 / 33)


def test_kappa_is_cohens_on_equal_distances():
    even = Task("Even", "ordinal", tuple("abcde"), (0, 1, 2, 3, 4), dataset="toy")
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)

    def kappa(truth, predicted):
        return evaluate_scores(even, np.eye(5)[predicted], truth)["kappa"]

    assert kappa(truth, predicted) == pytest.approx(oracle.cohen_kappa_score(truth, predicted, weights="quadratic"))
    assert kappa(truth, truth) == 1
    assert np.isnan(kappa(np.ones(3, int), np.ones(3, int)))


def test_multilabel_leaves_unknown_labels_out():
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [np.nan] * 3])
    scores = np.array([[0.9, 0.8, 0.1], [0.6, 0.7, 0.2], [0.4, 0.1, 0.6], [0.5, 0.5, 0.5]])

    found = evaluate_scores(FINDINGS, scores, labels)

    # x: 0.9 above 0.6, 0.4 below; y: 0.7 above 0.1, below 0.8; z: nobody has it.
    assert found["auroc"] == 0.5
    assert found["absent"] == 1
    # x: precision 1 at 0.9, 2/3 at 0.4; y: 1/2 at 0.7.
    assert found["average_precision"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    # Right: x in row 0; y in rows 1 and 2; z in rows 0 and 1.
    assert found["accuracy"] == pytest.approx(5 / 9)
    # x: finds one of two, says yes to the one without; y: finds the one, says yes to one of the two others.
    assert found["balanced_accuracy"] == pytest.approx(((1 / 2 + 0) / 2 + (1 + 1 / 2) / 2) / 2)
    assert found["f1"] == pytest.approx((2 / (2 + 1 + 1) + 2 / (2 + 1)) / 2)
    # x: 0.4 is alone in its bin; 0.9 and 0.6 too. So all of them are, in y and z but for 0.1 and 0.2 and so on.
    errors = [(0.1 + 0.6 + 0.6) / 3, (0.8 + 0.3 + 0.1) / 3, (0.1 + 0.2 + 0.6) / 3]
    assert found["calibration_error"] == pytest.approx(np.mean(errors))


@pytest.mark.parametrize(
    ("task", "scores", "labels", "message"),
    [
        (SICK, np.full((2, 3), 0.5), [0, 1], r"\(2, 2\) or \(2,\).*got \(2, 3\)"),
        (KIND, np.full(2, 0.5), [0, 1], r"\(2, 3\)"),
        (KIND, np.full((3, 3), 0.5), [0, 1], "2 labelled rows"),
        (KIND, np.zeros((0, 3)), [], "at least one row"),
        (KIND, np.array([["0.2", "much", "0.8"]]), [0], "must be numbers"),
        (KIND, [[0.2, 0.8], [0.2, 0.3, 0.5]], [0, 1], "all of one length"),
        (KIND, np.array([[2.0, -1.0, 0.0]]), [0], "softmax"),
        (KIND, np.array([[0.2, 0.3, 0.5], [0.4, 0.4, 0.4]]), [0, 1], r"row 1 sums to 1\.2, not 1"),
        (SICK, np.array([[0.9, 0.9]]), [0], r"row 0 sums to 1\.8, not 1"),
        (FINDINGS, np.array([[np.nan, 0.5, 0.5]]), [[0, 1, 1]], "NaN or infinite in 1 of 1 rows.*learning rate"),
        (FINDINGS, np.array([[1.5, 0.5, 0.5]]), [[0, 1, 1]], "sigmoid"),
        (KIND, np.full((1, 3), 0.3), [3], "ids from 0 to 2"),
        (FINDINGS, np.full((1, 3), 0.3), [[2, 0, 0]], "0, 1 or NaN"),
    ],
)
def test_what_does_not_fit_is_refused(task, scores, labels, message):
    with pytest.raises(MedIMetaError, match=message):
        evaluate_scores(task, scores, np.array(labels))


def predictions(task, rows, seed=0):
    """Random labels and scores, with many ties, and unknown labels."""
    rng, count = np.random.default_rng(seed), len(task.labels)
    scores = rng.random((rows, count)).round(1)
    if task.kind == "multilabel":
        labels = (rng.random((rows, count)) < 0.3).astype(np.float32)
        labels[rng.random((rows, count)) < 0.1] = np.nan
        return scores, labels
    scores = (scores + 1e-3) / (scores + 1e-3).sum(axis=1, keepdims=True)
    return scores, rng.integers(0, count, rows)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
@pytest.mark.parametrize("seed", range(5))
def test_all_metrics_are_scikit_learns_under_any_weights(task, seed):
    scores, labels = predictions(task, 120, seed)
    weights = np.random.default_rng(seed).exponential(size=(120, 3))

    measured = Scored(task, scores, labels).measure(weights)

    truth = labels if task.kind == "multilabel" else (labels[:, None] == np.arange(len(task.labels))).astype(float)
    said = scores > 0.5 if task.kind == "multilabel" else scores.argmax(axis=1)[:, None] == np.arange(scores.shape[1])
    asked = [1] if task.kind == "binary" else range(len(task.labels))
    for column, weight in enumerate(weights.T):
        by_label = {name: [] for name in ("auroc", "average_precision", "recall", "precision", "f1", "balanced")}
        for label in range(len(task.labels)):
            known = ~np.isnan(truth[:, label])
            yes, score, guess = truth[known, label], scores[known, label], said[known, label]
            given = {"sample_weight": weight[known]}
            by_label["auroc"].append(oracle.roc_auc_score(yes, score, **given))
            by_label["average_precision"].append(oracle.average_precision_score(yes, score, **given))
            by_label["recall"].append(oracle.recall_score(yes, guess, **given))
            by_label["precision"].append(oracle.precision_score(yes, guess, **given))
            by_label["f1"].append(oracle.f1_score(yes, guess, **given))
            by_label["balanced"].append(oracle.balanced_accuracy_score(yes, guess, **given))
        for name in ("auroc", "average_precision", "recall", "precision"):
            np.testing.assert_allclose(measured.per_label[name][:, column], by_label[name], err_msg=name)
        wanted = {name: np.mean([by_label[name][j] for j in asked]) for name in ("auroc", "average_precision", "f1")}
        if task.kind == "multilabel":
            wanted["balanced_accuracy"] = np.mean(by_label["balanced"])
        else:
            guess, given = scores.argmax(axis=1), {"sample_weight": weight}
            wanted["accuracy"] = oracle.accuracy_score(labels, guess, **given)
            wanted["balanced_accuracy"] = oracle.balanced_accuracy_score(labels, guess, **given)
            np.testing.assert_allclose(
                measured.confusion[..., column], oracle.confusion_matrix(labels, guess, **given), err_msg="confusion"
            )
        for name, value in wanted.items():
            assert measured.overall[name][column] == pytest.approx(value), name


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
@pytest.mark.parametrize("rows", [5, 80])
def test_a_row_of_weight_three_counts_like_three_rows(task, rows):
    scores, labels = predictions(task, rows)
    weights = np.random.default_rng(1).integers(0, 4, (rows, 12))
    weights[0] = np.maximum(weights[0], 1)

    found = Scored(task, scores, labels).measure(weights.astype(float)).overall

    for position, times in enumerate(weights.T):
        wanted = evaluate_scores(task, np.repeat(scores, times, axis=0), np.repeat(labels, times, axis=0))
        del wanted["absent"]
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_allclose(found[name][position], value, err_msg=name, atol=1e-12)
