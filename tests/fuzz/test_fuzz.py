"""What the fuzzer found once does not come back, and 2,000 new cases find nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def start(script, *options):
    """Run a script in its own process, which forks before it has threads."""
    command = [sys.executable, str(HERE / script), *map(str, options)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1] / ".editable"), "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_cases_that_failed_once_end_well(tmp_path):
    done = start("run.py", "--cases", HERE / "cases.yaml", "--out", tmp_path / "failures.yaml")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mutated_files_are_read_or_refused(tmp_path):
    done = start("run.py", "--count", 2000, "--seed", 0, "--out", tmp_path / "failures.yaml")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_driver_sees_what_it_looks_for(tmp_path):
    done = start("faults.py", tmp_path)

    ends = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert ends == {
        "equal": "equal",
        "other": "valid",
        "refused": "refused",
        "raises": "failure",
        "hangs": "failure",
        "dies": "failure",
        "grows": "failure",
        "writes outside": "failure",
        "silently other": "failure",
        "equal again": "equal",
    }, done.stderr
