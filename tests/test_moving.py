"""docs/moving.md: what it shows of other packages is what they do, where they are installed.

`make .venv-peer/ready` installs them, or MEDIMETA_PEER names a Python that has them.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fakes.pages import ROOT
from fakes.release import write_release
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options, RawSource

PEER = Path(os.environ.get("MEDIMETA_PEER", ROOT / ".venv-peer" / "bin" / "python"))
SECTIONS = re.split(r"^## From ", (ROOT / "docs" / "moving.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
RUN = """
import doctest, sys
from pathlib import Path
flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
test = doctest.DocTestParser().get_doctest(Path("page.txt").read_text(encoding="utf-8"), {}, "page", "page", 0)
sys.exit(len(test.examples) == 0 or doctest.DocTestRunner(optionflags=flags).run(test).failed)
"""


def need(package):
    if not PEER.exists():
        pytest.skip(f"{PEER} is not there: make .venv-peer/ready")
    found = subprocess.run([PEER, "-I", "-c", f"import {package}"], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"{PEER} has no {package}")


def run_on_peer(section, folder):
    """Run a section's blocks of another package in its own environment, in a folder with the data."""
    blocks = re.findall(r"^```pycon\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (folder / "page.txt").write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run([PEER, "-I", "-c", RUN], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_both_sides():
    assert [section.partition("\n")[0] for section in SECTIONS] == ["`medimeta` 0.0.6", "MedMNIST"]
    for section in SECTIONS:
        assert section.count("```pycon\n") == section.count("```python\n") >= 2


def test_the_published_loader_does_what_is_shown(tmp_path):
    need("medimeta")
    # The same images as those of the demo, which the other side of the page loads: labels agree.
    raw = write_miniature("bus", tmp_path / "raw", per_class=60)
    write_release(RawSource("bus", raw, Options(partial=True)), tmp_path / "MedIMeta")

    run_on_peer(SECTIONS[0], tmp_path)


def test_medmnist_does_what_is_shown(tmp_path):
    need("medmnist")
    (tmp_path / "medmnist").mkdir()
    counts = {"train": 546, "val": 78, "test": 156}  # MedMNIST insists
    images = {f"{split}_images": np.zeros((count, 224, 224), np.uint8) for split, count in counts.items()}
    labels = {f"{split}_labels": np.arange(count)[:, None] % 2 for split, count in counts.items()}
    np.savez_compressed(tmp_path / "medmnist" / "breastmnist_224.npz", **images, **labels)

    run_on_peer(SECTIONS[1], tmp_path)
