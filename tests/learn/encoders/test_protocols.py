"""Probe, neighbours and prototypes on fixed features; scikit-learn is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from fakes.episodes import FINDINGS, GRADE, KIND, SICK, TASKS
from medimeta.learn.encoders.neighbours import TEMPERATURE, neighbour_scores
from medimeta.learn.encoders.probe import STRENGTHS, Standardisation, fit_path
from medimeta.learn.encoders.prototypes import prototype_logits

BY_KIND = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)


def drawn(task, rows=150, width=20, seed=0, unknown=0.0):
    """Features that say something of the labels, and labels."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(len(task.labels), width))
    if task.kind == "multilabel":
        labels = (rng.random((rows, len(task.labels))) < 0.4).astype(np.float32)
        features = labels @ directions + rng.normal(size=(rows, width)) * 2
        labels[rng.random(labels.shape) < unknown] = np.nan
    else:
        labels = rng.integers(0, len(task.labels), rows)
        features = directions[labels] + rng.normal(size=(rows, width)) * 2
        labels[rng.random(rows) < unknown] = -1
    return torch.from_numpy(features.astype(np.float32)), labels


def sklearn_logits(task, features, labels, query, strength):
    """Weights, biases and logits of scikit-learn, of which binary models have one output."""
    features, query = features.double().numpy(), query.double().numpy()
    columns = labels.T if task.kind == "multilabel" else [labels]
    weights, biases = [], []
    for column in columns:
        known = ~np.isnan(column) if task.kind == "multilabel" else column >= 0
        model = LogisticRegression(C=strength, tol=1e-10, max_iter=20_000).fit(features[known], column[known])
        weights.append(model.coef_)
        biases.append(model.intercept_)
    weight, bias = np.concatenate(weights), np.concatenate(biases)
    return weight, bias, query @ weight.T + bias


def auroc(task, logits, labels):
    if task.kind == "binary":
        return roc_auc_score(labels, logits[:, 0])
    truth = labels if task.kind == "multilabel" else labels[:, None] == np.arange(len(task.labels))
    scores = logits
    if task.kind not in ("binary", "multilabel"):
        scores = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    return np.mean([roc_auc_score(truth[:, j], scores[:, j]) for j in range(truth.shape[1])])


@BY_KIND
@pytest.mark.parametrize("width", [20, 300], ids=["more rows", "more features"])
@pytest.mark.parametrize("unknown", [0.0, 0.2])
def test_the_probe_is_scikit_learns_logistic_regression(task, width, unknown):
    features, labels = drawn(task, width=width, unknown=unknown)
    query, truth = drawn(task, rows=400, width=width, seed=1)
    scaled = Standardisation.of(features)
    probes = {probe.strength: probe for probe in fit_path(task, scaled(features), labels, [1e-4, 1e-2, 1.0, 1e3])}

    for strength, probe in probes.items():
        weight, bias, logits = sklearn_logits(task, scaled(features), labels, scaled(query), strength)
        ours = probe.logits(scaled(query)).numpy()
        assert abs(auroc(task, ours, truth) - auroc(task, logits, truth)) <= 1e-3
        if strength <= 1:
            assert probe.converged
            np.testing.assert_allclose(probe.weight.numpy(), weight.T, atol=1e-3)
            if task.kind in ("binary", "multilabel"):  # otherwise only differences of intercepts matter
                np.testing.assert_allclose(probe.bias.numpy(), bias, atol=1e-3)


