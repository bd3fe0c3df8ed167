"""The training scripts on miniatures: they learn, reproduce, and write what they say, in one process or two."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from datasets import ClassLabel, Dataset, Features, Image, Sequence, Value

from medimeta.builders.miniatures import write_miniature
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.errors import MedIMetaError
from medimeta.examples import demo, finetune_vit, train_with_trainer
from medimeta.tasks import launch, models, training
from medimeta.tasks.views import load_task

ROOT = Path(__file__).parents[2]
SCRIPTS = pytest.mark.parametrize("script", [finetune_vit, train_with_trainer])
MEASURED = {"settings", "images_per_second", "processes"}  # what may differ between runs that do the same


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny models gain nothing from threads, which on a busy machine wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    """Arguments for a short training on the breast ultrasound miniature: 42 images, and 6 and 12 to evaluate on."""
    folder = tmp_path_factory.mktemp("bus")
    source = write_miniature("bus", folder / "source", per_class=20)
    places = ["--dataset", "bus", "--data-dir", str(source), "--partial", "--cache-dir", str(folder / "cache")]
    return [*places, "--tiny", "--batch-size", "8", "--lr", "1e-3"]


def without_measured(result):
    return {key: value for key, value in result.items() if key not in MEASURED}


def scores(folder, view):
    """What a saved model gives for images, by its own preprocessing, as a user of the folder gets it."""
    classify = transformers.pipeline("image-classification", model=str(folder), device="cpu")
    names = classify.model.config.id2label
    answers = [{a["label"]: a["score"] for a in classify(image, top_k=None)} for image in view["image"]]
    return np.array([[answer[names[i]] for i in range(len(names))] for answer in answers])


@SCRIPTS
def test_learns_and_writes_what_it_says(script, bus, tmp_path):
    result = script.main([*bus, "--epochs", "6", "--class-weights", "--output-dir", str(tmp_path)])

    assert result["test"]["auroc"] > 0.8
    assert result["history"][-1]["train_loss"] < result["history"][0]["train_loss"]
    assert [entry["epoch"] for entry in result["history"]] == list(range(1, result["epochs"] + 1))
    assert result["images"] == {"train": 42, "validation": 6, "test": 12}
    assert result["images_per_second"] > 0
    assert json.loads((tmp_path / "result.json").read_text()) == result
    assert {path.name for path in tmp_path.iterdir()} == {"model", "result.json", "curve.png"}
    model = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "model")
    assert model.config.id2label == {0: "normal", 1: "benign", 2: "malignant"}
    assert model.config.label2id == {"normal": 0, "benign": 1, "malignant": 2}


@SCRIPTS
def test_the_best_epoch_is_kept_and_training_stops_after_it(script, bus, tmp_path, monkeypatch):
    # By this merit the first epoch is the best, and waiting is in vain.
    monkeypatch.setattr(training, "merit", lambda metrics: metrics["cross_entropy"])

    result = script.main([*bus, "--epochs", "6", "--patience", "2", "--output-dir", str(tmp_path)])

    assert (result["best_epoch"], result["epochs"]) == (1, 3)
    assert result["validation"]["cross_entropy"] == result["history"][0]["validation_loss"]
    data = {"data_dir": bus[3], "partial": True, "cache_dir": bus[6]}
    for split in ("validation", "test"):
        view = load_task("bus", split=split, **data)
        chosen = np.log(scores(tmp_path / "model", view))
        found = training.measure(DATASETS["bus"].tasks[0], chosen, np.array(view["label"]))
        assert found == pytest.approx(result[split], abs=1e-4)


@SCRIPTS
def test_seeds_reproduce(script, bus, tmp_path):
    runs = [
        script.main([*bus, "--epochs", "2", "--seed", seed, "--output-dir", str(tmp_path / str(i))])
        for i, seed in enumerate(("0", "0", "1"))
    ]

    first, again, other = map(without_measured, runs)
    assert first == again
    assert first["history"] != other["history"]
    weights = [(tmp_path / str(i) / "model" / "model.safetensors").read_bytes() for i in range(3)]
    assert weights[0] == weights[1] != weights[2]


def test_parts_of_a_batch_change_nothing(bus, tmp_path):
    whole = finetune_vit.main([*bus, "--epochs", "2", "--output-dir", str(tmp_path / "1")])
    parts = finetune_vit.main(
        [*bus, "--epochs", "2", "--gradient-accumulation", "3", "--output-dir", str(tmp_path / "3")]
    )

    for one, other in zip(whole["history"], parts["history"], strict=True):
        assert other == pytest.approx(one, rel=1e-3)


RECORDER = """
import json, os, sys
from medimeta.examples import finetune_vit
from medimeta.tasks import launch, training

