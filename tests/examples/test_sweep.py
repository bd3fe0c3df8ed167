"""A sweep on miniatures: every cell once, and one table of all."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from medimeta.cards.errors import MedIMetaError
from medimeta.examples import sweep


@pytest.fixture
def calls(monkeypatch):
    """Tasks and options of the cells that are run, in order."""
    found = []

    def counted(script):
        def run(argv):
            found.append(argv)
            return script(argv)

        return run

    for name, method in list(sweep.METHODS.items()):
        monkeypatch.setitem(sweep.METHODS, name, replace(method, script=counted(method.script)))
    return found


def test_runs_every_cell_once_and_tells_of_those_that_fail(tiny, tmp_path, calls, monkeypatch):
    arguments = [*tiny, "--tasks", "bus", "bus/malignancy", "--epochs", "1", "--output-dir", str(tmp_path)]
    works = sweep.METHODS["without augmentation"]

    def breaks(argv):
        if "bus/malignancy" in argv:
            raise MedIMetaError("no luck")
        return works.script(argv)

    monkeypatch.setitem(sweep.METHODS, "without augmentation", replace(works, script=breaks))
    with pytest.raises(MedIMetaError, match=r"1 cell\(s\) failed:\n  bus/malignancy, without augmentation: no luck"):
        sweep.main(arguments)
    assert len(calls) == 3

    monkeypatch.setitem(sweep.METHODS, "without augmentation", works)
    (comparison,) = sweep.main(arguments)  # only what failed is run
    assert len(calls) == 4
    assert comparison.methods == ["full supervision", "without augmentation"]
    assert len(comparison.cells) == 4
    table = pd.read_csv(tmp_path / "table.csv")
    assert sorted(table["task"].unique()) == ["bus / case category", "bus / malignancy"]
    assert "| without augmentation |" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")

    assert sweep.main(arguments) == [comparison]  # nothing is run
    assert len(calls) == 4
    sweep.main([*arguments, "--tasks", "bus", "--methods", "full supervision", "--seed", "1"])  # other settings
    assert len(calls) == 5
