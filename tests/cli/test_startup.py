"""What the command line imports before it works: as little as possible (benchmarks/startup.py measures the time)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fakes.pages import ROOT

# Packages that help, version and completion must not import. typer itself may import pydantic.
HEAVY = (
    "datasets",
    "pandas",
    "pyarrow",
    "numpy",
    "torch",
    "jinja2",
    "requests",
    "huggingface_hub",
    "PIL",
    "yaml",
    "rich",
)
ROOMS = tuple(f"medimeta.{room}" for room in ("builders.dataset", "builders.source", "cards", "learn", "upload"))
COMPLETING = {"_MEDIMETA_COMPLETE": "complete_bash"}


def imported(code, **environment):
    """The modules that are loaded when some code has run."""
    report = "import atexit, sys; atexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr)); "
    done = subprocess.run(
        [sys.executable, "-c", report + code],
        env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")} | environment,
        capture_output=True,
        text=True,
    )
    line = next(line for line in done.stderr.splitlines() if line.startswith("LOADED"))
    return set(line.split()[1:]), done.stdout


def command(*words):
    return f"from medimeta.cli.app import main; main({list(words)!r})"


@pytest.mark.parametrize(
    "code",
    ["import medimeta", "import medimeta.cli.app", *(command(*words) for words in (["--help"], ["--version"], ["-h"]))],
)
def test_help_and_version_import_nothing_heavy(code):
    modules, _ = imported(code)

    assert not modules & {*HEAVY, "pydantic"}
    assert not [name for name in modules if name.startswith(ROOMS)]


def test_help_of_a_command_imports_nothing_heavy():
    modules, shown = imported(command("build", "--help"))

    assert "--splits-from" in shown
    assert not modules & set(HEAVY)


@pytest.mark.parametrize(
    ("words", "wanted", "allowed"),
    [
        ("medimeta prev", "preview", ()),
        ("medimeta build --par", "--partial", ()),
        ("medimeta info skinl", "skinl_derm", ("yaml",)),
        ("medimeta episodes bus mal", "malignancy", ("yaml",)),
        ("medimeta list --domain Abd", "Abdominal\\ CT", ("yaml",)),
        ("medimeta episodes bus --split tr", "train", ()),
    ],
)
def test_completion_imports_nothing_heavy(words, wanted, allowed):
    count = str(len(words.split(" ")) - 1)
    modules, shown = imported(command(), **COMPLETING, COMP_WORDS=words, COMP_CWORD=count)

    assert wanted in shown
    assert not modules & (set(HEAVY) - set(allowed))