launch.start_all_processes()  # as main does in a script

class Recorded:
    def __init__(self, view):
        self.view, self.seen = view, []
    def __len__(self):
        return len(self.view)
    def __getitems__(self, rows):
        self.seen.append(rows)
        return self.view.__getitems__(rows)

load_views = training.load_views
def recorded_views(args):
    task, views = load_views(args)
    global recorded
    recorded = views["train"] = Recorded(views["train"])
    return task, views
training.load_views = recorded_views

finetune_vit.main(sys.argv[2:])
with open(os.path.join(sys.argv[1], "seen-" + os.environ["RANK"]), "w") as file:
    json.dump(recorded.seen, file)
"""


def test_two_processes_do_what_one_does(bus, tmp_path):
    (tmp_path / "recorder.py").write_text(RECORDER)
    arguments = [*bus, "--epochs", "3"]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"]
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [*command, "recorder.py", str(tmp_path), *arguments, "--output-dir", "two"],
        cwd=tmp_path,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    one = finetune_vit.main([*arguments, "--output-dir", str(tmp_path / "one")])

    two = json.loads((tmp_path / "two" / "result.json").read_text())
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["test"] == pytest.approx(one["test"], abs=1e-4)
    for alone, together in zip(one["history"], two["history"], strict=True):
        assert together == pytest.approx(alone, abs=1e-4)
    seen = [json.loads((tmp_path / f"seen-{rank}").read_text()) for rank in (0, 1)]
    steps = len(seen[0]) // 3
    for epoch in range(3):
        batches = [batch for part in seen for batch in part[epoch * steps : (epoch + 1) * steps]]
        assert sorted(row for batch in batches for row in batch) == list(range(42))


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
        training.EqualBatches(images, batch_size, seed=0, parts=parts, processes=processes, rank=rank)
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
    batches = training.EqualBatches(20, 5, seed=0)
    first = list(batches)

    assert list(batches) == first
    assert list(training.EqualBatches(20, 5, seed=1)) != first
    batches.epoch = 1
    assert list(batches) != first


def test_too_few_images_for_the_processes_are_an_error():
    with pytest.raises(MedIMetaError, match="--batch-size"):
        training.EqualBatches(10, 2, seed=0, processes=3)


def toy_view(dataset, task, *, split, **_):
    """Plain pictures as bright as their first label is high, for any task of the catalogue."""
    task = DATASETS[dataset].task(task)
    labels = len(task.labels)
    ids = np.arange({"train": 14, "validation": 10, "test": 11}[split]) % labels
    images = [np.full((224, 224), 255 * i // labels, np.uint8) for i in ids]
    label, feature = ids, ClassLabel(names=list(task.labels))
    if task.target == "multilabel":
        label, feature = np.eye(labels, dtype=np.float32)[ids], Sequence(Value("float32"), length=labels)
        label[0] = np.nan
    features = Features({"image": Image(), "label": feature, "subject_id": Value("string")})
    return Dataset.from_dict({"image": images, "label": label, "subject_id": [None] * len(ids)}, features=features)


@SCRIPTS
@pytest.mark.parametrize(
    ("dataset", "task", "problem", "metrics"),
    [
        ("bus", "malignancy", "single_label_classification", set()),
        ("dr_regular", "artifact", "single_label_classification", {"kappa", "mae"}),
        ("cxr", "disease labels", "multi_label_classification", set()),
    ],
)
def test_heads_of_every_kind(script, dataset, task, problem, metrics, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "load_task", toy_view)
    arguments = [
        "--dataset",
        dataset,
        "--task",
        task,
        "--tiny",
        "--epochs",
        "1",
        "--batch-size",
        "8",
        "--class-weights",
    ]

    result = script.main([*arguments, "--output-dir", str(tmp_path)])

    common = {"auroc", "average_precision", "absent", "accuracy", "balanced_accuracy", "f1", "calibration_error"}
    assert set(result["test"]) == common | {"cross_entropy"} | metrics
    assert np.isfinite(result["history"][0]["train_loss"])
    config = transformers.AutoConfig.from_pretrained(tmp_path / "model")
    assert config.problem_type == problem
    assert list(config.id2label.values()) == list(DATASETS[dataset].task(task).labels)


def test_any_checkpoint_gets_a_new_head_and_its_own_preprocessing(tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], num_labels=7)
    transformers.ResNetForImageClassification(config).half().save_pretrained(tmp_path)
    args = argparse.Namespace(tiny=False, model=str(tmp_path))
    task = DATASETS["bus"].tasks[0]

    model, preprocessing = models.load_model(args, task)
    assert model.config.num_labels == 3
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert preprocessing == models.Preprocessing(224, models.IMAGENET_MEAN, models.IMAGENET_STD)

    models.Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)).save_pretrained(tmp_path)
    assert models.load_model(args, task)[1].mean == (0.1, 0.2, 0.3)


def test_preprocessing_repeats_grey_and_normalises():
    from PIL import Image as Pillow

    batch = models.Preprocessing(mean=(0.5, 0.5, 0.25), std=(0.5, 1.0, 1.0))(
        [{"image": Pillow.new("L", (224, 224), 255), "label": 1}, {"image": Pillow.new("RGB", (9, 9)), "label": 0}]
    )

    assert batch["pixel_values"].shape == (2, 3, 224, 224)
    assert batch["pixel_values"].is_contiguous()
    assert batch["pixel_values"][:, :, 5, 5].tolist() == [[1.0, 0.5, 0.75], [-1.0, -0.5, -0.25]]
    assert batch["labels"].tolist() == [1, 0]


def test_unknown_labels_have_no_loss_and_weights_count():
    logits = torch.zeros((3, 2), requires_grad=True)
    labels = torch.tensor([[1.0, 0.0], [torch.nan, 1.0], [torch.nan, torch.nan]])

    losses = training.image_losses(logits, labels, torch.tensor([3.0, 1.0]))
    losses.sum().backward()

    assert losses.tolist() == pytest.approx([np.log(2) * 2, np.log(2), 0])
    assert logits.grad[2].tolist() == [0, 0]
    weighted = training.image_losses(logits, torch.tensor([0, 1, 1]), torch.tensor([3.0, 1.0]))
    assert weighted.tolist() == pytest.approx([3 * np.log(2), np.log(2), np.log(2)])


def test_validation_of_one_class_is_refused_before_training(bus, tmp_path, monkeypatch):
    def one_class(dataset, task, *, split, **options):
        return toy_view(dataset, task, split=split).select([0])

    monkeypatch.setattr(training, "load_task", one_class)
    with pytest.raises(MedIMetaError, match=r"1 validation image\(s\).*all of one class"):
        finetune_vit.main([*bus, "--output-dir", str(tmp_path)])


def test_diverged_training_says_so():
    with pytest.raises(MedIMetaError, match="--lr"):
        training.measure(DATASETS["bus"].tasks[0], np.full((2, 3), np.nan), np.array([0, 1]))


def test_a_model_replaces_another_only_when_it_is_whole(tmp_path):
    class Broken:
        def save_pretrained(self, folder):
            (folder / "half").touch()
            raise OSError("disk full")

    models.save_model(tmp_path / "model", models.Preprocessing())
    with pytest.raises(OSError, match="disk full"):
        models.save_model(tmp_path / "model", Broken())

    assert [path.name for path in (tmp_path / "model").iterdir()] == ["preprocessor_config.json"]


def test_demo(tmp_path):
    result = demo.run(tmp_path, seed=1)

    assert result["test"]["auroc"] > 0.9
    for name in ("montage.png", "curve.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "hub" / "README.md").exists()
