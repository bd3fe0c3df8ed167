"""mteb runs our tasks on a built folder, offline, and reads our benchmark file and results."""

from __future__ import annotations

import json

import pytest

from fakes.publishing import build_folder
from medimeta.cards.benchmark import task_id
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import MedIMetaError
from medimeta.files.yaml_values import read_yaml

pytestmark = pytest.mark.clients
mteb = pytest.importorskip("mteb", reason="mteb is not installed")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return build_folder(tmp_path_factory.mktemp("hub"), {"bus": 40, "cxr": 12})


def evaluated(tasks):
    model = mteb.get_model("mteb/baseline-random-encoder")
    results = mteb.evaluate(model, tasks, cache=None, encode_kwargs={"batch_size": 16})
    return {result.task_name: result for result in results.task_results}


def test_every_task_has_a_class():
    from medimeta.learn.benchmark.mteb_tasks import mteb_tasks

    names = {task.metadata.name for task in mteb_tasks("hub")}

    assert names == {task_id(task) for card in DATASETS.values() for task in card.tasks}
    assert len(mteb_tasks("hub", zero_shot=True)) == sum(
        task.kind != "multilabel" for card in DATASETS.values() for task in card.tasks
    )


def test_mteb_classifies_with_one_label_and_with_several(hub):
    from medimeta.learn.benchmark.mteb_tasks import mteb_tasks

    results = evaluated(mteb_tasks(hub, ["bus.case_category", "cxr.disease_labels"]))

    assert 0 < results["bus.case_category"].get_score() < 0.8  # vectors are random: 1/3 by chance
    assert 0 <= results["cxr.disease_labels"].get_score() <= 1


def test_mteb_classifies_by_sentences(hub):
    from medimeta.learn.benchmark.mteb_tasks import mteb_tasks

    (result,) = evaluated(mteb_tasks(hub, ["bus.malignancy"], zero_shot=True)).values()

    assert 0 <= result.get_score() <= 1
    with pytest.raises(MedIMetaError):
        mteb_tasks(hub, ["cxr.disease_labels"], zero_shot=True)


def test_mteb_accepts_the_benchmark_file(hub):
    model = pytest.importorskip("mteb._hf_integration.eval_model")

    content = read_yaml((hub / "eval.yaml").read_bytes())

    assert [task.id for task in model.HFEvalMeta.model_validate(content).tasks][:2] == [
        "bus.case_category",
        "bus.malignancy",
    ]


def test_mteb_reads_a_converted_result(tmp_path):
    from mteb.results import TaskResult

    from medimeta.learn.benchmark.mteb_tasks import from_mteb, to_mteb
    from medimeta.learn.evaluation.measures.intervals import Measured
    from medimeta.learn.evaluation.results import Result

    result = Result(
        dataset="bus", task="case category", kind="multiclass", split="test", protocol="linear probe", method="m",
        model="m", metrics={"auroc": Measured(0.75, 0.7, 0.8)}, interval="bootstrap", images=9,
        fingerprint={"label": "x"}, seed=3, settings={"lr": 0.1},
    )  # fmt: skip
    path = tmp_path / "result.json"
    path.write_text(json.dumps(to_mteb(result, "v1.0.0")), encoding="utf-8")

    read = TaskResult.from_disk(path)

    assert read.get_score() == pytest.approx(result.metrics["auroc"].value)
    assert from_mteb(json.loads(path.read_text(encoding="utf-8"))).as_dict() == result.as_dict()
    with pytest.raises(MedIMetaError):
        from_mteb({"task_name": "x", "scores": {"test": [{"main_score": 1.0}]}})
