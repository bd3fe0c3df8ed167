"""Temperature scaling: it undoes what was done to calibrated predictions, and keeps the order of labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fakes.episodes import FINDINGS, KIND, SICK, toy
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.measures.calibration import scaled, temperature
from medimeta.learn.evaluation.measures.metrics import evaluate_scores
from medimeta.learn.evaluation.measures.scores import probabilities
from medimeta.learn.evaluation.predictions import Predictions


def calibrated(task, rows=4000, seed=0):
    """Logits, and labels that follow their probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, len(task.labels))) * 1.5
    scores = probabilities(task, logits)
    if task.kind == "multilabel":
        return logits, (rng.random(scores.shape) < scores).astype(np.float32)
    return logits, (rng.random((rows, 1)) > scores.cumsum(axis=1)).sum(axis=1)


@pytest.mark.parametrize("task", [SICK, KIND, FINDINGS], ids=lambda task: task.kind)
@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_the_temperature_undoes_too_sure_or_too_unsure_logits(task, factor):
    logits, labels = calibrated(task)
    test, truth = calibrated(task, seed=1)

    found = temperature(task, probabilities(task, factor * logits), labels)

    assert found == pytest.approx(factor, rel=0.08)
    before, after = (probabilities(task, factor * test), scaled(task, probabilities(task, factor * test), found))
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    errors = [evaluate_scores(task, one, truth)["calibration_error"] for one in (before, after)]
    assert errors[1] < 0.03
    assert factor == 1 or errors[0] > 2 * errors[1]


def test_scores_of_one_column_and_certain_ones_stay_probabilities():
    np.testing.assert_allclose(scaled(SICK, np.array([0.5, 0.9, 0, 1]), 1), [0.5, 0.9, 0, 1], atol=1e-9)
    assert scaled(SICK, np.array([0.9]), 2) == pytest.approx(0.75)  # odds 9, of which the root is 3
    certain = scaled(KIND, np.eye(3), 2)
    np.testing.assert_allclose(certain.sum(axis=1), 1)


def test_rows_without_a_label_do_not_count():
    logits, labels = calibrated(SICK, 500)
    scores = probabilities(SICK, 2 * logits)
    more = np.concatenate([scores, scores[:100]]), np.concatenate([labels, np.full(100, -1)])

    assert temperature(SICK, *more) == temperature(SICK, scores, labels)
    with pytest.raises(MedIMetaError, match="No validation row"):
        temperature(SICK, scores, np.full(500, -1))


def test_predictions_are_calibrated_by_those_of_validation(tmp_path):
    (logits, labels), (test, truth) = calibrated(SICK, 300), calibrated(SICK, 300, seed=1)
    for name, values in (("validation", 3 * logits), ("test", 3 * test), ("labels", None)):
        table = pd.DataFrame({"prediction": truth} if values is None else dict(zip(SICK.labels, values.T, strict=True)))
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    given, held_out = (Predictions.read(tmp_path / f"{one}.csv", SICK, logits=True) for one in ("test", "validation"))

    better = given.calibrated(held_out, toy(SICK, labels.tolist()))

    rows, about = toy(SICK, truth.tolist()), {"method": "m", "model": "", "protocol": "p", "split": "test"}
    before, after = (one.of_split(rows, resamples=0, **about) for one in (given, better))
    assert better.temperature == pytest.approx(3, rel=0.3)
    assert after.metrics["calibration_error"].value < before.metrics["calibration_error"].value
    assert after.metrics["auroc"].value == pytest.approx(before.metrics["auroc"].value)
    with pytest.raises(MedIMetaError, match="labels only"):
        Predictions.read(tmp_path / "labels.csv", SICK).calibrated(held_out, rows)
