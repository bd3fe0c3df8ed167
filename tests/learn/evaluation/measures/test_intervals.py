"""Intervals against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, sem, t

from fakes.episodes import FINDINGS, GRADE, KIND, SICK
from medimeta.cards.facts import Task
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.measures.bootstrap import bootstrap, groups
from medimeta.learn.evaluation.measures.intervals import (
    Measured,
    ends,
    episodes_interval,
    joint_interval,
    mean_interval,
    share_interval,
)
from medimeta.learn.evaluation.measures.metrics import Scored, evaluate_scores


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


def intervals(task, scores, labels, subjects=None, **options):
    resampled = bootstrap(Scored(task, scores, labels), subjects, **options)
    return {name: ends(values) for name, values in resampled.overall.items()}


def test_subjects_are_drawn_whole():
    # Ten copies of each row under one subject tell no more than one: intervals over subjects stay, over rows shrink.
    scores, labels = predictions(KIND, 60, decimals=3)
    ten = np.repeat(scores, 10, axis=0), np.repeat(labels, 10)
    subjects = [f"s{row // 10}" for row in range(600)]

    once = intervals(KIND, scores, labels, resamples=200)

    together = intervals(KIND, *ten, subjects, resamples=200)
    assert {name: pytest.approx(ends) for name, ends in together.items()} == once
    low, high = intervals(KIND, *ten, resamples=200)["auroc"]
    assert high - low < 0.5 * (once["auroc"][1] - once["auroc"][0])


def test_rows_without_a_subject_are_drawn_on_their_own():
    assert groups(["a", None, "a", None, "b"], 5).tolist() == [0, 1, 0, 2, 3]
    assert groups(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(MedIMetaError, match="2 subjects for 3 rows"):
        groups(["a", "b"], 3)


def test_the_same_seed_gives_the_same_interval_and_another_one_another():
    given = FINDINGS, *predictions(FINDINGS, 100)

    first = intervals(*given, resamples=50, seed=3)

    assert intervals(*given, resamples=50, seed=3) == first
    assert intervals(*given, resamples=50, seed=4) != first


def test_intervals_have_the_stated_coverage():
    # Two normal scores one deviation apart have the AUROC that probability theory says.
    truth, inside = 0.7602, 0  # Phi(1 / sqrt(2))
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = np.arange(80) % 2
        scores = 1 / (1 + np.exp(-(rng.normal(size=80) + labels)))
        low, high = intervals(SICK, scores, labels, resamples=200)["auroc"]
        inside += low <= truth <= high

    assert 88 <= inside <= 99  # 95 of 100, give or take three deviations


def test_what_is_never_defined_has_no_interval():
    low, high = intervals(GRADE, np.eye(3)[[1, 1]], np.array([1, 1]), resamples=5)["auroc"]

    assert np.isnan(low)
    assert np.isnan(high)
    with pytest.raises(MedIMetaError, match="at least one resample"):
        intervals(GRADE, np.eye(3)[[1, 1]], np.array([1, 1]), resamples=0)


def test_mean_over_episodes_is_as_published():
    found = episodes_interval([0.5, 0.7, np.nan, 0.9])

    assert found.value == pytest.approx(0.7)
    assert found.high - found.value == pytest.approx(1.96 * 0.2 / 3**0.5)
    assert found.value - found.low == pytest.approx(1.96 * 0.2 / 3**0.5)
    assert episodes_interval([0.5, np.nan]) == Measured(0.5)
    assert episodes_interval([np.nan]) == Measured(None)


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_mean_over_seeds_is_students(count):
    values = np.random.default_rng(0).normal(size=(4000, count))

    wanted = t.interval(0.95, count - 1, values.mean(axis=1), sem(values, axis=1))
    found = [mean_interval(row) for row in values[:5]]
    for number, one in enumerate(found):
        assert (one.low, one.high) == pytest.approx((wanted[0][number], wanted[1][number]))
    # ... which holds the true mean as often as it says, also over two seeds.
    inside = ((wanted[0] <= 0) & (wanted[1] >= 0)).mean()
    assert inside == pytest.approx(0.95, abs=0.0105)  # three standard errors of 4,000 trials
    assert mean_interval([0.5, np.nan]) == Measured(0.5)


def test_intervals_of_zero_width_are_flagged():
    low, high = intervals(SICK, np.eye(2)[[0, 1, 1, 0]], np.array([0, 1, 1, 0]), resamples=20)["auroc"]

    assert Measured(1.0, low, high).degenerate
    assert not Measured(1.0, 0.9, 1.0).degenerate
    assert not Measured(1.0).degenerate


def test_intervals_of_shares_stay_within_0_and_1_and_are_wider_towards_the_middle():
    samples = np.random.default_rng(0).normal(0.97, 0.02, 1000)

    found = share_interval(0.97, samples, 50)

    assert 0.8 < found.low < 0.93 < 0.97 < found.high < 1
    assert found.value - found.low > 2 * (found.high - found.value)
    assert share_interval(1 - 0.97, 1 - samples, 50).high == pytest.approx(1 - found.low)
    middle = share_interval(0.5, samples - 0.47, 10**9)  # where the logit is nearly straight
    assert (middle.low, middle.high) == pytest.approx(
        (0.5 - 1.96 * samples.std(), 0.5 + 1.96 * samples.std()), abs=1e-3
    )
    assert share_interval(float("nan"), samples, 50) == Measured(None)
    assert share_interval(0.5, np.full(3, np.nan), 50) == Measured(0.5)
    assert share_interval(0.5, samples, 1).degenerate


def test_the_joint_interval_is_wider_than_that_of_the_test_set_and_equals_it_for_equal_seeds():
    equal = [Measured(0.8, 0.7, 0.85)] * 3
    alike = joint_interval(equal)
    assert (alike.value, alike.low, alike.high) == pytest.approx((0.8, 0.7, 0.85), abs=1e-4)
    different = joint_interval([Measured(0.8 + by, 0.7 + by, 0.85 + by) for by in (-0.03, 0, 0.03)])
    assert different.low < 0.7
    assert different.high > 0.85
    assert joint_interval(equal[:1]) == Measured(0.8)
    assert joint_interval([*equal, Measured(0.8)]).low is None
    assert joint_interval([]) == Measured(None)


def test_an_interval_has_two_ends():
    with pytest.raises(MedIMetaError, match="two ends"):
        Measured(0.5, 0.4)


def test_measured_reads_well():
    assert str(Measured(0.9, 0.85, 0.95)) == "0.900 [0.850, 0.950]"
    assert str(Measured(0.9)) == "0.900"
    assert str(Measured(float("nan"))) == "-"


def test_intervals_of_many_labels_of_which_one_is_unknown():
    task = Task("Wide", "multilabel", tuple("abcdefghij"), dataset="toy")
    scores, labels = predictions(task, 50)
    labels[:, 3] = np.nan  # nobody knows

    found = intervals(task, scores, labels, resamples=20)

    assert found["auroc"][0] < evaluate_scores(task, scores, labels)["auroc"] < found["auroc"][1]


def test_few_units_move_the_ends_outwards():
    values = np.random.default_rng(0).normal(size=10_000)

    wanted = np.quantile(values, [norm.cdf((8 / 7) ** 0.5 * t.ppf(q, 7)) for q in (0.025, 0.975)])
    assert ends(values, 8) == pytest.approx(tuple(wanted))
    assert ends(values, 8)[0] < ends(values, 100)[0] < ends(values)[0]
    assert ends(values, 10**9) == pytest.approx(ends(values))
