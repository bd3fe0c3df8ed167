"""docs/first-lines.md, section "When something is missing": what needs another environment than that of the tests.

The other sections of the page are run by tests/test_readme.py.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fakes.pages import ROOT
from medimeta.upload.folder.miniatures import build_miniatures

PAGE = (ROOT / "docs" / "first-lines.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return build_miniatures(["bus"], tmp_path_factory.mktemp("hub"), version="0", per_class=6)


def answer(code, tmp_path, **environment):
    """The last line that Python prints on standard error, for a session without what `code` hides."""
    places = {"PYTHONPATH": str(ROOT / ".editable"), "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | places | environment, capture_output=True, text=True
    )
    assert done.returncode, done.stdout
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("torch", "medimeta.loader(medimeta.load_task('bus', data_dir=HUB))"),
        ("torch", "medimeta.encoder('a/b')"),
        ("torch", "medimeta.bench('a/b', data_dir=HUB)"),
        ("evaluate", "medimeta.metric('bus')"),
        ("matplotlib", "medimeta.show('bus', data_dir=HUB)"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(package, call, hub, tmp_path):
    code = f"import sys; sys.modules[{package!r}] = None; HUB = {str(hub)!r}; import medimeta; {call}"
    last = answer(code, tmp_path)

    assert "MissingExtra" in last
    assert package in last
    assert "pip install" in last


def test_without_a_network_the_answer_names_other_ways(tmp_path):
    last = answer("import medimeta; medimeta.load_dataset('bus')", tmp_path, HF_HUB_OFFLINE="1")

    assert "SourceNotFound" in last
    assert "data_dir" in last
    assert "HF_HUB_OFFLINE" in last


def test_what_datasets_says_without_our_import_is_on_the_page(tmp_path):
    last = answer("import datasets; datasets.load_dataset('medimeta', 'bus')", tmp_path, HF_HUB_OFFLINE="1")

    said = (
        "Couldn't find any data file",
        "Couldn't find cache",
        "Couldn't reach 'medimeta'",
        "doesn't exist on the Hub",
    )
    assert any(text in last for text in said)
    assert all(text in PAGE for text in said)


def test_a_wrong_command_suggests_the_right_one(tmp_path):
    last = answer("import sys; from medimeta.cli.app import main; main(['lst'])", tmp_path)

    assert "'list'" in last
