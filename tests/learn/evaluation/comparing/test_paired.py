"""Two methods on one task: what pairing gains, what it promises, and what cannot be paired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

import medimeta
from fakes.episodes import SICK, random_toy
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes
from medimeta.learn.evaluation.comparing.paired import difference, differences, markdown
from medimeta.learn.evaluation.measures.metrics import Scored
from medimeta.learn.evaluation.results import Result

BUS = medimeta.DATASETS["bus"].task("malignancy")


def two_methods(seed, rows=100, first=1.5, second=0.8):
    """Scores of two methods that share half of their noise; AUROC is Phi(shift / sqrt(2))."""
    rng = np.random.default_rng(seed)
    labels, shared = np.arange(rows) % 2, rng.normal(size=rows)
    scores = [norm.cdf((shared + rng.normal(size=rows)) / 2**0.5 + shift * (labels - 0.5)) for shift in (first, second)]
    return [Scored(SICK, score, labels) for score in scores]


@pytest.mark.parametrize("times", [80, pytest.param(500, marks=pytest.mark.slow)], ids=["quick", "500"])
def test_the_interval_holds_the_true_difference_as_often_as_it_says(times):
    truth, inside = norm.cdf(1.5 / 2**0.5) - norm.cdf(0.8 / 2**0.5), 0
    for seed in range(times):
        found = difference(*two_methods(seed), [None] * 100, resamples=200)
        inside += found.low <= truth <= found.high

    assert inside / times == pytest.approx(0.95, abs=max(0.025, 3 * (0.95 * 0.05 / times) ** 0.5))


@pytest.mark.parametrize("metric", ["auroc", "calibration_error"])
def test_the_sign_says_who_is_better(metric):
    good, bad = two_methods(0, first=4, second=0)

    assert difference(good, bad, [None] * 100, metric, resamples=50).value > 0
    assert difference(bad, good, [None] * 100, metric, resamples=50).value < 0
    same = difference(good, good, [None] * 100, metric, resamples=50)
    ends = (0, 0) if metric == "auroc" else (None, None)  # resamples of a calibration error are biased
    assert (same.value, same.low, same.high) == (0, *ends)


def test_other_labels_and_unknown_metrics_are_refused():
    one, other = two_methods(0)
    turned = Scored(SICK, other.scores, 1 - other.labels)

    with pytest.raises(MedIMetaError, match="different labels"):
        difference(one, turned, [None] * 100)
    with pytest.raises(UnknownName, match="'auroc'"):
        difference(one, other, [None] * 100, "auc")


def saved(folder, name, shift, rows, **changes):
    labels = np.array(rows[BUS.column][:])
    scores = norm.cdf(np.random.default_rng(0).normal(size=len(labels)) + shift * (labels - 0.5))
    result = Result.of_scores(BUS, scores, rows, split="test", protocol="p", method=name, model="", resamples=0)
    path = folder / name / "result.json"
    path.parent.mkdir(parents=True)
    replace(result, **changes).save(path)
    return path, result


def test_stored_predictions_are_paired(tmp_path):
    rows = random_toy(BUS, 0, 120)
    found = [saved(tmp_path, "poor", 0.1, rows), saved(tmp_path, "good", 3, rows), saved(tmp_path, "fair", 1, rows)]

    first, second = differences(found, resamples=100)

    assert (first.task, first.first, first.second) == ("bus / malignancy", "good", "poor")
    assert second.second == "fair"
    assert first.better.value == pytest.approx(found[1][1].metrics["auroc"].value - found[0][1].metrics["auroc"].value)
    assert first.better.low > 0
    assert "paired bootstrap over subjects, 100 resamples" in first.how
    assert "| good - poor | **0." in markdown([first, second], "auroc")


def test_what_cannot_be_paired_says_why(tmp_path):
    rows, others = random_toy(BUS, 0, 120), random_toy(BUS, 1, 120)
    good, none = saved(tmp_path, "good", 3, rows), saved(tmp_path, "none", 1, rows, predictions=None)
    stranger = saved(tmp_path, "stranger", 1, others)

    first, second = differences([good, none, stranger], resamples=10)

    assert (first.second, first.better.value) == ("none", None)
    assert "no result.predictions.parquet next to the result" in first.how
    assert second.how == "not compared: different rows or episodes"


def test_episodes_are_paired_one_by_one(tmp_path):
    drawn = sample_episodes(random_toy(SICK, 0), SICK, Recipe(2, 5), n=8, seed=1, split="test")
    base = np.linspace(0.6, 0.9, 8)
    found = [
        (tmp_path / name, Result.of_episodes(drawn, {"auroc": values}, protocol="p", method=name, model=""))
        for name, values in (("a", base), ("b", base + 0.05 + 0.001 * np.arange(8)))
    ]

    (one,) = differences(found)

    assert (one.first, one.second) == ("b", "a")
    assert one.better.value == pytest.approx(0.0535)
    assert one.better.low > 0.05  # although the two intervals overlap
    assert found[0][1].metrics["auroc"].high > found[1][1].metrics["auroc"].low
    assert one.how == "paired over 8 episodes"
