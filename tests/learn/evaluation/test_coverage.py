"""Every interval against the truth in simulations; the exceptions are those that docstrings and results name."""

from __future__ import annotations

import sys

import pytest

from fakes.pages import ROOT

sys.path.append(str(ROOT / "benchmarks"))
from interval_coverage import CASES, coverage

TIMES, SLACK = 600, 0.009  # SLACK: a standard error of 600 cases
FLAGGED = {"average_precision"}  # up to 200 rows too narrow: `bootstrap.describe` says so
SMALL = {"auroc", "accuracy", "auroc of a class", "recall of a class", "precision of a class"}  # near 1, with 50 rows


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_the_truth_as_often_as_they_say(case):
    for name, share in coverage(case, TIMES, 400):
        low = 0.93 - SLACK
        if name == "calibration_error":
            assert share < 0.5  # which is why results give none
            continue
        if name in FLAGGED or (name in SMALL and "0.92" in case) or case == "6 datasets":
            low = 0.87
        assert low <= share <= 0.97 + SLACK, name
