"""The metric object: alone, through `evaluate.load`, in batches, and as Trainer calls it."""

from __future__ import annotations

from pathlib import Path

import datasets
import evaluate
import numpy as np
import pytest
import torch
from transformers import EvalPrediction

import medimeta
from fakes.episodes import FINDINGS, GRADE, KIND, SICK, TASKS
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.evaluation.measures.bootstrap import bootstrap
from medimeta.learn.evaluation.measures.intervals import share_interval
from medimeta.learn.evaluation.measures.metrics import Scored, evaluate_scores

SCRIPT = Path(__file__).parents[3] / "learn" / "evaluation" / "evaluate_metric"


@pytest.fixture(autouse=True)
def own_metric_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path / "metrics"))


def predictions(task, rows=40):
    rng, count = np.random.default_rng(0), len(task.labels)
    logits = rng.normal(size=(rows, count))
    if task.kind == "multilabel":
        labels = rng.integers(0, 2, (rows, count)).astype(np.float32)
        labels[3] = np.nan
        return logits, 1 / (1 + np.exp(-logits)), labels
    powers = np.exp(logits)
    return logits, powers / powers.sum(axis=1, keepdims=True), rng.integers(0, count, rows)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_all_at_once_in_batches_and_from_logits_are_the_same(task):
    logits, scores, labels = predictions(task)
    wanted = evaluate_scores(task, scores, labels)
    metric = medimeta.metric(task)

    found = metric.compute(predictions=scores, references=labels)
    assert found.pop("absent_labels") == []
    assert found == pytest.approx(wanted)
    for start in range(0, 40, 16):
        part = slice(start, start + 16)
        metric.add_batch(predictions=torch.tensor(scores[part]), references=torch.tensor(labels[part]))
    found = metric.compute()
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    found = metric.compute(predictions=logits, references=labels, logits=True)
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_trainer_gives_it_logits(task):
    logits, scores, labels = predictions(task)
    metric = medimeta.metric(task)

    wanted = pytest.approx(evaluate_scores(task, scores, labels))
    assert metric(EvalPrediction(predictions=logits, label_ids=labels)) == wanted
    assert metric(EvalPrediction(predictions=(logits, np.zeros(3)), label_ids=labels)) == wanted


def test_a_binary_task_takes_one_probability():
    _, scores, labels = predictions(SICK)

    found = medimeta.metric(SICK).compute(predictions=scores[:, 1], references=labels)

    assert found["auroc"] == evaluate_scores(SICK, scores, labels)["auroc"]


def test_subjects_give_intervals():
    _, scores, labels = predictions(KIND)
    subjects = [f"s{row // 2}" for row in range(40)]

    found = medimeta.metric(KIND).compute(
        predictions=scores, references=labels, subjects=subjects, resamples=30, seed=2
    )

    resampled = bootstrap(Scored(KIND, scores, labels), subjects, resamples=30, seed=2)
    wanted = share_interval(found["auroc"], resampled.overall["auroc"], units=20)
    assert (found["auroc_low"], found["auroc_high"]) == (wanted.low, wanted.high)
    alone = medimeta.metric(KIND).compute(predictions=scores, references=labels)
    assert not [name for name in alone if name.endswith("_low")]


def test_labels_that_are_absent_are_named():
    scores = np.full((2, 3), 0.5)

    found = medimeta.metric(FINDINGS).compute(predictions=scores, references=[[1, 0, 0], [0, 0, 1]])

    assert found["absent_labels"] == ["y"]
    assert found["absent"] == 1


class Accuracy(evaluate.Metric):
    """The metric "accuracy" of the Hub, which cannot be loaded without it."""

    def _info(self):
        form = datasets.Features(predictions=datasets.Value("int32"), references=datasets.Value("int32"))
        return evaluate.MetricInfo(description="", citation="", features=form)

    def _compute(self, predictions, references):
        return {"accuracy": float(np.mean(np.array(predictions) == np.array(references)))}


@pytest.mark.parametrize("task", [KIND, GRADE, SICK], ids=lambda task: task.kind)
def test_it_can_be_combined_with_accuracy_on_label_ids(task):
    _, scores, labels = predictions(task)
    ids = scores.argmax(axis=1)
    metric = medimeta.metric(task)

    found = evaluate.combine([metric, Accuracy()]).compute(predictions=ids.tolist(), references=labels.tolist())

    wanted = np.mean(ids == labels)
    assert [value for name, value in found.items() if name.endswith("ccuracy") and "balanced" not in name] == [
        pytest.approx(wanted)
    ] * 2
    alone = metric.compute(predictions=ids, references=labels)
    assert alone["f1"] == pytest.approx(evaluate_scores(task, np.eye(len(task.labels))[ids], labels)["f1"])
    assert ("auroc" in alone) == (task is SICK)  # 0 and 1 are probabilities, too


def test_ids_out_of_range_are_named():
    with pytest.raises(MedIMetaError, match=r"Prediction 1 .* is 3; ids are 0 to 2"):
        medimeta.metric(KIND).compute(predictions=[0, 3], references=[0, 1])


def test_evaluate_loads_it_by_path(tmp_path):
    _, scores, _ = predictions(KIND)
    scores = np.concatenate([scores, np.zeros((40, 6))], axis=1)
    labels = np.arange(40) % 9

    loaded = evaluate.load(str(SCRIPT), "crc/tissue class", cache_dir=str(tmp_path))

    found = loaded.compute(predictions=scores, references=labels)
    wanted = evaluate_scores(medimeta.DATASETS["crc"].task("tissue class"), scores, labels)
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_a_dataset_alone_means_its_main_task():
    assert medimeta.metric("bus").task == medimeta.DATASETS["bus"].tasks[0]
    assert medimeta.metric("bus/MALIGNANCY").task.name == "malignancy"
    with pytest.raises(UnknownName, match="Did you mean 'crc'"):
        medimeta.metric("crcc/tissue class")
    with pytest.raises(UnknownName, match="Did you mean 'tissue class'"):
        medimeta.metric("crc/tissue clas")


def test_what_does_not_fit_is_refused():
    metric = medimeta.metric(KIND)

    with pytest.raises(MedIMetaError, match="No predictions of 'Kind'"):
        metric.compute(predictions=[], references=[])

    with pytest.raises(MedIMetaError, match="softmax"):
        metric.compute(predictions=np.full((2, 3), 3.0), references=[0, 1])
    with pytest.raises(MedIMetaError, match="ids from 0 to 2"):
        metric.compute(predictions=np.full((2, 3), 0.3), references=[0, 3])
