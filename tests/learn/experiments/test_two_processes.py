"""All commands in two processes, started once: each gives what it gives in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from fakes.commands import run
from medimeta.builders.phantoms import write_miniature
from medimeta.learn.encoders.libraries.transformers_models import save_processor
from medimeta.learn.encoders.models import TINY_PROCESSOR
from medimeta.learn.evaluation.results import Result, results

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.e2e]
RECORDER = """
import json, os, sys
from medimeta.learn.data import pixel_dataset
from medimeta.learn.training import launch

launch.start_all_processes()  # as a command does
from fakes.commands import run

seen, batch = [], pixel_dataset.PixelDataset.batch

def recorded(self, rows, device=None):
    if self.augmentation is not None:
        seen.append([int(row) for row in rows])
    return batch(self, rows, device)

pixel_dataset.PixelDataset.batch = recorded
for name, options in json.loads(sys.argv[1]).items():
    run(name, *options, "--output-dir", name)
    with open(f"{name}-seen-{os.environ['RANK']}", "w") as file:
        json.dump(seen, file)
"""


@pytest.fixture(scope="module")
def options(tiny, tmp_path_factory):
    """The options of each command, without the output folder."""
    folder = tmp_path_factory.mktemp("data")
    home = write_miniature("bus", folder / "bus", per_class=60)
    where = ["--data-dir", str(home), "--partial", "--cache-dir", tiny[-1]]
    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    transformers.ResNetForImageClassification(config).save_pretrained(folder / "resnet")
    save_processor(TINY_PROCESSOR, folder / "resnet")
    episodes = ["--shots", "1", "1", "--queries", "2", "--min-images", "3", "--train-episodes", "8"]
    episodes += ["--validation-episodes", "2", "--inner-steps", "2", "--validation-steps", "4"]
    pool = ["--target", "oct", "--sources", "bus", "--epochs", "1"]
    maml = ["--inner", "learned", "--model", str(folder / "resnet"), "--order", "1", "--batch-size", "3", "--main-only"]
    few = ["--dataset", "bus", "--split", "train+validation+test", "-n", "3", "--lr", "1e-3", "--steps", "1", "5"]
    return {
        "train": [*tiny, "--tasks", "bus", "--epochs", "2"],
        "pretrain multitask": [*tiny, *pool],
        "few-shot": [*where, "--tiny", *few],
        "pretrain maml": [*where, *pool, *maml, *episodes, "--no-augmentation"],
    }


@pytest.fixture(scope="module")
def together(options, tmp_path_factory):
    """Folder with what two processes wrote, by command."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "recorder.py").write_text(RECORDER)
    script = ["recorder.py", json.dumps(options)]
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu", *script],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / '.editable'}{os.pathsep}{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_train(options, together, tmp_path):
    (one,) = run("train", *options["train"], "--output-dir", tmp_path)

    two = Result.load(next((together / "train").rglob("result.json")))
    assert (one.extra["processes"], two.extra["processes"]) == (1, 2)
    assert two.metrics["auroc"].value == pytest.approx(one.metrics["auroc"].value, abs=1e-4)
    for mine, ours in zip(one.extra["history"], two.extra["history"], strict=True):
        assert ours == pytest.approx(mine, abs=1e-4)
    seen = [json.loads((together / f"train-seen-{rank}").read_text()) for rank in (0, 1)]
    steps = len(seen[0]) // 2
    for epoch in range(2):
        batches = [batch for part in seen for batch in part[epoch * steps : (epoch + 1) * steps]]
        assert sorted(row for batch in batches for row in batch) == list(range(42))


def test_pretrain_multitask(options, together, tmp_path):
    one = run("pretrain multitask", *options["pretrain multitask"], "--output-dir", tmp_path)

    two = json.loads((together / "pretrain multitask" / "training.json").read_text())
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["validation"] == pytest.approx(one["validation"], abs=1e-4)
    assert two["history"][0]["train_loss"] == pytest.approx(one["history"][0]["train_loss"], abs=1e-4)


def test_few_shot(options, together, tmp_path):
    one = run("few-shot", *options["few-shot"], "--output-dir", tmp_path)

    two = [result for _, result in results([together / "few-shot"])]
    assert {(r.method, r.protocol): r.as_dict()["metrics"] for r in two} == {
        (r.method, r.protocol): r.as_dict()["metrics"] for r in one
    }


def test_pretrain_maml_with_a_resnet_in_first_order(options, together, tmp_path):
    one = run("pretrain maml", *options["pretrain maml"], "--output-dir", tmp_path)

    two = json.loads((together / "pretrain maml" / "training.json").read_text())
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["history"][0] == pytest.approx(one["history"][0], abs=2e-3)
    start = transformers.AutoModel.from_pretrained(
        options["pretrain maml"][options["pretrain maml"].index("--model") + 1]
    )
    # Adam takes full steps even where a slope is all but zero, and of no certain sign: some weights may differ.
    found = []
    for folder in (tmp_path, together / "pretrain maml"):
        weights = dict(transformers.AutoModel.from_pretrained(folder / "model").named_parameters())
        moved = [(weights[name] - weight).flatten() for name, weight in start.named_parameters()]
        moved += [(rate - 0.1).flatten() for rate in load_file(folder / "model" / "rates.safetensors").values()]
        found.append(torch.cat(moved).detach())
    assert (found[0].abs() > 1e-4).float().mean() > 0.9  # nearly all has learned
    assert torch.isclose(*found, rtol=0, atol=1e-5).float().mean() > 0.9


def test_the_command_itself(options, tmp_path):
    words = ["medimeta", "train", *options["train"], "--output-dir"]
    (one,) = run("train", *options["train"], "--output-dir", tmp_path / "one")
    launcher = ["-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu", "-m"]
    done = subprocess.run(
        [sys.executable, *launcher, *words, str(tmp_path / "two")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / ".editable")},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    two = Result.load(next((tmp_path / "two").rglob("result.json")))
    assert two.extra["processes"] == 2
    assert two.metrics["auroc"].value == pytest.approx(one.metrics["auroc"].value, abs=1e-4)
