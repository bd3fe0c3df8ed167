"""A sweep: every run once, backbones shared, failures reported at the end, and one table of all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import medimeta
from fakes.commands import run
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import MedIMetaError
from medimeta.learn.evaluation.measures.intervals import Measured
from medimeta.learn.evaluation.results import Result
from medimeta.learn.experiments import jobs
from medimeta.upload.folder.miniatures import build_miniatures

COMMANDS = ("few-shot", "train", "pretrain maml", "pretrain multitask")


@pytest.fixture
def calls(monkeypatch):
    """The runs in order, as command and arguments; they only write what a table needs, and no image is read."""
    calls = []

    def stand_in(command):
        def run(args):
            calls.append((command, args))
            if command.startswith("pretrain"):
                return
            few = command == "few-shot"
            task = DATASETS.find_task(args.dataset, args.task) if few else DATASETS.find_task(args.tasks[0])
            facts = {
                "kind": task.kind,
                "split": "test",
                "protocol": "few-shot, 5 shots" if few else "full supervision",
                "method": f"{args.name}, finetune" if few else "fine-tuning",
                "metrics": {"auroc": Measured(0.7, 0.6, 0.8)},
                "episodes": "of these" if few else None,
            }
            facts |= {"interval": "95 %", "images": 5, "fingerprint": {"labels": task.dataset}, "seed": 0}
            result = Result(dataset=task.dataset, task=task.name, model=str(args.model), **facts)
            result.save(args.output_dir / "result.json")

        return run

    for command in COMMANDS:
        monkeypatch.setitem(jobs.RUN, command, stand_in(command))
    return calls


def test_targets_with_the_same_pool_share_a_backbone(calls, tmp_path):
    arguments = ["--tasks", "pbc", "aml", "oct", "--output-dir", str(tmp_path), "--seed", "1"]
    arguments += ["--finetune=--epochs 3", "--few-shot=-n 7", "--pretrain-maml=--epochs 4 --batch-size 2"]
    comparisons = run("sweep", *arguments)

    assert [sum(one == command for one, _ in calls) for command in COMMANDS] == [9, 3, 2, 2]
    assert {args.seed for _, args in calls} == {1}
    assert {args.epochs for command, args in calls if command == "train"} == {3}
    assert {(args.epochs, args.batch_size) for command, args in calls if command == "pretrain maml"} == {(4, 2)}
    made = {args.output_dir: args.target for command, args in calls if command == "pretrain multitask"}
    used = {args.dataset: Path(args.model).parent for _, args in calls if getattr(args, "name", None) == "mm-PT"}
    assert used["pbc"] == used["aml"] != used["oct"]
    assert sorted(made.values()) == ["oct", "pbc"]
    for dataset, folder in used.items():
        assert dataset not in medimeta.cross_domain(made[folder]).datasets
    few, full = comparisons
    assert few.methods == ["IM-PT, finetune", "mm-PT, finetune", "mm-MAML, finetune"]  # one row, whatever backbone
    assert (full.methods, len(full.tasks)) == (["full supervision"], 3)


def test_runs_what_is_missing_and_reports_what_fails(calls, tmp_path, monkeypatch, capsys):
    arguments = ["--tasks", "pbc", "aml", "--methods", "IM-PT", "mm-PT", "--output-dir", str(tmp_path)]
    works, tries = jobs.RUN["pretrain multitask"], []

    def breaks(args):
        tries.append(args)
        raise MedIMetaError("no luck")

    monkeypatch.setitem(jobs.RUN, "pretrain multitask", breaks)
    with pytest.raises(MedIMetaError) as failed:
        run("sweep", *arguments)
    assert str(failed.value).splitlines() == [
        "2 cell(s) failed:",
        "  pbc/cell class, mm-PT: medimeta pretrain multitask: no luck",
        "  aml/morphological class, mm-PT: medimeta pretrain multitask: no luck",
    ]
    assert len(tries) == 1  # for both
    assert len(pd.read_csv(tmp_path / "table.csv")) == len(calls) == 2

    monkeypatch.setitem(jobs.RUN, "pretrain multitask", works)
    (comparison,) = run("sweep", *arguments)
    assert [(command, args.resume) for command, args in calls[2:]] == [
        ("pretrain multitask", True),
        ("few-shot", False),
        ("few-shot", False),
    ]
    assert run("sweep", *arguments, "--resume") == [comparison]
    assert len(calls) == 5  # nothing was run
    cell = tmp_path / "cells" / "mm-PT" / "pbc" / "cell_class"
    (cell / "more").mkdir()
    (cell / "result.json").rename(cell / "more" / "result.json")
    run("sweep", *arguments, "--pretrain-multitask=--epochs 2")
    assert len(calls) == 8  # another backbone, so the cells that start from it too
    assert not (cell / "more").exists()  # and nothing in the table is of the old one


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--few-shot=--epochs 2"], "few-shot does not take: .*--epochs 2"),
        (["--sources", "aml", "pbc"], "No source"),
        (["--sources", "nothing"], "nothing"),
    ],
)
def test_mistakes_are_reported_before_anything_runs(options, message, calls, tmp_path):
    with pytest.raises(MedIMetaError, match=message):
        run("sweep", "--tasks", "pbc", "--output-dir", tmp_path, *options)
    assert not calls


def test_what_not_all_commands_know_belongs_to_one_of_them(calls, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("sweep", "--tasks", "pbc", "--epochs", "2", "--output-dir", tmp_path)
    assert "unrecognized arguments: --epochs 2" in capsys.readouterr().err
    assert not calls


@pytest.mark.slow
@pytest.mark.e2e
def test_all_methods_on_miniatures(tmp_path):
    hub = build_miniatures(["bus", "oct"], tmp_path / "data", version=medimeta.__version__, per_class=30)
    where = ["--data-dir", str(hub), "--partial", "--cache-dir", str(tmp_path / "cache")]
    training = "--epochs 1 --batch-size 16 --no-augmentation"
    episodes = "--main-only --shots 1 1 --queries 1 --share-subjects --train-episodes 2 --validation-episodes 2"
    arguments = ["--tiny", "--tasks", "bus", "--sources", "oct", *where, "--output-dir", str(tmp_path / "sweep")]
    arguments += [f"--finetune={training}", f"--pretrain-multitask={training} --main-only"]
    arguments += [f"--pretrain-maml={episodes} --epochs 1 --inner-steps 1 --validation-steps 1"]
    arguments += ["--few-shot=-n 2 --split train+validation+test --shots 1 --queries 2 --lr 1e-3 --steps 1 2"]
    comparisons = run("sweep", *arguments)

    few = [f"{name}, finetune, lr 0.001, {n} steps" for name in ("IM-PT", "mm-PT", "mm-MAML") for n in (1, 2)]
    assert [comparison.methods for comparison in comparisons] == [few, ["full supervision"]]
    table = (tmp_path / "sweep" / "table.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in table if line.startswith("|")] == [
        "| method",
        "|---|--:|",
        "| *few-shot, 1 shots, train+validation+test*",
        *(f"| {name}" for name in few),
        "| *full supervision, test*",
        "| full supervision",
    ]
    values = pd.read_csv(tmp_path / "sweep" / "table.csv").set_index("method")["value"]
    assert values["IM-PT, finetune, lr 0.001, 2 steps"] != values["mm-PT, finetune, lr 0.001, 2 steps"]
    assert (tmp_path / "sweep" / "table.png").read_bytes().startswith(b"\x89PNG")