def test_standardised_features_have_mean_0_and_deviation_1_unless_they_are_constant():
    features, _ = drawn(KIND)
    features[:, 3] = 7.3
    scaled = Standardisation.of(features)(features).numpy()

    varying = np.delete(scaled, 3, axis=1)
    np.testing.assert_allclose(varying.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(varying.std(axis=0), 1, atol=1e-10)
    np.testing.assert_allclose(scaled[:, 3], 0, atol=1e-5)


def test_the_grid_is_45_strengths_from_1e_minus_6_to_1e5():
    assert len(STRENGTHS) == 45
    assert STRENGTHS[0] == pytest.approx(1e-6)
    assert STRENGTHS[-1] == pytest.approx(1e5)
    np.testing.assert_allclose(np.diff(np.log10(STRENGTHS)), 0.25)


def test_each_probe_of_the_path_is_that_of_its_strength_alone():
    features, labels = drawn(KIND)
    path = list(fit_path(KIND, features, labels, [1.0, 1e-3, 1e-1]))

    assert [probe.strength for probe in path] == [1e-3, 1e-1, 1.0]
    for probe in path:
        (alone,) = fit_path(KIND, features, labels, [probe.strength])
        np.testing.assert_allclose(probe.weight, alone.weight, atol=1e-3)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_constant_features_leave_only_the_frequencies_of_classes(task):
    """With fewer rows than features, and with more."""
    for rows in (12, 60):
        _, labels = drawn(task, rows=rows)
        probe = next(fit_path(task, torch.zeros(rows, 20), labels))
        assert (probe.weight == 0).all()
        assert torch.isfinite(probe.bias).any()


def test_a_class_that_no_training_row_has_is_never_predicted():
    features, labels = drawn(GRADE)
    kept = labels != 1
    (probe,) = fit_path(GRADE, features[kept], labels[kept], [0.1])
    logits = probe.logits(features)

    assert (logits[:, 1] == -torch.inf).all()
    assert (logits.softmax(dim=1)[:, 1] == 0).all()
    # Two classes with a vector each are half as strongly regularised as their difference alone.
    weight, _, _ = sklearn_logits(SICK, features[kept], labels[kept] // 2, features, 0.2)
    np.testing.assert_allclose(probe.weight[:, 2] - probe.weight[:, 0], weight[0], atol=1e-3)


@BY_KIND
def test_neighbours_vote_as_in_scikit_learn_with_the_same_weights(task):
    features, labels = drawn(task)
    query, _ = drawn(task, rows=40, seed=1)
    unit = torch.nn.functional.normalize

    def weights(distances):  # of unit vectors: distance^2 = 2 - 2 similarity
        return np.exp((1 - distances**2 / 2) / TEMPERATURE)

    found = dict(neighbour_scores(task, features, labels, query, (1, 5, 20, 1000)))
    assert list(found) == [1, 5, 20]
    for k, scores in found.items():
        model = KNeighborsClassifier(k, weights=weights).fit(unit(features.double()), labels)
        expected = model.predict_proba(unit(query.double()))
        if task.kind == "multilabel":
            expected = np.stack([column[:, 1] for column in expected], axis=1)
        np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_neighbours_with_unknown_labels_do_not_vote():
    features, labels = drawn(FINDINGS)
    query, _ = drawn(FINDINGS, rows=30, seed=1)
    hidden = labels.copy()
    hidden[::2, 0] = np.nan
    ((_, scores),) = neighbour_scores(FINDINGS, features, hidden, query, [len(features)])
    ((_, expected),) = neighbour_scores(FINDINGS, features[1::2], labels[1::2], query, [len(features) // 2])
    np.testing.assert_allclose(scores[:, 0], expected[:, 0], atol=1e-6)

    ((_, scores),) = neighbour_scores(KIND, *drawn(KIND, unknown=0.3), query, [5])
    assert scores.sum(axis=1) == pytest.approx(1)
    alone = np.full((2, 3), np.nan, np.float32)
    alone[0] = 1
    ((_, scores),) = neighbour_scores(FINDINGS, query[:2], alone, query[1:2], [1])
    np.testing.assert_allclose(scores, 1)  # the nearest row knows nothing: the frequency in training


def test_neighbours_are_found_a_block_at_a_time(monkeypatch):
    features, labels = drawn(KIND)
    query, _ = drawn(KIND, rows=40, seed=1)
    whole = dict(neighbour_scores(KIND, features, labels, query))
    monkeypatch.setattr("medimeta.learn.encoders.neighbours.CELLS", 7 * len(features))
    for k, scores in neighbour_scores(KIND, features, labels, query):
        np.testing.assert_allclose(scores, whole[k], atol=1e-5)


@BY_KIND
def test_prototypes_are_the_means_of_known_rows(task):
    features, labels = drawn(task, unknown=0.2)
    query, _ = drawn(task, rows=30, seed=1)
    logits = prototype_logits(task, features, labels, query).numpy()

    vectors, asked = features.numpy(), query.numpy()
    columns = labels if task.kind == "multilabel" else labels[:, None] == np.arange(len(task.labels))
    groups = [vectors[columns[:, j] == 1] for j in range(columns.shape[1])]
    if task.kind == "multilabel":
        groups += [vectors[columns[:, j] == 0] for j in range(columns.shape[1])]
    means = np.stack([group.mean(axis=0) for group in groups])
    centre = means.mean(axis=0)
    unit = lambda values: values / np.linalg.norm(values, axis=1, keepdims=True)  # noqa: E731
    similar = unit(asked - centre) @ unit(means - centre).T
    if task.kind == "binary":
        similar = similar[:, 1:] - similar[:, :1]
    if task.kind == "multilabel":
        similar = similar[:, :3] - similar[:, 3:]
    np.testing.assert_allclose(logits, similar, atol=1e-5)


def test_a_class_without_images_is_the_least_similar():
    features, labels = drawn(KIND)
    kept = labels != 2
    logits = prototype_logits(KIND, features[kept], labels[kept], features)
    assert (logits[:, 2] == -1).all()
    assert torch.isfinite(logits).all()
