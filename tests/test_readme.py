"""README.md and docs/ say what is true: examples are run and compared, tables derive, links lead somewhere."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

import medimeta
from medimeta.cards.table import datasets_table
from medimeta.upload.miniatures import build_miniatures

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
MAPS = [f"{room}/README.md" for room in ("builders", "cards", "tasks", "upload")]
BLOCKS = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIES = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE  # "..." stands for what varies


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What `make demo` leaves, without the training."""
    folder = tmp_path_factory.mktemp("readme")
    build_miniatures(["bus"], folder / "demo", version=medimeta.__version__, per_class=60, seed=0)
    return folder


def run_page(page, folder, monkeypatch):
    """Run all blocks of a page in order, in one working directory and one Python session; return their number."""
    monkeypatch.chdir(folder)
    blocks = BLOCKS.findall((ROOT / page).read_text(encoding="utf-8"))
    session = {}
    for kind, text in blocks:
        if kind == "python":
            runner = doctest.DocTestRunner(optionflags=VARIES)
            test = doctest.DocTestParser().get_doctest(text, session, page, page, 0)
            assert test.examples, f"{page}: a python block without >>> shows no output that could be compared:\n{text}"
            shown = []
            runner.run(test, out=shown.append, clear_globs=False)
            session = test.globs
            assert not runner.failures, "".join(shown)
        else:
            run_console(text, page)
    return len(blocks)


def run_console(text, page):
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, wanted = part.partition("\n")
        name, *arguments = shlex.split(line)
        assert name == "medimeta", f"{page}: only medimeta is run, found: {line}"
        done = subprocess.run(
            [sys.executable, "-m", "medimeta.cli", *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert doctest.OutputChecker().check_output(wanted, done.stdout, VARIES), f"{line}\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES)
def test_examples_give_what_is_shown(page, demo, monkeypatch):
    datasets.disable_progress_bars()
    try:
        ran = run_page(page, demo, monkeypatch)
    finally:
        datasets.enable_progress_bars()
    assert ran or page not in ("README.md", "docs/rows.md", "docs/protocols.md", "docs/moving.md")


def test_a_wrong_output_is_noticed(demo, tmp_path):
    with pytest.raises(AssertionError, match="medimeta --version"):
        run_console("$ medimeta --version\n9.9.9\n", "page")


def test_table_of_datasets_is_the_catalogue():
    assert datasets_table() in README, "copy the output of: python -m medimeta.cards.table"


@pytest.mark.parametrize("page", PAGES + MAPS)
def test_make_targets_and_linked_files_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", text, flags=re.MULTILINE):
        assert f"\n{target}:" in makefile
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", text):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def test_every_public_name_is_documented():
    documented = re.findall(r"^\| `medimeta\.(\w+)`", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(documented) == sorted(medimeta.__all__)
    for name in medimeta.__all__:
        assert name == "DATASETS" or getattr(medimeta, name).__doc__, name
