"""What the code says of itself is true: docstring examples run, and every module is in its room's map."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import sys

import pytest

from fakes.pages import ROOT

sys.path.append(str(ROOT / "docs"))

import maps


def modules_with_examples():
    """Names of modules whose text holds an example; only these are imported."""
    found = ["medimeta"]
    for room in maps.ROOMS:
        for module in pkgutil.walk_packages([str(ROOT / room)], f"medimeta.{room}."):
            path = ROOT.joinpath(*module.name.split(".")[1:])
            path = path / "__init__.py" if module.ispkg else path.with_suffix(".py")
            if ">>> " in path.read_text(encoding="utf-8"):
                found.append(module.name)
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_docstring_examples_give_what_is_shown(name):
    module = importlib.import_module(name)
    tests = [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]
    assert tests, f"{name} holds >>> where doctest does not look"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    shown = []
    for test in tests:
        runner.run(test, out=shown.append)

    assert not runner.failures, "".join(shown)


def test_the_main_modules_have_examples():
    assert {"medimeta", "medimeta.cards.citing", "medimeta.learn.data.protocols"} <= set(modules_with_examples())


@pytest.mark.parametrize("room", maps.ROOMS)
def test_the_map_of_a_room_is_current(room):
    assert (ROOT / room / "README.md").read_text(encoding="utf-8") == maps.room_map(room), "run: python docs/maps.py"
