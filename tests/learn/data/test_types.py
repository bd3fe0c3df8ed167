"""Type checkers of users infer which kind of dataset `load_task` returns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed")

ROOT = Path(__file__).parents[3]
# `datasets` has no types that mypy follows, so that everything would be Any; these are enough for the views.
DATASETS = """
from typing import Any
class Dataset: ...
class IterableDataset: ...
def __getattr__(name: str) -> Any: ...
"""
USER = """
from typing import assert_type
import medimeta
from datasets import Dataset, IterableDataset

def use(wanted: bool) -> None:
    assert_type(medimeta.load_task("bus"), Dataset)
    assert_type(medimeta.load_task("bus", "malignancy", split="train+val", data_dir="here", streaming=False), Dataset)
    assert_type(medimeta.load_task("bus", streaming=True, exclude_leaks="ledger.parquet"), IterableDataset)
    assert_type(medimeta.load_task("bus", ["malignancy"], streaming=wanted, partial=True), Dataset | IterableDataset)
    medimeta.load_task("bus", streaming=True).wrong
    medimeta.load_task("bus", streaming="yes")
"""


@pytest.mark.slow
def test_load_task_says_which_kind_of_dataset_it_gives(tmp_path):
    package = tmp_path / "medimeta"
    package.mkdir()
    (package / "__init__.py").symlink_to(ROOT / "medimeta.py")
    for room in ("builders", "cards", "cli", "files", "learn", "upload"):
        (package / room).symlink_to(ROOT / room)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.pyi").write_text(DATASETS)
    (tmp_path / "user.py").write_text(USER)
    # Without other packages, which take mypy most of its time.
    options = ["--no-site-packages", "--ignore-missing-imports", "--follow-imports=silent", "--cache-dir", os.devnull]

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", os.devnull, *options, "user.py"],
        cwd=tmp_path, env=os.environ | {"MYPYPATH": str(tmp_path), "PYTHONPATH": ""}, capture_output=True, text=True,
    )  # fmt: skip

    found = [line.partition(": error: ")[2] for line in done.stdout.splitlines()[:-1] if " error: " in line]
    assert len(found) == 2, done.stdout + done.stderr
    assert found[0].startswith('"IterableDataset" has no attribute "wrong"')
    assert found[1].startswith('No overload variant of "load_task" matches')
