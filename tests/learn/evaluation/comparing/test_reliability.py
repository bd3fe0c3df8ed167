"""Reliability diagrams: bins against the calibration error, and results without predictions."""

from __future__ import annotations

import numpy as np
import pytest

from fakes.episodes import FINDINGS, KIND
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.comparing.reliability import reliability, write_reliabilities, write_reliability
from medimeta.learn.evaluation.measures.metrics import Scored, evaluate_scores


def test_bins_give_the_calibration_error():
    rng = np.random.default_rng(0)
    scores, labels = rng.dirichlet(np.ones(3), 500), rng.integers(0, 3, 500)

    found = reliability(Scored(KIND, scores, labels))

    gaps = np.abs(found.confidence - found.accuracy)
    assert found.counts.sum() == 500
    wanted = evaluate_scores(KIND, scores, labels)["calibration_error"]
    assert np.nansum(gaps * found.counts) / 500 == pytest.approx(wanted)


def test_labels_that_are_unknown_are_left_out():
    scores = np.array([[0.95, 0.05, 0.5], [0.95, 0.05, 0.5]])

    found = reliability(Scored(FINDINGS, scores, np.array([[1, 0, np.nan], [0, 0, np.nan]])))

    assert found.counts.tolist() == [2, *[0] * 13, 2]
    assert found.accuracy[[0, -1]].tolist() == [0, 0.5]
    assert np.isnan(found.accuracy[7])


def test_a_diagram_needs_stored_predictions(tmp_path):
    write_reliability(reliability(Scored(KIND, np.eye(3), np.arange(3))), "title", tmp_path / "x.png")

    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(MedIMetaError, match="stored predictions"):
        write_reliabilities([], tmp_path)
