"""Groups of rows: how they are named, what is measured, and gaps that were planted."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from scipy.stats import norm

from fakes.episodes import FINDINGS, SICK, toy
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.evaluation.grouping import Grouping, by_columns
from medimeta.learn.evaluation.measures.metrics import Scored, evaluate_scores
from medimeta.learn.evaluation.results import Result
from medimeta.learn.evaluation.subgroups import of_result, subgroups

FORM = Features(
    sex=ClassLabel(names=["F", "M"]),
    age=Value("int32"),
    view=Value("string"),
    sizes=List(Value("int32")),
    id=Value("int32"),
)
ROWS = Dataset.from_dict(
    {
        "sex": [0, 1, None, 0, 1],
        "age": [39, 40, 59, 60, None],
        "view": ["PA", "", None, "AP", "PA"],
        "sizes": [[1]] * 5,
        "id": list(range(5)),
    },
    features=FORM,
)


def test_cells_and_edges_name_groups():
    assert Grouping("sex").groups(ROWS) == ["F", "M", "unknown", "F", "M"]
    assert Grouping("view").groups(ROWS) == ["PA", "unknown", "unknown", "AP", "PA"]
    age = Grouping.parse("age:40,60")
    assert age.groups(ROWS) == ["below 40", "40 to 60", "40 to 60", "60 and above", "unknown"]
    assert age.order(age.groups(ROWS)) == ["below 40", "40 to 60", "60 and above", "unknown"]
    assert Grouping.parse("age:60.5").groups(ROWS)[3] == "below 60.5"


def test_crossed_groups_are_in_the_order_of_their_parts():
    divided = by_columns(ROWS, [Grouping("sex"), Grouping("age", (50,))], cross=True)

    assert list(divided) == ["sex", "age", "sex x age"]
    names, order = divided["sex x age"]
    assert names == ["F, below 50", "M, below 50", "unknown, 50 and above", "F, 50 and above", "M, unknown"]
    assert order == ["F, below 50", "F, 50 and above", "M, below 50", "M, unknown", "unknown, 50 and above"]
    assert list(by_columns(ROWS, [Grouping("sex")], cross=True)) == ["sex"]


@pytest.mark.parametrize("text", ["age:60,40", "age:40,40", "age:forty", "age:40,"])
def test_invalid_edges_are_refused(text):
    with pytest.raises(MedIMetaError, match="ascending numbers"):
        Grouping.parse(text)


def test_columns_that_cannot_be_grouped_are_refused():
    with pytest.raises(UnknownName, match="Did you mean 'sex'"):
        Grouping("sexx").groups(ROWS)
    with pytest.raises(UnknownName, match="'sizes'"):
        Grouping("sizes").groups(ROWS)
    for column in ("view", "sex"):
        with pytest.raises(MedIMetaError, match="edges divide numbers"):
            Grouping(column, (1,)).groups(ROWS)
    many = Dataset.from_dict({"id": list(range(50))})
    with pytest.raises(MedIMetaError, match="50 groups"):
        Grouping("id").groups(many)


def two_groups(seed, rows=200, shifts=(2.0, 0.8)):
    """A method that is better on group "a" than on "b"; AUROC is Phi(shift / sqrt(2))."""
    rng = np.random.default_rng(seed)
    labels, group = np.arange(rows) % 2, np.arange(rows) // 2 % 2
    scores = norm.cdf(rng.normal(size=rows) + np.array(shifts)[group] * (labels - 0.5))
    return Scored(SICK, scores, labels), [None] * rows, ["ab"[one] for one in group]


@pytest.mark.parametrize("times", [60, pytest.param(500, marks=pytest.mark.slow)], ids=["quick", "500"])
def test_a_planted_gap_is_recovered(times):
    truth, inside = norm.cdf(2 / 2**0.5) - norm.cdf(0.8 / 2**0.5), 0
    for seed in range(times):
        found = subgroups(*two_groups(seed), by="group", resamples=200)
        assert {found.best, found.worst} == {"a", "b"}
        sign = 1 if found.best == "a" else -1
        low, high = sorted((sign * found.gap.low, sign * found.gap.high))
        inside += low <= truth <= high

    assert inside / times == pytest.approx(0.95, abs=max(0.025, 3 * (0.95 * 0.05 / times) ** 0.5))


def test_groups_are_measured_like_rows_of_their_own():
    scored, subjects, names = two_groups(0)

    found = subgroups(scored, subjects, names, by="group", metric="accuracy", resamples=20)

    here = np.array(names) == "a"
    wanted = evaluate_scores(SICK, scored.scores[here], scored.labels[here])["accuracy"]
    assert found.groups[0].measured.value == pytest.approx(wanted)
    assert [(group.name, group.images, group.subjects) for group in found.groups] == [("a", 100, 100), ("b", 100, 100)]
    with pytest.raises(UnknownName, match="'accuracy'"):
        subgroups(scored, subjects, names, by="group", metric="acuracy")


def test_for_error_metrics_the_largest_is_worst():
    scored, subjects, names = two_groups(0, shifts=(4.0, 0.0))

    found = subgroups(scored, subjects, names, by="group", metric="calibration_error", resamples=30)

    values = {group.name: group.measured.value for group in found.groups}
    assert values[found.worst] == max(values.values())
    assert found.gap.value > 0


def test_small_groups_are_named_not_dropped():
    scored = Scored(SICK, np.array([0.1, 0.9, 0.6, 0.7]), np.array([0, 1, 1, 1]))

    found = subgroups(scored, ["s", "s", None, "t"], ["a", "a", "b", "b"], by="g", resamples=10)

    assert [group.note.partition(":")[0] for group in found.groups] == ["fewer than 20 subjects", "not defined"]
    assert [group.subjects for group in found.groups] == [1, 2]
    assert found.groups[1].measured.value is None
    assert (found.best, found.gap.value) == (None, None)


@pytest.mark.parametrize("task", [SICK, FINDINGS], ids=lambda task: task.kind)
def test_groups_of_a_result_leave_out_rows_without_a_label(task):
    labels = [0, 1, None, 1, 0] if task is SICK else [[0], [], None, [0], []]
    rows = toy(task, labels).add_column("sex", ["F", "F", "F", "M", "M"])
    scores = np.tile([0.3, 0.7], (5, 1)) if task is SICK else np.full((5, 3), 0.3)
    result = Result.of_scores(task, scores, rows, split="test", protocol="p", method="m", model="", resamples=0)

    (found,) = of_result(result, task, rows, [Grouping("sex")], cross=False, metric="accuracy", resamples=5)

    assert [(group.name, group.images) for group in found.groups] == [("F", 2), ("M", 2)]
