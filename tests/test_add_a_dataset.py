"""docs/add-a-dataset.md as a reader follows it: files put where it says, commands run, output compared."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from fakes.pages import BLOCKS, ROOT, run_console

PAGE = "docs/add-a-dataset.md"
# A paragraph that begins with the name of a file, and the next block of YAML or Python after it.
FILE = re.compile(r"^`([\w/]+\.(?:yaml|py))`(?:(?!^`[\w/]+\.).)*?^```(?:yaml|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PARTS = (
    "builders",
    "cards",
    "examples",
    "tasks",
    "tests",
    "upload",
    "cli.py",
    "medimeta.py",
    "py.typed",
    "pyproject.toml",
)


@pytest.fixture
def text():
    return (ROOT / PAGE).read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path):
    """The package and its tests, away from the checkout, which must not change."""
    home = tmp_path / "copy"
    home.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, home / name)
    return home


def run_python(block, package, folder):
    """Run a block in a process of its own, where `medimeta` is the copy."""
    (folder / "block.txt").write_text(block, encoding="utf-8")
    options = ("-o", "ELLIPSIS", "-o", "NORMALIZE_WHITESPACE")
    done = subprocess.run(
        [sys.executable, "-m", "doctest", *options, str(folder / "block.txt")],
        env=os.environ | {"PYTHONPATH": str(package), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_adds_a_dataset(text, copy, tmp_path, monkeypatch):
    monkeypatch.chdir(copy)
    files = FILE.findall(text)
    assert [path for path, _ in files] == [
        "cards/nailfold.yaml",
        "builders/nailfold.py",
        "builders/miniatures/nailfold.py",
    ]
    for path, content in files:
        assert not (copy / path).exists()
        (copy / path).write_text(content, encoding="utf-8")
    blocks = BLOCKS.findall(text)
    assert [kind for kind, _ in blocks] == ["console", "python", "console", "python", "console"]
    for kind, block in blocks:
        if kind == "python":
            run_python(block, copy, tmp_path)
        else:
            run_console(block, PAGE, copy)


def test_files_of_the_page_are_written_as_the_others_are(text, copy):
    for path, content in FILE.findall(text):
        if path.endswith(".py"):
            (copy / path).write_text(content, encoding="utf-8")
            for check in (("check",), ("format", "--check")):
                command = [sys.executable, "-m", "ruff", *check, "--no-cache", str(copy / path)]
                done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
                assert done.returncode == 0, done.stdout
