"""Numbers per class: the table, several runs, and results that have none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakes.episodes import FINDINGS, KIND, toy
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.comparing.class_tables import class_tables
from medimeta.learn.evaluation.comparing.pictures import write_confusion, write_confusions
from medimeta.learn.evaluation.results import Result

LABELS = [0] * 20 + [1] * 20 + [2] * 4


def result(method="m", seed=0, task=KIND):
    """The class "c" is never predicted, although its scores rank well."""
    rng = np.random.default_rng(seed)
    scores = np.eye(3)[LABELS] * [0.6, 0.6, 0.1] + rng.random((44, 3)) * [0.3, 0.3, 0.02]
    scores /= scores.sum(axis=1, keepdims=True)
    rows = toy(task, LABELS if task is KIND else [[label] for label in LABELS])
    given = {"split": "test", "protocol": "p", "method": method, "model": "", "seed": seed, "resamples": 0}
    return Path(f"{method}-{seed}.json"), Result.of_scores(task, scores, rows, **given)


def test_a_class_that_is_never_predicted_shows_despite_a_high_auroc():
    (found,) = class_tables([result(), result("other")])

    lines = found.markdown().splitlines()
    assert lines[0] == "### p, test: classes of toy / Kind"
    assert lines[2] == "| class | rows | method | auroc | average precision | recall | precision |"
    of_class = [line for line in lines if line.startswith("| c | 4 | m |")]
    assert len(of_class) == 1
    cells = of_class[0].split(" | ")
    assert float(cells[3]) > 0.9
    assert float(cells[5]) < 0.6
    assert len(lines) == 4 + 3 * 2
    assert len(found.frame()) == 3 * 2 * 5


def test_several_runs_are_averaged():
    (found,) = class_tables([result(), result(seed=1), result(seed=2)])

    label, method, runs, numbers = found.rows[0]
    assert (label, method, runs) == ("a", "m", 3)
    assert numbers["recall"].low <= numbers["recall"].value <= numbers["recall"].high
    assert "m (3 runs)" in found.markdown()


def test_results_without_classes_are_left_out():
    path, old = result()

    assert class_tables([(path, replace(old, classes={}))]) == []


def test_confusion_matrices_are_drawn(tmp_path):
    write_confusions([result(), result("other|x", 1), result(task=FINDINGS)], tmp_path)

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["toy-Kind-p-m-seed-0.png", "toy-Kind-p-other-x-seed-1.png"]
    with Image.open(tmp_path / names[0]) as picture:
        assert picture.size[0] > 300
    with pytest.raises(MedIMetaError, match="no confusion matrix"):
        write_confusion(result(task=FINDINGS)[1], tmp_path / "x.png")
    with pytest.raises(MedIMetaError, match="None of these"):
        write_confusions([result(task=FINDINGS)], tmp_path)
