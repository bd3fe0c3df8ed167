"""The result schema: made of scores and of episodes, written, read, refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

import medimeta
from fakes.episodes import FINDINGS, KIND, SICK, random_toy, toy
from medimeta.errors import MedIMetaError
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.rows import fingerprint
from medimeta.learn.episodes.sampler import sample_episodes
from medimeta.learn.evaluation.measures.intervals import Measured
from medimeta.learn.evaluation.measures.metrics import evaluate_scores
from medimeta.learn.evaluation.results import Result, results

WHO = {"protocol": "supervised", "method": "linear", "model": "toy", "seed": 3}


def of_scores(**changes):
    rows = toy(SICK, [0, 1, 1, 0, None], ["a", "a", "b", None, "c"])
    return Result.of_scores(SICK, np.array([0.1, 0.9, 0.4, 0.6, 0.5]), rows, split="test", **WHO | changes)


def test_of_scores_identifies_task_data_and_settings():
    found = of_scores(settings={"lr": 1e-3}, extra={"history": [1]}, resamples=20)

    wanted = evaluate_scores(SICK, np.array([0.1, 0.9, 0.4, 0.6]), np.array([0, 1, 1, 0]))
    del wanted["absent"]
    assert {name: measured.value for name, measured in found.metrics.items()} == wanted
    assert found.metrics["accuracy"].low <= 0.5 <= found.metrics["accuracy"].high
    assert (found.dataset, found.task, found.kind, found.split) == ("toy", "Sick", "binary", "test")
    assert found.images == 4  # one label is unknown
    assert found.interval == (
        "95 %, bootstrap over 2 subjects and 1 images without a known subject, 20 resamples; so few that intervals may "
        "be too narrow"
    )
    assert found.fingerprint == fingerprint(toy(SICK, [0, 1, 1, 0, None], ["a", "a", "b", None, "c"]), SICK)
    assert found.versions["medimeta"] == medimeta.__version__
    assert found.extra == {"history": [1]}


def test_absent_labels_are_named():
    found = Result.of_scores(KIND, np.full((2, 3), 1 / 3), toy(KIND, [0, 1]), split="test", **WHO, resamples=0)

    assert found.extra == {"absent": ["c"]}
    assert found.interval == "none"
    assert found.metrics["accuracy"] == Measured(0.5)


def test_multilabel_rows_without_known_labels_are_left_out():
    rows = toy(FINDINGS, [[0], [], None, [1, 2]])

    found = Result.of_scores(FINDINGS, np.full((4, 3), 0.5), rows, split="test", **WHO, resamples=2)

    assert found.images == 3
    assert "over 3 images, 2 resamples" in found.interval


def test_nothing_known_is_an_error():
    with pytest.raises(MedIMetaError, match="No row of toy, split test, has a known label of 'Sick'"):
        Result.of_scores(SICK, np.array([0.5]), toy(SICK, [None]), split="test", **WHO)


@pytest.fixture(scope="module")
def episodes():
    return sample_episodes(random_toy(KIND, 0), KIND, Recipe(2, 3), n=4, seed=1, split="test")


def test_of_episodes_sums_up_and_names_the_set(episodes):
    found = Result.of_episodes(episodes, {"auroc": [0.5, 0.7, np.nan, 0.9], "mae": [1, 1, 1, 1]}, **WHO)

    assert found.metrics["auroc"].value == pytest.approx(0.7)
    assert found.metrics["mae"] == Measured(1, 1, 1)
    assert found.episodes == episodes.sha256
    assert found.fingerprint == episodes.about["fingerprint"]
    assert found.images == 400
    assert found.extra == {"undefined": {"auroc": 1}}
    assert "4 episodes" in found.interval
    with pytest.raises(MedIMetaError, match="3 values of auroc for 4 episodes"):
        Result.of_episodes(episodes, {"auroc": [1, 1, 1]}, **WHO)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    found = of_scores(resamples=5, settings={"lr": 1e-3, "layers": [1, 2]}, extra={"note": "é"})

    found.save(tmp_path / "result.json")

    assert Result.load(tmp_path / "result.json") == found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "result.predictions.parquet"]
    metrics = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["metrics"]
    assert set(metrics["auroc"]) == {"value", "low", "high"}


def test_what_is_not_a_number_is_null(tmp_path):
    rows = toy(SICK, [1, 1])
    loss = {"loss": np.float32("nan"), "steps": np.int64(3), "where": tmp_path, "curve": np.array([1.0, np.inf])}
    found = Result.of_scores(SICK, np.array([0.5, 0.7]), rows, split="test", **WHO, extra=loss)

    found.save(tmp_path / "result.json")

    written = json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    assert written["metrics"]["auroc"] == {"value": None, "low": None, "high": None}
    assert written["extra"] == {
        "absent": ["yes"],
        "loss": None,
        "steps": 3,
        "where": str(tmp_path),
        "curve": [1.0, None],
    }


def test_what_json_cannot_hold_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(MedIMetaError, match="cannot be written as JSON"):
        of_scores(extra={"model": object()}, resamples=0).save(tmp_path / "result.json")
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_that_says_target_is_read(tmp_path):
    now = of_scores(resamples=5)
    new = ("classes", "confusion", "per_episode")
    facts = {name: value for name, value in now.as_dict().items() if name not in new}
    facts["target"] = facts.pop("kind")
    (tmp_path / "r.json").write_text(json.dumps(facts | {"schema": 1}))

    old = Result.load(tmp_path / "r.json")

    assert old == replace(now, classes={}, confusion=None)
    old.save(tmp_path / "again.json")
    written = json.loads((tmp_path / "again.json").read_text())
    assert (written["kind"], written["schema"]) == ("binary", 3)
    assert "target" not in written


def test_classes_have_their_own_numbers():
    rows = toy(KIND, [0, 0, 1, 1])
    scores = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])

    found = Result.of_scores(KIND, scores, rows, split="test", **WHO, resamples=20)

    assert list(found.classes) == ["a", "b", "c"]
    one = {name: measured.value for name, measured in found.classes["a"].items()}
    assert one == {"auroc": 1, "average_precision": 1, "recall": 0.5, "precision": 1, "support": 2}
    nothing = {name: measured.value for name, measured in found.classes["c"].items()}
    assert nothing == {"auroc": None, "average_precision": None, "recall": None, "precision": None, "support": 0}
    assert found.classes["a"]["recall"].low is not None
    assert found.confusion == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]


def test_labels_of_multilabel_tasks_have_no_confusion():
    found = Result.of_scores(FINDINGS, np.full((2, 3), 0.6), toy(FINDINGS, [[0], []]), split="test", **WHO, resamples=0)

    assert found.confusion is None
    assert found.classes["x"]["precision"].value == 0.5


def test_predictions_of_rows_without_a_label_are_stored_too(tmp_path):
    of_scores(resamples=0).save(tmp_path / "result.json")

    assert pq.read_table(tmp_path / "result.predictions.parquet").to_pydict() == {
        "index": [0, 1, 2, 3, 4],
        "subject_id": ["a", "a", "b", None, "c"],
        "label": [0, 1, 1, 0, None],
        "no": pytest.approx([0.9, 0.1, 0.6, 0.4, 0.5]),
        "yes": [0.1, 0.9, 0.4, 0.6, 0.5],
    }


def test_episodes_without_all_classes_count_those_that_are_there():
    rows = random_toy(KIND, 0)
    drawn = sample_episodes(rows, KIND, Recipe(2, 3, ways=2), n=3, seed=1, split="test")
    scores = [np.full((len(episode.query), 2), 0.5) for episode in drawn]

    found = Result.of_episode_scores(drawn, scores, rows, **WHO)

    assert set(found.classes) == {KIND.labels[label] for episode in drawn for label in episode.classes}
    assert found.metrics["auroc"] == Measured(0.5, 0.5, 0.5)
    assert found.per_episode["auroc"] == [0.5] * 3
    with pytest.raises(MedIMetaError, match="Predictions for 2 of 3 episodes"):
        Result.of_episode_scores(drawn, scores[:2], rows, **WHO)


@pytest.mark.parametrize("metric", [{"value": 0.5, "low": 0.4, "high": None}, {"value": 0.5, "high": 0.9}])
def test_half_an_interval_is_refused_by_name(metric, tmp_path):
    facts = of_scores(resamples=0).as_dict()
    facts["metrics"]["auroc"] = metric
    (tmp_path / "r.json").write_text(json.dumps(facts))

    with pytest.raises(MedIMetaError, match=r"metrics\.auroc.*two ends"):
        Result.load(tmp_path / "r.json")


@pytest.mark.parametrize("digits", [400, 5000])
def test_very_large_numbers_are_read_or_refused(digits, tmp_path):
    facts = of_scores(resamples=0).as_dict()
    facts["metrics"]["auroc"]["value"] = "NUMBER"
    (tmp_path / "r.json").write_text(json.dumps(facts).replace('"NUMBER"', "9" * digits))

    try:
        assert Result.load(tmp_path / "r.json").metrics["auroc"].value is None
    except MedIMetaError as error:
        assert "r.json" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda facts: facts.pop("dataset"), "dataset: Field required"),
        (lambda facts: facts.update(colour="red"), "colour: Unexpected keyword"),
        (lambda facts: facts["metrics"].update(auroc={"value": "high"}), r"metrics\.auroc\.value"),
        (lambda facts: facts.update(schema=4), "schema: Input should be 1, 2 or 3"),
        (lambda facts: facts.update(kind="regression"), "kind: Input should be 'binary'"),
    ],
)
def test_a_file_of_another_form_is_refused_by_key(damage, message, tmp_path):
    facts = of_scores(resamples=0).as_dict()
    damage(facts)
    (tmp_path / "r.json").write_text(json.dumps(facts))

    with pytest.raises(MedIMetaError, match=message) as error:
        Result.load(tmp_path / "r.json")
    assert "r.json: not a result of schema 3" in str(error.value)


def test_no_json_and_no_file_are_refused(tmp_path):
    (tmp_path / "r.json").write_text("{")

    with pytest.raises(MedIMetaError, match="Invalid JSON"):
        Result.load(tmp_path / "r.json")
    with pytest.raises(MedIMetaError, match="cannot be read"):
        Result.load(tmp_path / "none.json")


def test_many_are_read_from_files_and_folders(tmp_path):
    found = of_scores(resamples=0)
    for place in ("b", "a/deep"):
        (tmp_path / "runs" / place).mkdir(parents=True)
        found.save(tmp_path / "runs" / place / "result.json")
    found.save(tmp_path / "own name.json")

    read = results([tmp_path / "own name.json", tmp_path / "runs", tmp_path / "own name.json"])

    assert [str(path.relative_to(tmp_path)) for path, _ in read] == [
        "own name.json",
        "runs/a/deep/result.json",
        "runs/b/result.json",
    ]
    assert all(result == found for _, result in read)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MedIMetaError, match=r"empty has no result\.json"):
        results([tmp_path / "empty"])
