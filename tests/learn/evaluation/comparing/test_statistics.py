"""Methods over tasks: against SciPy, and simulations of methods that do not differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.comparing.result_table import Cell, ResultTable
from medimeta.learn.evaluation.comparing.statistics import (
    Pair,
    cliques,
    friedman,
    holm,
    mean_ranks,
    pairs,
    standing,
    units_of,
)
from medimeta.learn.evaluation.measures.intervals import Measured

SCORES = (
    np.random.default_rng(3).normal([0, 1, 0.2, 1.1], 1, (14, 4)).round(1)
)  # four methods on 14 datasets, with ties


def table(values, metric="auroc"):
    """A table with a row of values per task; tasks are called "dataset / task"."""
    cells = {
        (f"m{number}", task): Cell(Measured(value)) for task, row in values.items() for number, value in enumerate(row)
    }
    return ResultTable("p", "test", metric, cells)


def test_ranks_count_better_and_equal_methods():
    order, ranks = mean_ranks(SCORES)

    above = (SCORES[:, None] > SCORES[:, :, None]).sum(axis=2)
    equal = (SCORES[:, None] == SCORES[:, :, None]).sum(axis=2)
    wanted = (above + (equal + 1) / 2).mean(axis=0)
    assert [rank.value for rank in ranks] == pytest.approx(wanted.tolist())
    assert order == np.argsort(wanted).tolist()
    for rank in ranks:
        assert 1 <= rank.low < rank.value < rank.high <= 4


def test_friedman_with_the_correction_is_an_analysis_of_variance_of_ranks():
    ranks = stats.rankdata(SCORES, axis=1)
    between = len(ranks) * ((ranks.mean(axis=0) - 2.5) ** 2).sum() / 3
    within = ((ranks - ranks.mean(axis=0)) ** 2).sum() / (3 * 13)  # each dataset has the mean rank 2.5

    assert friedman(SCORES) == pytest.approx(stats.f.sf(between / within, 3, 39))
    assert friedman(np.ones((5, 3))) == 1
    assert friedman(np.arange(15).reshape(5, 3)) == 0


def test_holm_is_stepwise():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.6]) == [1, 1]
    assert holm([]) == []


def test_pairs_are_scipys_wilcoxon():
    found = pairs(list("abcd"), SCORES)

    assert [(one.first, one.second) for one in found] == [
        ("a", "b"),
        ("a", "c"),
        ("a", "d"),
        ("b", "c"),
        ("b", "d"),
        ("c", "d"),
    ]
    assert found[0].p == pytest.approx(stats.wilcoxon(np.round(SCORES[:, 0] - SCORES[:, 1], 12)).pvalue)
    gains = SCORES[:, 0] - SCORES[:, 1]
    assert (found[0].wins, found[0].losses) == ((gains > 1e-9).sum(), (gains < -1e-9).sum())
    assert found[0].wins + found[0].ties + found[0].losses == 14
    assert all(one.adjusted >= one.p for one in found)
    (same,) = pairs(["x", "y"], np.ones((8, 2)))
    assert (same.p, same.ties) == (1, 8)


def test_datasets_that_share_subjects_are_one_unit():
    assert units_of(["skinl_photo", "bus", "skinl_derm", "bus"]) == [("bus",), ("skinl_derm", "skinl_photo")]
    assert units_of(["organs_axial", "organs_sagittal"]) == [("organs_axial", "organs_sagittal")]
    assert units_of(["unheard of"]) == [("unheard of",)]


def test_a_dataset_counts_once_whatever_its_tasks():
    values = {f"skinl_derm / task {number}": [0.9, 0.5] for number in range(12)} | {"bus / kind": [0.5, 0.9]}

    found = standing(table(values))

    assert (found.tasks, len(found.units)) == (13, 2)
    assert {method: rank.value for method, rank in found.ranks.items()} == {"m0": 1.5, "m1": 1.5}
    assert (found.pairs[0].wins, found.pairs[0].losses) == (1, 1)
    assert "2 units are too few" in found.markdown()


def test_for_error_metrics_smaller_values_rank_first():
    values = {f"{dataset} / kind": [0.3, 0.1, 0.2] for dataset in ("bus", "crc", "pbc")}

    assert list(standing(table(values, "mae")).ranks) == ["m1", "m2", "m0"]
    assert list(standing(table(values)).ranks) == ["m0", "m2", "m1"]


def test_tasks_that_a_method_lacks_are_left_out_by_name():
    given = table({f"{dataset} / kind": [0.3, 0.1] for dataset in ("bus", "crc", "pbc")})
    cells = given.cells | {("m0", "oct / kind"): Cell(Measured(0.5)), ("m1", "oct / kind"): Cell(Measured(None))}

    found = standing(ResultTable("p", "test", "auroc", cells))

    assert found.left_out == ("oct / kind",)
    assert "Left out, since some method lacks them: oct / kind." in found.markdown()


def test_too_little_to_compare_is_refused():
    for values in ({"bus / kind": [0.5, 0.6]}, {"bus / kind": [0.5], "crc / kind": [0.6]}):
        with pytest.raises(MedIMetaError, match="two or more unrelated datasets"):
            standing(table(values))


def test_a_real_difference_is_found():
    rng = np.random.default_rng(0)
    values = {
        f"d{number} / kind": [0.7 + noise, 0.72 + noise, 0.9 + noise]
        for number, noise in enumerate(rng.normal(0, 0.05, 12))
    }

    found = standing(table(values))

    assert found.friedman < 0.001
    assert all(pair.adjusted < 0.05 for pair in found.pairs)
    assert "**0.0015**" in found.markdown()  # three times that of 12 equal signs, 2 / 2**12


def test_bars_join_methods_without_significant_difference():
    ranks = {name: Measured(number) for number, name in enumerate("abcd")}

    def bars(*different):
        couples = [(one, other) for one in "abcd" for other in "abcd" if one < other]
        return cliques(ranks, [Pair(*c, 0, 0, 0, 0.01, 0.01 if "".join(c) in different else 1) for c in couples])

    assert bars() == [["a", "b", "c", "d"]]
    assert bars("ad") == [["a", "b", "c"], ["b", "c", "d"]]
    assert bars("ac", "ad", "bd") == [["a", "b"], ["b", "c"], ["c", "d"]]
    assert bars("ab", "ac", "ad", "bc", "bd", "cd") == []


@pytest.mark.parametrize("nulls", [200, pytest.param(2000, marks=pytest.mark.slow)], ids=["quick", "2000"])
@pytest.mark.parametrize("units", [8, 15])
def test_false_positives_between_equal_methods_are_rare(nulls, units):
    false_pair = false_friedman = 0
    for seed in range(nulls):
        rng = np.random.default_rng([units, seed])
        scores = rng.normal(size=(units, 1)) + rng.normal(size=(units, 4))
        false_pair += any(pair.adjusted < 0.05 for pair in pairs(list("abcd"), scores))
        false_friedman += friedman(scores) < 0.05

    slack = 3 * (0.05 * 0.95 / nulls) ** 0.5 if nulls < 2000 else 0.005
    assert false_pair / nulls <= 0.05 + slack
    assert false_friedman / nulls <= 0.05 + 3 * (0.05 * 0.95 / nulls) ** 0.5
