"""`medimeta train` on miniatures: it learns, reproduces, and writes what it says."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import HfApi, ModelCard

from fakes.commands import run
from fakes.hub import Hub
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import MedIMetaError
from medimeta.learn.encoders import models
from medimeta.learn.encoders.libraries.transformers_models import save_processor
from medimeta.learn.evaluation.measures.metrics import evaluate_scores
from medimeta.learn.evaluation.results import Result
from medimeta.learn.experiments import options, train
from medimeta.learn.training import arguments, checkpoints, launch, loop, model_card

ENGINES = pytest.mark.parametrize("engine", ["accelerate", "trainer"])


def numbers(result):
    """What runs that do the same have in common."""
    kept = {key: result.extra[key] for key in ("history", "epoch", "validation")}
    return kept | {"metrics": result.as_dict()["metrics"]}


@pytest.mark.parametrize(
    ("task", "problem", "epochs"),
    [
        ("bus", "single_label_classification", 4),
        ("bus/malignancy", "single_label_classification", 4),
        pytest.param("dr_regular", "single_label_classification", 8, marks=pytest.mark.slow),
        pytest.param("cxr/disease labels", "multi_label_classification", 8, marks=pytest.mark.slow),
    ],
)
@pytest.mark.e2e
def test_every_kind_of_task_is_learned_and_all_files_are_written(task, problem, epochs, tiny, tmp_path):
    options = [*tiny, "--tasks", task, "--epochs", str(epochs), "--no-augmentation", "--output-dir", str(tmp_path)]
    (result,) = run("train", *options)

    assert result.metrics["auroc"].value > 0.9
    assert result.metrics["auroc"].low <= result.metrics["auroc"].value <= result.metrics["auroc"].high
    (file,) = tmp_path.rglob("result.json")
    assert Result.load(file).as_dict() == result.as_dict()
    names = {"model", "model-by-loss", "curve.png"}
    names |= {f"{name}.{kind}" for name in ("result", "result-by-loss") for kind in ("json", "predictions.parquet")}
    assert {path.name for path in file.parent.iterdir()} == names
    config = transformers.AutoConfig.from_pretrained(file.parent / "model")
    assert config.problem_type == problem
    assert list(config.id2label.values()) == list(DATASETS[result.dataset].task(result.task).labels)
    (index,) = ModelCard.load(file.parent / "model" / "README.md").data.to_dict()["model-index"]
    values = {m["type"]: m["value"] for found in index["results"] for m in found["metrics"]}
    assert values["roc_auc"] == result.metrics["auroc"].value


def test_the_saved_model_gives_its_reported_scores_in_a_pipeline(tiny, tmp_path):
    (result,) = run("train", *tiny, "--tasks", "bus", "--epochs", "2", "--output-dir", str(tmp_path))
    task = DATASETS["bus"].task(result.task)
    rows = arguments.load_rows(options.parse("train", [*tiny, "--tasks", "bus"]), "bus", "test")
    classify = transformers.pipeline("image-classification", str(next(tmp_path.rglob("model"))))

    found = [{one["label"]: one["score"] for one in classify(image, top_k=None)} for image in rows["image"]]
    scores = np.array([[one[label] for label in task.labels] for one in found])
    metrics = evaluate_scores(task, scores, np.array(rows[task.column]))
    for name in ("auroc", "accuracy", "calibration_error"):
        assert metrics[name] == pytest.approx(result.metrics[name].value, abs=1e-3)


def test_pushes_the_model_with_its_card(tiny, tmp_path, monkeypatch):
    with Hub(tmp_path / "server") as hub:
        client = functools.partial(HfApi, endpoint=hub.url, token=hub.token)
        monkeypatch.setattr(model_card, "HfApi", client)
        options = [*tiny, "--tasks", "bus", "--epochs", "1", "--output-dir", str(tmp_path / "runs")]
        with pytest.raises(MedIMetaError, match="must name one repository for each of 2 models"):
            run("train", *options, "--tasks", "bus", "pbc", "--push-to-hub", "ns/vit")
        run("train", *options, "--push-to-hub", "ns/vit-{dataset}")

        (folder,) = (tmp_path / "runs").rglob("model")
        assert set(hub.files("ns/vit-bus")) - {".gitattributes"} == {path.name for path in folder.iterdir()}
        assert hub.files("ns/vit-bus")["README.md"] == (folder / "README.md").read_bytes()
        card = ModelCard.load(folder / "README.md")
        assert (card.data.license, card.data.datasets) == ("cc-by-sa-4.0", ["medimeta"])
        assert 'from_pretrained("ns/vit-bus")' in card.text
        assert "* lr: 0.001" in card.text  # the rate that was used, though none was given

        monkeypatch.setattr(model_card, "HfApi", functools.partial(HfApi, endpoint=hub.url, token="wrong"))
        with pytest.raises(MedIMetaError, match="Log in with a token that may write"):
            run("train", *options, "--push-to-hub", "ns/vit-{dataset}")


def test_a_validation_split_of_one_class_is_refused(tiny, tmp_path, monkeypatch):
    load_rows = loop.load_rows

    def cut(args, dataset, split):
        rows = load_rows(args, dataset, split)
        return rows.select([0]) if split == "validation" else rows

    monkeypatch.setattr(loop, "load_rows", cut)
    with pytest.raises(loop.OneClass, match=r"1 validation image\(s\) of 'case category' \(bus\)"):
        run("train", *tiny, "--tasks", "bus", "--output-dir", str(tmp_path))


@pytest.mark.e2e
def test_trainer_and_loop_give_the_same(tiny, tmp_path):
    options = [*tiny, "--tasks", "bus", "--epochs", "2", "--gradient-accumulation", "2", "--class-weights"]
    (ours,), (trainer,) = (
        run("train", *options, "--engine", engine, "--output-dir", tmp_path / engine)
        for engine in ("accelerate", "trainer")
    )

    assert trainer.extra["epoch"] == ours.extra["epoch"]
    assert trainer.method != ours.method  # so that a table can show both
    for one, other in zip(trainer.extra["history"], ours.extra["history"], strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.slow
@ENGINES
def test_interrupted_after_any_epoch_and_resumed_is_the_same(engine, tiny, tmp_path, monkeypatch):
    options = [*tiny, "--engine", engine, "--tasks", "bus", "--epochs", "3", "--output-dir"]
    (whole,) = run("train", *options, tmp_path / "whole")
    predict = loop.predict

    for epoch in (1, 2):
        calls = []

        def interrupted(*args, epoch=epoch, calls=calls, **given):
            calls.append(1)
            if len(calls) > epoch:
                raise KeyboardInterrupt
            return predict(*args, **given)

        monkeypatch.setattr(loop, "predict", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("train", *options, tmp_path / str(epoch))
        monkeypatch.setattr(loop, "predict", predict)
        if epoch == 1:
            with pytest.raises(MedIMetaError, match=r"weight_decay was 0\.0, is 0\.1"):
                run("train", *options, tmp_path / "1", "--resume", "--weight-decay", "0.1")
        (resumed,) = run("train", *options, tmp_path / str(epoch), "--resume")
        assert numbers(resumed) == numbers(whole)

    monkeypatch.setattr(loop, "predict", None)  # what is finished is not trained again
    assert run("train", *options, tmp_path / "2", "--resume") == [resumed]


@pytest.mark.slow
def test_seeds_reproduce(tiny, tmp_path):
    options = [*tiny, "--tasks", "bus", "--epochs", "1", "--report-to", "tensorboard"]
    first, again, other = (
        run("train", *options, "--seed", seed, "--output-dir", str(tmp_path / str(i)))[0]
        for i, seed in enumerate("001")
    )
    assert numbers(first) == numbers(again)
    assert numbers(first) != numbers(other)
    assert list((tmp_path / "0").rglob("events.out.tfevents*"))


def test_a_task_that_fails_does_not_stop_the_others(tiny, tmp_path, monkeypatch):
    def fails(args, task, folder):
        if task.dataset == "bus":
            raise MedIMetaError("no luck")
        return "done"

    monkeypatch.setitem(train.ENGINES, "accelerate", fails)
    with pytest.raises(MedIMetaError, match=r"1 of 2 tasks failed:\n  bus/case category: no luck"):
        run("train", *tiny, "--tasks", "bus", "pbc", "--output-dir", str(tmp_path))


@pytest.mark.parametrize(
    ("command", "processes"),
    [
        (["accelerate", "launch", "--num_processes", "2", "--cpu", "x.py"], 2),
        (["accelerate", "launch", "--cpu", "--num-processes=4", "x.py"], 4),
        (["python", "x.py"], 1),
    ],
)
def test_the_number_of_processes_that_accelerate_forgets(command, processes):
    assert launch.asked_for(command) == processes


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize(("images", "batch_size"), [(42, 8), (97, 16), (12, 64), (64, 64)])
def test_batches_have_every_image_once(images, batch_size, processes, parts):
    shares = [
        loop.EqualBatches(images, batch_size, seed=0, parts=parts, processes=processes, rank=rank)
        for rank in range(processes)
    ]
    batches = [list(share) for share in shares]

    assert sorted(i for share in batches for batch in share for i in batch) == list(range(images))
    assert {len(share) for share in batches} == {len(share) for share in shares}
    assert all(batch for share in batches for batch in share)
    sizes = np.array([[len(batch) for batch in share] for share in batches])
    assert sizes.sum(axis=0).reshape(-1, parts).sum(axis=1).max() <= batch_size
    assert sizes.mean() == pytest.approx(shares[0].share)


def test_batches_follow_seed_and_epoch():
    batches = loop.EqualBatches(20, 5, seed=0)
    first = list(batches)

    assert list(batches) == first
    assert list(loop.EqualBatches(20, 5, seed=1)) != first
    batches.epoch = 1
    assert list(batches) != first


def test_too_few_images_for_the_processes_are_an_error():
    with pytest.raises(MedIMetaError, match="--batch-size"):
        loop.EqualBatches(10, 2, seed=0, processes=3)


def test_any_checkpoint_gets_a_new_head_and_its_own_preprocessing(tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], num_labels=7)
    transformers.ResNetForImageClassification(config).half().save_pretrained(tmp_path)
    task = DATASETS["bus"].tasks[0]

    with pytest.raises(MedIMetaError, match=r"preprocessor_config\.json"):
        models.load_model(str(tmp_path), task)

    processor = {**models.TINY_PROCESSOR, "image_mean": (0.1, 0.2, 0.3)}
    save_processor(processor, tmp_path)
    model = models.load_model(str(tmp_path), task)
    assert model.network.config.num_labels == 3
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert model.transform.mean == (0.1, 0.2, 0.3)


def test_unknown_labels_have_no_loss_and_weights_count():
    logits = torch.zeros((3, 2), requires_grad=True)
    labels = torch.tensor([[1.0, 0.0], [torch.nan, 1.0], [torch.nan, torch.nan]])

    losses = loop.image_losses(logits, labels, torch.tensor([3.0, 1.0]))
    losses.sum().backward()

    assert losses.tolist() == pytest.approx([np.log(2) * 2, np.log(2), 0])
    assert logits.grad[2].tolist() == [0, 0]
    weighted = loop.image_losses(logits, torch.tensor([0, 1, 1]), torch.tensor([3.0, 1.0]))
    assert weighted.tolist() == pytest.approx([3 * np.log(2), np.log(2), np.log(2)])


def test_diverged_training_says_so():
    with pytest.raises(MedIMetaError, match="--lr"):
        loop.measure(DATASETS["bus"].tasks[0], np.full((2, 3), np.nan), np.array([0, 1]))


def test_a_model_replaces_another_only_when_it_is_whole(tmp_path):
    class Whole:
        def save_pretrained(self, folder):
            (folder / "whole").touch()

    class Broken:
        def save_pretrained(self, folder):
            (folder / "half").touch()
            raise OSError("disk full")

    models.save_model(tmp_path / "model", Whole())
    with pytest.raises(OSError, match="disk full"):
        models.save_model(tmp_path / "model", Broken())

    assert [path.name for path in (tmp_path / "model").iterdir()] == ["whole"]


def test_patience_counts_epochs_without_a_strictly_better_auroc():
    aurocs = [0.8, 0.9, 0.9, 0.9]
    history = [{"validation_auroc": auroc} for auroc in aurocs]

    assert [checkpoints.out_of_patience(history[:n], 2) for n in range(5)] == [False, False, False, False, True]
    metrics = [{"auroc": 0.9, "cross_entropy": loss} for loss in (0.5, 0.4)]
    first, second = map(checkpoints.merit, metrics)
    assert second["auroc"] > first["auroc"]  # the second is a better model, but does not prolong the run
