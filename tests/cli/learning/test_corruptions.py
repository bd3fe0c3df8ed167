"""`medimeta corruptions`, and corrupted results in `evaluate` and `table`."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.cli import app as cli
from medimeta.errors import UnknownName
from medimeta.learn.data.corruptions.registry import corruptions
from medimeta.learn.evaluation.results import Result


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("bus"), per_class=20)


def run(capsys, *arguments):
    cli.app([str(argument) for argument in arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_lists_names_and_parameters(capsys):
    shown = run(capsys, "corruptions", "bus")
    assert [line.split("\t")[0] for line in shown.splitlines()][-7:] == list(corruptions("bus"))
    assert json.loads(run(capsys, "corruptions", "derm", "--json"))["impulse_noise"][4] == 0.17


def test_draws_every_corruption_at_every_severity(bus, tmp_path, capsys):
    path = tmp_path / "page.png"
    run(capsys, "corruptions", "bus", "--data-dir", bus, "--partial", "--show", path)
    with Image.open(path) as page:
        assert page.size[0] > 6 * 224
        assert page.size[1] > 224 * len(corruptions("bus"))


def test_corrupted_results_are_not_mixed_with_clean_ones(bus, tmp_path, capsys):
    rows, task = (
        medimeta.load_dataset("bus", split="test", data_dir=bus, partial=True),
        medimeta.DATASETS["bus"].tasks[0],
    )
    ids = np.array(rows[task.column][:])
    rng = np.random.default_rng(0)
    for method, weight in (("good", 2), ("base", 1)):
        for severity in range(6):
            scores = rng.random((len(ids), 3)) + weight * (1 - severity / 8) * np.eye(3)[ids]
            table = pd.DataFrame(scores / scores.sum(axis=1, keepdims=True), columns=task.labels)
            table.assign(index=rows["index"][:]).to_csv(tmp_path / "scores.csv", index=False)
            out = tmp_path / method / str(severity) / "result.json"
            given = ["--corruption", "pixelate", "--severity", severity] if severity else []
            where = ["--data-dir", bus, "--partial", "--resamples", 0, "--method", method, "--out", out]
            run(capsys, "evaluate", tmp_path / "scores.csv", "bus", *where, *given)
    stored = Result.load(tmp_path / "good" / "3" / "result.json").settings
    assert (stored["corruption"], stored["severity"]) == ("pixelate", 3)
    assert "corruption" not in Result.load(tmp_path / "good" / "0" / "result.json").settings

    shown = run(capsys, "table", tmp_path)
    assert sum(line.startswith("| good") for line in shown.splitlines()) == 1
    assert "10 results of corrupted images" in shown
    shown = run(capsys, "table", tmp_path, "--baseline", "base")
    assert "mCE" in shown
    assert "| base | pixelate" not in shown
    assert shown.count("| pixelate |") == 2


def test_a_corruption_that_does_not_suit_the_dataset_is_refused(bus, tmp_path):
    with pytest.raises(UnknownName):
        cli.app(["evaluate", "x.csv", "bus", "--data-dir", str(bus), "--corruption", "bubble"], standalone_mode=False)
