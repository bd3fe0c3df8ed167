"""The benchmarks run, and the page says what they printed: tables, ratios with their targets, plots."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from fakes.pages import ROOT

sys.path.append(str(ROOT / "benchmarks"))
from ratios import Ratio, draw, peer, ratios, summary, tables

BATCHES = """torch 2, 2 core(s)

bus, images/s

| side | loop | 0 workers | best | x stand-in | x bare gather |
|---|--:|--:|--:|--:|--:|
| stand-in | - | 5,000 | 5,000 | 1.00 | 0.05 |
| bare gather, uint8 | 100,000 | - | 100,000 | 20.00 | 1.00 |
| store, uint8 | 90,000 | 80,000 | 90,000 | 18.00 | 0.90 |
| decoded each time, float32 | 3,500 | 3,000 | 3,500 | 0.70 | 0.04 |
"""
PUSH = """| step | side | commits | requests | bytes sent | seconds |
|---|---|--:|--:|--:|--:|
| first push | medimeta push | 1 | 10 | 1,000 | 2.0 |
| first push | push_to_hub | 19 | 250 | 2,000 | 1.0 |
| nothing changed | medimeta push | 0 | 3 | 0 | 1.0 |
| nothing changed | push_to_hub | 0 | 240 | 600 | 3.0 |
"""


def test_ratios_are_those_printed_with_their_targets():
    found = ratios("batches", BATCHES)

    assert found == [
        Ratio("bus: store, uint8", 18, 15),
        Ratio("bus: store, uint8, to a bare gather", 0.9, 0.8),
        Ratio("bus: decoded each time, float32", 0.7, 0.8),
    ]
    assert peer("batches", BATCHES) == "a stand-in for the published loader"
    lines = summary({"batches": found}).splitlines()
    assert lines[2] == "| batches | bus: store, uint8 | 18x | 15x | met |"
    assert lines[4] == "| batches | bus: decoded each time, float32 | 0.70x | 0.80x | **missed** |"


def test_what_one_side_does_without_has_no_ratio():
    assert [(ratio.case, ratio.value) for ratio in ratios("push", PUSH)] == [
        ("first push: commits", 19),
        ("first push: requests", 25),
        ("first push: bytes sent", 2),
        ("first push: seconds", 0.5),
        ("nothing changed: requests", 80),
        ("nothing changed: seconds", 3),
    ]
    assert ratios("faults", PUSH) == []


def test_the_same_ratios_give_the_same_picture(tmp_path):
    for name, value in (("a", 2.0), ("b", 2.0), ("c", 3.0)):
        draw([Ratio("first", value, 1.5), Ratio("second", 0.5)], "a peer", tmp_path / name)
    pictures = [(tmp_path / name).read_bytes() for name in "abc"]

    assert pictures[0] == pictures[1] != pictures[2]
    assert len(pictures[0]) < 100_000


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of the three benchmarks that take least."""
    out = tmp_path_factory.mktemp("page")
    command = [
        sys.executable,
        "benchmarks/run.py",
        "--tiny",
        "--only",
        "build",
        "loading",
        "episodes",
        "--out",
        str(out),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT / ".editable")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / "README.md"


@pytest.mark.slow
def test_page_holds_tables_plots_and_versions_and_no_place(page):
    text = page.read_text(encoding="utf-8")

    assert next(tables(text)).title.startswith("A limit")
    assert re.search(r"core\(s\), \d+ GiB; Python 3.*datasets \d.*torch \d", text)
    for name, rows in (("build", 12), ("loading", 6), ("episodes", 3)):
        shown = text.partition(f"({name}.py)")[2].partition("\n## ")[0]
        assert [len(table.rows) for table in tables(shown)] == [rows]
        assert len(ratios(name, shown)) >= 3
        assert f"]({name}.png)" in shown
        assert re.search(r" s\. [A-Z].{100}", shown, flags=re.DOTALL)  # what is measured
        with Image.open(page.with_name(f"{name}.png")) as picture:
            assert picture.width == 1080
    assert str(page.parent) not in text
    assert str(ROOT) not in text
