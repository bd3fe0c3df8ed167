"""docs/add-a-dataset.md as a reader follows it: commands run, output compared, files as `new-dataset` writes them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest

from fakes.pages import BLOCKS, ROOT, run_console

PAGE = "docs/add-a-dataset.md"
# A paragraph that begins with the name of a file, and the next block of YAML or Python after it.
FILE = re.compile(r"^`([\w/]+\.(?:yaml|py))`(?:(?!^`[\w/]+\.).)*?^```(?:yaml|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def text():
    return (ROOT / PAGE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package as `medimeta new-dataset nailfold` writes it."""
    folder = tmp_path_factory.mktemp("page")
    command = [sys.executable, "-m", "medimeta", "new-dataset", "nailfold"]
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")}, check=True)
    return folder / "medimeta-nailfold"


def install(project, site):
    """Install a project into its own folder; nothing is downloaded."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(project)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def run_python(block, path, folder):
    """Run a block in its own process."""
    (folder / "block.txt").write_text(block, encoding="utf-8")
    options = ("-o", "ELLIPSIS", "-o", "NORMALIZE_WHITESPACE")
    done = subprocess.run(
        [sys.executable, "-m", "doctest", *options, str(folder / "block.txt")],
        env=os.environ | {"PYTHONPATH": path, "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.e2e
def test_the_page_adds_a_dataset(text, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    site = tmp_path / "site"
    path = os.pathsep.join(map(str, (ROOT / ".editable", site)))
    blocks = BLOCKS.findall(text)
    assert [kind for kind, _ in blocks] == ["console", "console", "python", "console", "python"]
    for kind, block in blocks:
        if kind == "python":
            run_python(block, path, tmp_path)
            continue
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            if part.startswith("pip install -e "):  # into its own folder, not into this environment
                install(home / shlex.split(part.partition("\n")[0])[-1], site)
            else:
                run_console(f"$ {part}", PAGE, path)


def test_the_page_shows_the_files_as_they_are_written(text, package):
    shown = FILE.findall(text)
    assert [path for path, _ in shown] == [
        "medimeta_nailfold/nailfold.yaml",
        "medimeta_nailfold/nailfold.py",
        "medimeta_nailfold/nailfold_phantom.py",
    ]
    for path, content in shown:
        assert (package / path).read_text(encoding="utf-8") == content


def test_the_files_are_written_as_those_of_medimeta_are(package):
    for check in (("check",), ("format", "--check")):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
        done = subprocess.run([*command, "."], cwd=package, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
