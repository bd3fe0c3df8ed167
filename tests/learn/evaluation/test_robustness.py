"""Robustness: corruption errors relative to a measured baseline, from stored results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.evaluation.measures.intervals import Measured
from medimeta.learn.evaluation.results import Result
from medimeta.learn.evaluation.robustness import by_protocol, report, robustness, write_curves

NAMES = ("pixelate", "speckle_noise")
SEVERITIES = (1, 2, 3, 4, 5)


def result(method, error, corruption=None, severity=None, seed=0):
    settings = {"lr": 0.1} | ({} if corruption is None else {"corruption": corruption, "severity": severity})
    return Result(
        dataset="bus", task="case category", kind="multiclass", split="test", protocol="full supervision",
        method=method, model="m", metrics={"balanced_accuracy": Measured(1 - error)}, interval="", images=9,
        fingerprint={"label": "x"}, seed=seed, settings=settings,
    )  # fmt: skip


def results(method, clean, errors, seed=0):
    corrupted = [
        result(method, error, name, severity, seed)
        for name, of_name in zip(NAMES, errors, strict=True)
        for severity, error in zip(SEVERITIES, of_name, strict=True)
    ]
    return [result(method, clean, seed=seed), *corrupted]


RNG = np.random.default_rng(0)
ERRORS = {method: RNG.uniform(0.2, 0.6, (2, 5)) for method in ("base", "ours")}
BASE, OURS = results("base", 0.1, ERRORS["base"]), results("ours", 0.15, ERRORS["ours"])


def test_equal_to_the_published_formulas():
    base, ours = robustness([*BASE, *OURS], "base")
    ratios = [100 * ERRORS["ours"][i].mean() / ERRORS["base"][i].mean() for i in range(2)]
    growth = [100 * (ERRORS["ours"][i].mean() - 0.15) / (ERRORS["base"][i].mean() - 0.1) for i in range(2)]

    assert list(ours.corruption_errors.values()) == pytest.approx(ratios)
    assert ours.mce == pytest.approx(np.mean(ratios))
    assert ours.relative_mce == pytest.approx(np.mean(growth))
    assert ours.errors["pixelate"][3] == pytest.approx(ERRORS["ours"][0, 2])
    assert (ours.clean, ours.task, ours.method) == (pytest.approx(0.15), "bus / case category", "ours")
    assert base.mce == pytest.approx(100)
    assert base.relative_mce == pytest.approx(100)


def test_order_does_not_matter_and_seeds_are_averaged():
    expected = robustness([*BASE, *OURS], "base")[1]
    other = results("ours", 0.05, ERRORS["ours"] - 0.1, seed=1)
    averaged = next(one for one in robustness([*other, *OURS, *BASE][::-1], "base") if one.method == "ours")

    assert averaged.clean == pytest.approx(0.1)
    assert averaged.errors["pixelate"][1] == pytest.approx(expected.errors["pixelate"][1] - 0.05)


def test_what_the_baseline_does_not_define_is_left_open():
    flawless = results("flawless", 0.0, np.zeros((2, 5)))
    ours = robustness([*flawless, *OURS], "flawless")[1]
    assert ours.mce is None
    assert ours.relative_mce is None


@pytest.mark.parametrize(
    "given",
    [
        [*BASE, *OURS[1:]],
        [*BASE, OURS[0]],
        [*BASE, *OURS[:-1]],
        [*BASE, *OURS, OURS[-1]],
        [*BASE, *OURS[:-1], replace(OURS[-1], fingerprint={"label": "y"})],
        [*BASE, *OURS[:-1], replace(OURS[-1], metrics={})],
    ],
    ids=["no clean result", "no corrupted one", "one missing", "one twice", "other images", "no balanced accuracy"],
)
def test_incomparable_results_are_refused(given):
    with pytest.raises(MedIMetaError):
        robustness(given, "base")


def test_the_baseline_must_have_been_measured():
    for given in ([*BASE, *OURS], []):
        with pytest.raises(UnknownName):
            robustness(given, "alexnet")


def test_the_report_names_every_number():
    text = report(robustness([*BASE, *OURS], "base"), "base")
    assert "| base | 0.100 | 100.0 | 100.0 |" in text
    for name in NAMES:
        assert text.count(f"| {name} |") == 2


def test_protocols_are_compared_one_by_one_and_drawn(tmp_path):
    both = [*BASE, *OURS]
    other = [replace(one, protocol="linear probe") for one in both]
    only_clean = [replace(both[0], protocol="few-shot, 5 shots")]

    found = by_protocol([*both, *other, *only_clean])

    assert [(protocol, name, len(compared)) for protocol, name, compared in found] == [
        ("full supervision", "base", 2),
        ("linear probe", "base", 2),
    ]
    write_curves(found[0][2], tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 300
    with pytest.raises(MedIMetaError, match="corrupted images"):
        by_protocol(only_clean)
