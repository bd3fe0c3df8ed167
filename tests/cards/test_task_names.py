"""A task has several names; unknown ones get suggestions."""

import pytest

from medimeta.cards import catalogue
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.display import html_table
from medimeta.cards.facts import split_name
from medimeta.errors import UnknownName


def test_tasks_by_domain_and_kind():
    assert {task.dataset for task in DATASETS.tasks(domain="dermatoscopy")} == {"derm", "skinl_derm"}
    assert {task.dataset for task in DATASETS.tasks(kind="ordinal")} == {"dr_regular", "dr_uwf"}


@pytest.mark.parametrize(
    "names",
    [
        (DATASETS["bus"].task("malignancy"),),
        ("bus/malignancy",),
        ("bus/MALIGNANCY",),
        (("bus", "malignancy"),),
        ("bus", "malignancy"),
        ("bus", DATASETS["bus"].task("malignancy")),
        (("bus", DATASETS["bus"].task("malignancy")),),
    ],
)
def test_a_task_has_several_names(names):
    assert DATASETS.find_task(*names) == DATASETS["bus"].tasks[1]


@pytest.mark.parametrize("name", ["bus", ("bus", None), "bus/", DATASETS["bus"].tasks[0]])
def test_a_dataset_names_its_main_task(name):
    assert DATASETS.find_task(name) == DATASETS["bus"].tasks[0]


@pytest.mark.parametrize(
    "names",
    [
        ("bus/malignanzy",),
        ("buss",),
        (["bus"],),
        (("bus",),),
        (None,),
        (3,),
        ("bus/malignancy", "case category"),
        ("crc", DATASETS["bus"].tasks[0]),
        (DATASETS["bus"].tasks[0], "malignancy"),
        ((["bus"], None),),
    ],
)
def test_other_names_of_tasks_are_refused(names):
    with pytest.raises(UnknownName):
        DATASETS.find_task(*names)


def test_target_is_a_deprecated_name_of_kind():
    with pytest.warns(DeprecationWarning, match="kind"):
        assert DATASETS["bus"].tasks[1].target == "binary"
    with pytest.warns(DeprecationWarning, match="kind"):
        assert catalogue.tasks(target="ordinal") == catalogue.tasks(kind="ordinal")


def test_what_a_prompt_and_a_notebook_show():
    card = DATASETS["skinl_derm"]
    for shown in (DATASETS, card, card.tasks[0]):
        assert len(repr(shown)) < 300
        assert "\n" not in repr(shown)
        assert shown._repr_html_().startswith("<table>")
    assert DATASETS._ipython_key_completions_() == list(DATASETS)
    assert repr(card.tasks[1]) == "<Task skinl_derm/Diagnosis grouped: multiclass, 5 labels>"
    assert "&lt;" in html_table("<b>", ["a"], [["<i>"]])


def test_split_names():
    assert split_name("val") == split_name("validation") == "validation"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DATASETS["skinl_foto"], r"Unknown dataset 'skinl_foto'\. Did you mean 'skinl_photo'.*medimeta list"),
        (lambda: DATASETS["OCT"], r"Unknown dataset 'OCT'\. Did you mean 'oct'"),
        (
            lambda: DATASETS["oct"].task("disease"),
            r"Unknown task of oct 'disease'\..*'disease class'.*medimeta info oct",
        ),
        (lambda: DATASETS.tasks(domain="Microscope"), r"Unknown domain 'Microscope'\. Did you mean 'Microscopy'"),
        (lambda: DATASETS.tasks(kind="multi-class"), r"Unknown kind of task 'multi-class'\. Did you mean 'multiclass'"),
        (lambda: split_name("valid"), r"Unknown split 'valid'\. Did you mean 'validation'"),
    ],
)
def test_unknown_names_get_suggestions(call, message):
    with pytest.raises(UnknownName, match=message):
        call()


def test_get_has_a_default():
    assert DATASETS.get("nothing") is None
    assert DATASETS.get("nothing", 1) == 1
    assert "nothing" not in DATASETS
