"""Questions for vision-language models: balanced, reproducible, checked, and published with their dataset."""

from __future__ import annotations

import base64
import shutil
from collections import Counter

import numpy as np
import pytest
import yaml
from datasets import load_dataset

from fakes.hub import Hub
from fakes.parquet import set_values
from fakes.publishing import REPO, build_folder, publish, without_waiting
from medimeta.cards.benchmark import task_id
from medimeta.cards.catalogue import DATASETS
from medimeta.cli import app as cli
from medimeta.upload.push.plan import owner
from medimeta.upload.questions.asking import questions_of
from medimeta.upload.verify.findings import clean
from medimeta.upload.verify.folder import verify_folder

ROWS = 1_000


def labelled(card, seed=0):
    """Random labels, with the first ones much more frequent, as in the datasets."""
    random = np.random.RandomState(seed)
    rows = {"index": list(range(ROWS))}
    for task in card.tasks:
        weights = 0.5 ** np.arange(len(task.labels))
        if task.kind == "multilabel":
            present = random.rand(ROWS, len(task.labels)) < weights / 2
            rows[task.column] = [np.flatnonzero(row).tolist() for row in present]
        else:
            rows[task.column] = random.choice(len(task.labels), ROWS, p=weights / weights.sum()).tolist()
        rows[task.column][7] = None
    return rows


@pytest.mark.parametrize("dataset", list(DATASETS))
def test_questions_of_every_task_are_right_and_balanced(dataset):
    card = DATASETS[dataset]
    rows = labelled(card)
    questions = questions_of(card, rows, 0)

    assert len({question.id for question in questions}) == len(questions) == (ROWS - 1) * len(card.tasks)
    for task in card.tasks:
        own = [question for question in questions if question.task == task_id(task)]
        places = Counter(question.place for question in own)
        assert max(places.values()) - min(places.values()) <= 1
        assert len(places) == len(own[0].choices)
        for question in own:
            assert len(set(question.choices)) == len(question.choices) >= 2
        answers = {(question.choices[question.place], rows[task.column][question.row].__repr__()) for question in own}
        if task.kind != "multilabel":  # one phrase per label, always the same
            assert len(answers) == len({rows[task.column][question.row] for question in own})


def test_yes_and_no_do_not_follow_from_the_label_that_is_asked_for():
    card = DATASETS["cxr"]
    questions = [q for q in questions_of(card, labelled(card), 0) if q.choices[0] in ("yes", "no")]
    by_label = {}
    for question in questions:
        by_label.setdefault(question.question, Counter())[question.choices[question.place]] += 1

    total = sum(by_label.values(), Counter())
    assert abs(total["yes"] - total["no"]) <= 2
    for counts in by_label.values():
        assert abs(counts["yes"] - counts["no"]) <= max(3, 0.15 * counts.total())


def test_the_seed_alone_decides_the_choices():
    card = DATASETS["pbc"]
    rows = labelled(card)

    assert questions_of(card, rows, 3) == questions_of(card, rows, 3)
    one, other = questions_of(card, rows, 3), questions_of(card, rows, 4)
    assert sum(a.choices != b.choices for a, b in zip(one, other, strict=True)) > 0.9 * len(one)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = build_folder(tmp_path_factory.mktemp("questions"), {"bus": 12, "cxr": 3})
    with pytest.raises(SystemExit, match="0"):
        cli.main(["questions", str(folder), "--seed", "5"])
    return folder


@pytest.fixture
def copy(hub, tmp_path):
    return shutil.copytree(hub, tmp_path / "hub")


def test_datasets_loads_them_with_the_images_of_the_rows(hub):
    asked = load_dataset(str(hub), "bus_mcq_seed5", split="test")
    rows = {row["index"]: row for row in load_dataset(str(hub), "bus", split="test")}

    assert len(asked) == 2 * len(rows)
    for row in asked:
        image = rows[row["index"]]
        assert np.array_equal(np.asarray(row["image"]), np.asarray(image["image"]))
        assert row["choices"]["ABCD".index(row["answer"])] == row["answer_text"]
        kind, _, data = row["image_uri"].partition(";base64,")
        assert kind == "data:image/png"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    blind = load_dataset(str(hub), "bus_mcq_blind_seed5", split="test")
    assert blind.column_names == [name for name in asked.column_names if not name.startswith("image")]
    assert blind["choices"][:] == asked["choices"][:]


def test_the_card_lists_them_and_stays_when_a_dataset_is_built_again(hub, copy):
    assert "`bus_mcq_seed5`" in (hub / "README.md").read_text(encoding="utf-8")

    build_folder(copy.parent, {"bus": 12})  # the same rows: nothing to do for the questions

    assert clean(verify_folder(copy))


@pytest.mark.parametrize(("column", "value"), [("answer", "D"), ("question", "?"), ("index", 99_999)])
def test_verify_finds_questions_that_the_dataset_does_not_give(copy, column, value):
    assert clean(verify_folder(copy))
    set_values(copy / "bus_mcq_seed5" / "test-00000-of-00001.parquet", 1, **{column: value})

    assert [finding.dataset for finding in verify_folder(copy) if finding.severity == "error"] == ["bus_mcq_seed5"]


def test_verify_survives_damaged_questions(copy):
    (copy / "bus_mcq_seed5" / "test-00000-of-00001.parquet").write_bytes(b"PAR1 nothing PAR1")

    assert not clean(verify_folder(copy))


def test_a_push_publishes_and_removes_them_with_their_dataset(copy, tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    with Hub(tmp_path / "server") as server:
        publish(server, copy)
        assert any(path.startswith("bus_mcq_seed5/") for path in server.files(REPO))
        publish(server, copy, only=("cxr",))  # the entries of bus stay
        front = yaml.safe_load(server.files(REPO)["README.md"].decode().split("---\n")[1])
        names = [entry["config_name"] for entry in front["configs"]]
        assert len(names) == len(set(names)) == 6

        for name in ("bus_mcq_seed5", "bus_mcq_blind_seed5"):
            shutil.rmtree(copy / name)
        publish(server, copy, only=("bus",))
        front = yaml.safe_load(server.files(REPO)["README.md"].decode().split("---\n")[1])

    assert not any(path.startswith("bus_mcq") for path in server.files(REPO))
    assert len(front["configs"]) == 4


def test_files_of_others_are_not_taken_for_questions():
    assert owner("bus_mcq_seed0/test-00000-of-00001.parquet") == "bus"
    for path in ("bus_mcq/test-00000-of-00001.parquet", "zzz_mcq_seed0/test-00000-of-00001.parquet", "bus_mcq_seed0/a"):
        assert owner(path) is None
