"""Suspect labels and similar images: how many planted ones are found."""

from __future__ import annotations

import numpy as np
import pytest

from medimeta.learn.leakage.suspects import folds, near_duplicates, suspect_labels


def noisy(seed, rows=600, wrong=0.05):
    """Three classes with probabilities of AUROC 0.98, and labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    evidence = 2.1 * (rng.normal(size=(rows, 3)) + 2.1 * np.eye(3)[truth])
    scores = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    planted = rng.random(rows) < wrong
    labels = np.where(planted, (truth + rng.integers(1, 3, rows)) % 3, truth)
    return scores / scores.sum(axis=1, keepdims=True), labels, planted, truth


def test_planted_label_errors_are_found_and_come_first():
    recall, precision, first, right = [], [], [], []
    for seed in range(20):
        scores, labels, planted, truth = noisy(seed)
        found = suspect_labels(scores, labels)
        recall.append(planted[found.rows].sum() / planted.sum())
        precision.append(planted[found.rows].mean())
        first.append(planted[found.rows[:10]].mean())
        hits = planted[found.rows]
        right.append((found.suggested == truth[found.rows])[hits].mean())
        assert (np.diff(found.margin) <= 0).all()

    assert np.mean(recall) >= 0.7
    assert np.mean(precision) >= 0.5
    assert np.mean(first) >= 0.9
    assert np.mean(right) >= 0.9


def test_unknown_labels_and_absent_classes_are_no_suspects():
    scores, labels, *_ = noisy(0)

    assert not set(suspect_labels(scores, np.where(labels == 1, -1, labels)).rows) & set(np.flatnonzero(labels == 1))
    assert 1 not in suspect_labels(scores, np.where(labels == 1, -1, labels)).suggested
    assert len(suspect_labels(np.eye(3), np.arange(3)).rows) == 0


@pytest.mark.parametrize("block", [7, 1024])
def test_planted_copies_are_found(block, monkeypatch):
    monkeypatch.setattr("medimeta.learn.leakage.suspects.BLOCK", block)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 40)) + 5
    features[50:] = features[:10] + rng.normal(0, 0.05, (10, 40))

    pairs = near_duplicates(features, 0.95)

    assert {(row, other) for row, other, _ in pairs} == {(row, 50 + row) for row in range(10)}
    assert [pair[2] for pair in pairs] == sorted((pair[2] for pair in pairs), reverse=True)


def test_folds_keep_groups_together():
    groups = ["a", "a", None, "b", None, "b", *map(str, range(50))]

    found = folds(groups, 5)

    assert found[0] == found[1]
    assert found[3] == found[5]
    assert np.bincount(found).max() - np.bincount(found).min() <= 2
    assert (folds(groups, 5) == found).all()
