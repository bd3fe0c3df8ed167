"""Predictions from files: every form that is read, and every mistake by row and value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fakes.episodes import FINDINGS, GRADE, KIND, SICK, TASKS, random_toy, toy
from medimeta.cards.facts import Task
from medimeta.errors import MedIMetaError
from medimeta.learn.episodes.recipe import Recipe, task_of
from medimeta.learn.episodes.rows import labels_and_subjects
from medimeta.learn.episodes.sampler import sample_episodes
from medimeta.learn.evaluation.measures.metrics import evaluate_scores
from medimeta.learn.evaluation.predictions import Predictions
from medimeta.learn.evaluation.results import Result

ABOUT = {"method": "m", "model": "", "seed": None}


def read(path, task, rows, **options):
    given = Predictions.read(path, task, logits=options.pop("logits", False))
    return given.result(rows, **{"split": "test", "resamples": 0, "about": ABOUT} | options)


def values(result):
    return {name: measured.value for name, measured in result.metrics.items()}


def logits_of(task, rows):
    return np.random.default_rng(0).normal(size=(rows, len(task.labels)))


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_probabilities_and_logits_in_any_order(task, suffix, tmp_path):
    rows = random_toy(task, 0, 40)
    logits = logits_of(task, 40)
    scores = 1 / (1 + np.exp(-logits)) if task.kind == "multilabel" else softmax(logits)
    wanted = evaluate_scores(task, scores, labels_and_subjects(rows, task)[0])
    del wanted["absent"]

    for numbers, options in ((scores, {}), (logits, {"logits": True})):
        table = pd.DataFrame(numbers, columns=task.labels)
        for given in (table, table.assign(index=range(40)).sample(frac=1, random_state=0).assign(other="x")):
            path = tmp_path / f"given{suffix}"
            given.to_csv(path, index=False) if suffix == ".csv" else given.to_parquet(path, index=False)
            assert values(read(path, task, rows, **options)) == pytest.approx(wanted)


def test_one_probability_and_labels_alone(tmp_path):
    rows, path = toy(SICK, [0, 1, 1, 0]), tmp_path / "p.csv"

    pd.DataFrame({"probability": [0.1, 0.9, 0.4, 0.6]}).to_csv(path)
    assert values(read(path, SICK, rows))["auroc"] == 0.75

    for said in (["no", "yes", "no", "yes"], [0, 1, 0, 1]):
        pd.DataFrame({"prediction": said}).to_csv(path)
        found = values(read(path, SICK, rows))
        assert found["accuracy"] == 0.5
        assert set(found) == {"accuracy", "balanced_accuracy", "f1"}


def test_labels_of_an_ordinal_task_are_measured_on_its_scores(tmp_path):
    pd.DataFrame({"prediction": ["much", "none"]}).to_csv(tmp_path / "p.csv")

    assert values(read(tmp_path / "p.csv", GRADE, toy(GRADE, [1, 0])))["mae"] == 3


GOOD = {"a": [1.0, 0, 0], "b": [0, 1.0, 0], "c": [0, 0, 1.0]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1], "b": [0]}, "needs a column per label of 'Kind', or one called prediction; missing: c"),
        (GOOD | {"b": [0, 3.5, 0]}, r"row 1, column 'b': 3\.5 is not a probability, 0 to 1\. If .* --logits"),
        (GOOD | {"b": [0, "high", 0]}, "row 1, column 'b': 'high' is not a probability"),
        (GOOD | {"c": [0, 0, None]}, "row 2, column 'c': an empty cell is not"),
        (GOOD | {"a": [0.9, 0.5, 0]}, r"row 0: the probabilities of 'Kind' sum to 0\.9, not 1"),
        (GOOD | {"index": [0, 1, 1]}, "row 2: index 1 is predicted twice"),
        (GOOD | {"index": [0, 1, 7]}, "row 2: index 7 is not an image of the split"),
        ({name: cells[:2] for name, cells in GOOD.items()}, "has 2 rows for 3 images"),
        ({name: cells[:2] for name, cells in GOOD.items()} | {"index": [2, 0]}, "no prediction for 1 images: index 1"),
        ({"prediction": ["a", "b", "d"]}, "row 2: prediction 'd' is neither an id, 0 to 2, nor one of: a, b, c"),
        ({"prediction": [0, 1, 3]}, "row 2: prediction 3 is neither"),
        (GOOD | {"episode": [0, 0, 0]}, "--episodes FILE"),
    ],
)
def test_mistakes_are_named(columns, message, tmp_path):
    pd.DataFrame(columns).to_csv(tmp_path / "given.csv", index=False)

    with pytest.raises(MedIMetaError, match=message) as error:
        read(tmp_path / "given.csv", KIND, toy(KIND, [0, 1, 2]))
    assert "given.csv" in str(error.value)


def test_a_file_that_is_not_a_table_is_refused(tmp_path):
    (tmp_path / "p.parquet").write_text("no")

    for name, why in (("p.parquet", "cannot be read"), ("absent.csv", "does not exist")):
        with pytest.raises(MedIMetaError, match=f"{name} {why}"):
            read(tmp_path / name, KIND, toy(KIND, [0]))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_episodes_are_measured_one_by_one(task, tmp_path):
    rows = random_toy(task, 0)
    episodes = sample_episodes(rows, task, Recipe(2, 3, ways=2), n=3, seed=1, split="test")
    episodes.save(tmp_path / "e.parquet")
    parts, wanted = [], []
    for episode in episodes:
        logits = np.random.default_rng(episode.number).normal(size=(len(episode.query), 2))
        scores = 1 / (1 + np.exp(-logits)) if task.kind == "multilabel" else softmax(logits)
        part = pd.DataFrame(scores, columns=[task.labels[label] for label in episode.classes])
        parts.append(part.reindex(columns=task.labels).assign(episode=episode.number, index=episode.query))
        asked = task_of(task, episode.classes)
        wanted.append(evaluate_scores(asked, scores, episode.query_labels)["auroc"])
    pd.concat(parts).sample(frac=1, random_state=0).to_csv(tmp_path / "p.csv", index=False)

    found = read(tmp_path / "p.csv", task, rows, episodes=tmp_path / "e.parquet")
    assert found.protocol == "few-shot, 2 shots"

    assert found.metrics["auroc"].value == pytest.approx(np.mean(wanted))
    assert found.episodes == episodes.sha256
    pd.concat(parts[:2]).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(MedIMetaError, match="no predictions for episode 2"):
        read(tmp_path / "p.csv", task, rows, episodes=tmp_path / "e.parquet")
    pd.concat([*parts, parts[0].assign(episode=9)]).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(MedIMetaError, match="not in the set: 9"):
        read(tmp_path / "p.csv", task, rows, episodes=tmp_path / "e.parquet")


def test_episodes_of_another_task_or_other_rows_are_refused(tmp_path):
    rows = random_toy(KIND, 0)
    sample_episodes(rows, KIND, Recipe(), n=1, split="test").save(tmp_path / "e.parquet")
    pd.DataFrame(GOOD | {"episode": 0, "index": [0, 1, 2]}).to_csv(tmp_path / "p.csv")

    with pytest.raises(MedIMetaError, match="not the rows that the episodes were drawn from"):
        read(tmp_path / "p.csv", KIND, random_toy(KIND, 1), episodes=tmp_path / "e.parquet")
    pd.DataFrame(GOOD).to_csv(tmp_path / "p.csv")
    with pytest.raises(MedIMetaError, match="columns episode and index"):
        read(tmp_path / "p.csv", KIND, rows, episodes=tmp_path / "e.parquet")


def test_rows_without_known_findings_are_left_out(tmp_path):
    pd.DataFrame([[0.9, 0.1, 0.1], [0.2, 0.8, 0.3], [0.5] * 3], columns=FINDINGS.labels).to_csv(tmp_path / "p.csv")

    assert read(tmp_path / "p.csv", FINDINGS, toy(FINDINGS, [[0], [1], None])).images == 2


@pytest.mark.parametrize("separator", [",", ", ", ";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_usual_separator_and_decimal_are_read(separator, decimal, end, tmp_path):
    if "," in (decimal, separator[0]) and decimal == separator[0]:
        decimal = "."
    lines = [["index", *KIND.labels], ["0", "0.5", "0.25", "0.25"], ["1", "0", "1", "0"], ["2", "1e-3", "0", "0.999"]]
    cells = [[cell.replace(".", decimal) for cell in line] for line in lines]
    (tmp_path / "p.csv").write_bytes(("\ufeff" + end.join(map(separator.join, cells)) + end).encode())

    assert values(read(tmp_path / "p.csv", KIND, toy(KIND, [0, 1, 2])))["accuracy"] == 1


@pytest.mark.parametrize("name", ["p.PARQUET", "p.pq", "p.xlsx", "p.XLSX", "p.CSV", "p.txt"])
def test_the_ending_says_the_format_in_any_case(name, tmp_path):
    table = pd.DataFrame({"index": [2, 0, 1], "a": [0.0, 0.8, 0.1], "b": [0, 0.1, 0.8], "c": [1, 0.1, 0.1]})
    write = {"p": table.to_parquet, "x": table.to_excel}.get(name.lower().partition(".")[2][0], table.to_csv)
    with (tmp_path / name).open("wb") as file:
        write(file, index=False)

    assert values(read(tmp_path / name, KIND, toy(KIND, [0, 1, 2])))["accuracy"] == 1


def test_labels_with_separators_in_their_names_are_columns(tmp_path):
    task = Task("Kind", "multiclass", ("a, or b", "c; d"), dataset="toy")
    pd.DataFrame([[1.0, 0], [0, 1.0]], columns=task.labels).to_csv(tmp_path / "p.csv", index=False)

    assert values(read(tmp_path / "p.csv", task, toy(task, [0, 1])))["accuracy"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,a,c\n1,0,0,0\n", "several columns called a"),
        ("a,b,c\n" + "9" * 400 + ",0,0\n", r"row 0, column 'a': '99999999999999999999'... \(400 characters\) is not"),
        ("a,b,c\n0.2;0,3;0.5\n", "column 'a': '0.2;0' is not"),
        ("a:b:c\n1:0:0\n", "missing: a, b, c. It has one column: separate cells by comma, semicolon, tab, bar"),
        ("", "cannot be read as a table"),
        ("a,b,c\n\xff\xfe,0,0", "column 'a'"),
    ],
)
def test_damaged_tables_are_named(text, message, tmp_path):
    (tmp_path / "p.csv").write_text(text)

    with pytest.raises(MedIMetaError, match=message) as error:
        read(tmp_path / "p.csv", KIND, toy(KIND, [0]))
    assert "p.csv" in str(error.value)


def test_columns_of_the_same_name_in_parquet_are_refused(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1.0])] * 4, names=["a", "b", "c", "a"]), tmp_path / "p.parquet")

    with pytest.raises(MedIMetaError, match="several columns called a"):
        read(tmp_path / "p.parquet", KIND, toy(KIND, [0]))


def test_a_label_may_be_called_na(tmp_path):
    task = Task("Kind", "multiclass", ("NA", "null"), dataset="toy")
    (tmp_path / "p.csv").write_text("prediction\nNA\nnull\n")

    assert values(read(tmp_path / "p.csv", task, toy(task, [0, 1])))["accuracy"] == 1


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_stored_predictions_give_the_same_result_again(task, tmp_path):
    rows = random_toy(task, 0, 60)
    logits = logits_of(task, 60)
    scores = 1 / (1 + np.exp(-logits)) if task.kind == "multilabel" else softmax(logits)
    first = Result.of_scores(task, scores, rows, split="test", protocol="p", method="m", model="", resamples=5)
    first.save(tmp_path / "result.json")

    again = read(
        tmp_path / "result.predictions.parquet",
        task,
        rows,
        split="test",
        resamples=5,
        protocol="p",
        about={"method": "m", "model": ""},
    )

    assert again == first
    stored = pq.read_table(tmp_path / "result.predictions.parquet")
    assert stored["index"].to_pylist() == list(range(60))
    assert stored["subject_id"].to_pylist() == rows["subject_id"][:]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_stored_predictions_of_episodes_give_the_same_result_again(task, tmp_path):
    rows = random_toy(task, 0)
    episodes = sample_episodes(rows, task, Recipe(2, 3, ways=2), n=4, seed=1, split="test")
    episodes.save(tmp_path / "e.parquet")
    scores = []
    for episode in episodes:
        logits = np.random.default_rng(episode.number).normal(size=(len(episode.query), 2))
        scores.append(1 / (1 + np.exp(-logits)) if task.kind == "multilabel" else softmax(logits))
    about = {"method": "m", "model": ""}
    first = Result.of_episode_scores(episodes, scores, rows, protocol="p", **about)
    first.save(tmp_path / "result.json")

    place = tmp_path / "result.predictions.parquet"
    again = read(
        place, task, rows, split="test", episodes=tmp_path / "e.parquet", resamples=0, protocol="p", about=about
    )

    assert again == first
    asked = [
        evaluate_scores(task_of(task, e.classes), s, e.query_labels) for e, s in zip(episodes, scores, strict=True)
    ]
    assert first.per_episode["auroc"] == pytest.approx([one["auroc"] for one in asked])
    assert sum(of_class["support"].value for of_class in first.classes.values()) >= 4 * 3
