"""What a benchmark is asked to run: tasks by many names, and plans that are refused."""

from __future__ import annotations

import pytest

import medimeta
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.benchmark.plan import Plan, chosen_tasks


def test_tasks_are_named_in_many_ways():
    names = [f"{task.dataset}/{task.name}" for task in chosen_tasks(["bus/malignancy", "pbc", "bus"])]

    assert names[:2] == ["bus/malignancy", "bus/case category"]
    assert [name.partition("/")[0] for name in names] == ["bus", "bus", *["pbc"] * (len(names) - 2)]
    assert len(chosen_tasks("main")) == 19
    assert len(chosen_tasks("all")) == len(chosen_tasks(["all", "main", "bus"])) == 54
    assert {task.dataset for task in chosen_tasks("domain:OCT")} == {"oct"}
    assert chosen_tasks(chosen_tasks("bus")[0]) == chosen_tasks("bus")[:1]
    for wrong in ("buss", "bus/malign", "domain:X"):
        with pytest.raises(UnknownName):
            chosen_tasks(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocols": ("probes",)},
        {"protocols": ()},
        {"tasks": ()},
        {"shots": ()},
        {"shots": (0,)},
        {"seeds": (-1,)},
        {"episodes": 0},
        {"queries": 0},
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(wrong):
    with pytest.raises(MedIMetaError):
        Plan(**{"tasks": chosen_tasks("bus"), **wrong})
    with pytest.raises(MedIMetaError, match="encoder"):
        medimeta.bench([])
