"""Commands that need the Hub, where a variable forbids the network: one sentence that names the variable."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from medimeta.upload.folder.miniatures import build_miniatures

COMMANDS = {
    "push": ("push", "hub", "ns/medimeta", "--dry-run"),
    "download": ("download", "bus"),
    "verify": ("verify", "ns/medimeta"),
    "audit": ("audit", "ns/medimeta"),
    "build": ("build", "bus", "--source", "ns/medimeta", "--out", "new"),
    "bench by repository": ("bench", "ns/model", "--tasks", "bus", "--data-dir", "hub", "--out", "results"),
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("offline")
    build_miniatures(["bus"], home, version="0")
    return home


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_variable_is_named_and_nothing_is_tried(command, variable, home):
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_OFFLINE")}
    environment |= {variable: "1", "HF_HOME": str(home / "hf"), "HF_TOKEN": "hf_none", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "medimeta.cli", *COMMANDS[command]],
        cwd=home,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr

    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert "Retrying" not in said
    assert (variable if "bench" not in command else "ns/model") in said
