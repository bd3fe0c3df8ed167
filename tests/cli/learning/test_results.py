"""`medimeta evaluate`, `table`, `cache` and `cite`, from predictions to a table."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.cli import app as cli
from medimeta.learn.evaluation.results import Result


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("bus"), per_class=20)


def rows_of(bus):
    return medimeta.load_dataset("bus", split="test", data_dir=bus, partial=True)


def test_from_predictions_to_a_table(bus, tmp_path, capsys):
    rows, task = rows_of(bus), medimeta.DATASETS["bus"].task("case category")
    ids, numbers = np.array(rows["case_category"][:]), rows["index"][:]
    rng = np.random.default_rng(0)
    for name, weight in (("good", 5), ("bad", 0.1)):
        scores = rng.random((len(ids), 3)) + weight * np.eye(3)[ids]
        table = pd.DataFrame(scores / scores.sum(axis=1, keepdims=True), columns=task.labels).assign(index=numbers)
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        where = ["bus", "--data-dir", str(bus), "--partial"]
        out = str(tmp_path / name / "result.json")
        given = [str(tmp_path / f"{name}.csv"), *where, "--out", out, "--resamples", "50"]
        cli.app(["evaluate", *given], standalone_mode=False)
    shown = capsys.readouterr().out

    assert "auroc\t1.0000\t1.0000\t1.0000" in shown
    assert "bootstrap over" in shown
    found = Result.load(tmp_path / "good" / "result.json")
    assert (found.method, found.protocol, found.split, found.images) == ("good", "full supervision", "test", len(ids))
    assert found.fingerprint == Result.load(tmp_path / "bad" / "result.json").fingerprint

    cli.app(["table", str(tmp_path)], standalone_mode=False)
    assert "| good | **1.000** [1.000, 1.000]; without copies 1.000 |" in capsys.readouterr().out
    files = {option: tmp_path / f"table.{option}" for option in ("markdown", "csv", "plot")}
    cli.app(["table", str(tmp_path), *(f"--{o}={path}" for o, path in files.items())], standalone_mode=False)
    assert capsys.readouterr().out == ""
    assert files["markdown"].read_text().startswith("### full supervision, test: auroc")
    assert pd.read_csv(files["csv"])["method"].tolist() == ["bad", "good"]
    assert files["plot"].read_bytes().startswith(b"\x89PNG")


def predicted(folder, name, weight, dataset, task, data_dir):
    """Evaluate drawn predictions, which are right more often the larger the weight."""
    rows = medimeta.load_dataset(dataset, split="test", data_dir=data_dir, partial=True)
    ids = np.array(rows[task.column][:])
    scores = np.random.default_rng(0).random((len(ids), len(task.labels))) + weight * np.eye(len(task.labels))[ids]
    table = pd.DataFrame(scores / scores.sum(axis=1, keepdims=True), columns=task.labels)
    table.assign(index=rows["index"][:]).to_csv(folder / f"{name}.csv", index=False)
    return [str(folder / f"{name}.csv"), dataset, "--data-dir", str(data_dir), "--partial", "--resamples", "50"]


@pytest.mark.slow
def test_groups_classes_and_comparisons_from_stored_predictions(tmp_path, capsys):
    derm = write_miniature("skinl_derm", tmp_path / "raw", per_class=8)
    task = medimeta.DATASETS["skinl_derm"].tasks[0]
    for name, weight in (("good", 2), ("bad", 0.1)):
        out = str(tmp_path / name / "result.json")
        given = predicted(tmp_path, name, weight, "skinl_derm", task, derm)
        by = ["--by", "sex", "--by", "seven_point_score:3", "--cross", "--metric", "accuracy"]
        cli.app(["evaluate", *given, "--out", out, *by], standalone_mode=False)
    shown = capsys.readouterr().out

    assert "accuracy by sex x seven_point_score" in shown
    assert "3 and above" in shown
    assert "Gap: " in shown
    stored = json.loads((tmp_path / "good" / "result.json").read_text())
    assert [one["by"] for one in stored["extra"]["subgroups"]][:2] == ["sex", "seven_point_score"]
    again = [str(tmp_path / "good" / "result.predictions.parquet"), *given[1:]]
    cli.app(["evaluate", *again, "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["metrics"] == stored["metrics"]

    cli.app(["table", str(tmp_path), "--per-class"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "| class | rows | method | auroc | average precision | recall | precision |" in shown
    assert shown.count("| good |") == len(stored["classes"])
    cli.app(["table", str(tmp_path), "--compare"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "two or more unrelated datasets" in shown  # so that there are no ranks, only the difference on the task
    assert "| good - bad | **0." in shown
    cli.app(["table", str(tmp_path), "--confusion", str(tmp_path / "pictures")], standalone_mode=False)
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
    cli.app(["table", str(tmp_path), "--reliability", str(tmp_path / "diagrams")], standalone_mode=False)
    assert len(list((tmp_path / "diagrams").glob("*.png"))) == 2
    with pytest.raises(SystemExit):
        cli.main(["table", str(tmp_path), "--ranks", str(tmp_path / "ranks.png")])
    assert "A diagram shows one comparison" in capsys.readouterr().err


def test_a_mistake_in_the_predictions_is_one_line(bus, tmp_path, capsys):
    (tmp_path / "p.csv").write_text("normal,benign\n1,0\n")

    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", str(tmp_path / "p.csv"), "bus", "--data-dir", str(bus), "--partial"])

    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert "malignant" in error
    assert "Traceback" not in error


def test_cite_prints_bibtex(capsys):
    cli.app(["cite", "bus", "crc"], standalone_mode=False)
    assert capsys.readouterr().out == f"{medimeta.cite('bus', 'crc')}\n"
    cli.app(["cite", "bus", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["bibtex"] == list(medimeta.cite("bus").bibtex)
