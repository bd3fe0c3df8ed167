"""Few-shot solvers, parts of the training split, retrieval and zero-shot, next to slow and plain versions."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

import medimeta
from fakes.episodes import KIND, TASKS, toy
from medimeta.errors import MedIMetaError
from medimeta.learn.benchmark.plan import FRACTIONS, PUBLISHED, Plan
from medimeta.learn.benchmark.protocols import few_shot
from medimeta.learn.benchmark.protocols.efficiency import subset
from medimeta.learn.benchmark.protocols.retrieval import ranks, retrieval
from medimeta.learn.benchmark.protocols.supervised import Part
from medimeta.learn.benchmark.protocols.zero_shot import takes_text, zero_shot_scores
from medimeta.learn.encoders.prompts import prompts_of

BY_KIND = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)


def labelled(task, rows, seed=0):
    """Features that say something of the labels, and labels."""
    rng = np.random.default_rng(seed)
    if task.kind == "multilabel":
        labels = (rng.random((rows, len(task.labels))) < 0.4).astype(np.float32)
        signal = labels @ np.random.default_rng(9).normal(size=(len(task.labels), 40))
    else:
        labels = np.arange(rows) % len(task.labels)
        signal = np.random.default_rng(9).normal(size=(len(task.labels), 40))[labels]
    return torch.from_numpy((signal + rng.normal(size=(rows, 40))).astype(np.float32)), labels


@pytest.mark.parametrize("rows", [12, 60], ids=["fewer images than features", "more images"])
def test_logistic_regression_of_episodes_is_that_of_scikit_learn(rows):
    support, labels = labelled(KIND, rows)
    query, _ = labelled(KIND, 30, seed=1)
    found = few_shot.logistic_logits(KIND, support, labels, query).softmax(dim=1).numpy()

    def unit(values):
        centred = values.double() - support.double().mean(dim=0)
        return torch.nn.functional.normalize(centred).numpy()

    model = LogisticRegression(C=few_shot.STRENGTH, tol=1e-10, max_iter=10_000).fit(unit(support), labels)
    np.testing.assert_allclose(found, model.predict_proba(unit(query)), atol=1e-4)


@BY_KIND
def test_the_published_probe_is_150_steps_of_adam_from_zero(task):
    support, labels = labelled(task, 20)
    query, _ = labelled(task, 8, seed=1)
    outputs = 1 if task.kind == "binary" else len(task.labels)
    head = torch.nn.Linear(40, outputs)
    torch.nn.init.zeros_(head.weight), torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-4)
    truth = torch.from_numpy(np.asarray(labels))
    for _ in range(150):
        logits = head(support)
        if task.kind in ("binary", "multilabel"):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth.view(20, -1).float())
        else:
            loss = torch.nn.functional.cross_entropy(logits, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = few_shot.published_logits(task, support, labels, query)
    np.testing.assert_allclose(found, head(query).detach(), atol=1e-5)


@BY_KIND
def test_parts_of_training_are_nested_by_subject_and_have_every_label(task):
    _, labels = labelled(task, 200)
    subjects = [f"s{row // 4}" for row in range(200)]
    parts = [subset(labels, subjects, fraction, seed=3) for fraction in FRACTIONS]

    assert len(parts[-1]) == 200
    for smaller, larger in pairwise(parts):
        assert set(smaller) <= set(larger)
    for fraction, rows in zip(FRACTIONS, parts, strict=True):
        assert len(rows) >= fraction * 200
        assert len(rows) % 4 == 0  # whole subjects
        if task.kind == "multilabel":
            assert ((labels[rows] == 1).any(axis=0) & (labels[rows] == 0).any(axis=0)).all()
        else:
            assert set(labels[rows]) == set(labels)
    assert not np.array_equal(parts[3], subset(labels, subjects, FRACTIONS[3], seed=4))


def test_rows_with_an_unknown_label_are_in_no_part():
    labels = np.array([0, 1, -1, 2, 0, -1])
    assert list(subset(labels, [None] * 6, 1.0, seed=0)) == [0, 1, 3, 4]


@BY_KIND
def test_retrieval_ranks_as_average_precision_says(task):
    train, test = (Part(*labelled(task, rows, seed)) for rows, seed in ((50, 0), (9, 1)))
    precision, first = ranks(task, train, test)

    unit = torch.nn.functional.normalize
    similar = (unit(test.features) @ unit(train.features).T).numpy()
    for row in range(9):
        for label in range(len(task.labels)):
            has = test.labels[row, label] == 1 if task.kind == "multilabel" else test.labels[row] == label
            right = train.labels[:, label] == 1 if task.kind == "multilabel" else train.labels == label
            if not has:
                assert np.isnan(precision[row, label])
                continue
            assert precision[row, label] == pytest.approx(average_precision_score(right, similar[row]))
            assert first[row, label] == 1 + np.flatnonzero(right[np.argsort(-similar[row], kind="stable")])[0]


def test_the_result_of_retrieval_has_means_intervals_and_each_query():
    train, test = (Part(*labelled(KIND, rows, seed)) for rows, seed in ((50, 0), (30, 1)))
    result = retrieval(KIND, train, test, toy(KIND, test.labels.tolist()), protocol="retrieval", method="m", model="m")

    precision, first = ranks(KIND, train, test)
    assert result.metrics["mean_average_precision"].value == pytest.approx(np.nanmean(precision))
    assert result.metrics["recall@1"].value == pytest.approx((first == 1).sum() / 30)
    assert result.metrics["mean_average_precision"].low < np.nanmean(precision)
    assert result.predictions.num_rows == 30
    nothing = Part(test.features, np.full(30, -1))
    with pytest.raises(MedIMetaError, match="No test image"):
        retrieval(KIND, train, nothing, toy(KIND, [None] * 30), protocol="retrieval", method="m", model="m")


class Words:
    """An encoder whose sentences point to axes by what they mention."""

    logit_scale = 10.0

    def __init__(self, mentioned):
        self.mentioned = mentioned

    def texts(self, sentences):
        return np.array([[float(word in text) + 1e-3 for word in self.mentioned] for text in sentences], np.float32)


def test_zero_shot_chooses_the_label_that_sentences_mention():
    task = medimeta.DATASETS["oct"].tasks[0]
    encoder = Words(["neovascularization", "edema", "drusen", "healthy"])
    scores = zero_shot_scores(task, encoder, torch.eye(4))

    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert scores.sum(axis=1) == pytest.approx(1)
    binary = medimeta.DATASETS["bus"].task("malignancy")
    scores = zero_shot_scores(binary, Words(["no malignant", "cancer"]), torch.eye(2))
    assert scores[0] < 0.5 < scores[1]
    several = medimeta.DATASETS["mammo_mass"].task("mass margins")
    shape = zero_shot_scores(several, Words(["spiculated", "without"]), torch.eye(2)).shape
    assert shape == (2, len(prompts_of(several).shows))
    assert takes_text(encoder)
    assert not takes_text(SimpleNamespace())


def test_the_published_preset_is_the_follow_up_study():
    plan = Plan.of("bus", "published")
    assert plan.protocols == PUBLISHED["protocols"]
    assert plan.shots == (1, 2, 3, 5, 7, 10, 15, 20, 25, 30)
    assert Plan.of("bus", "published", shots=[5]).shots == (5,)
