"""`medimeta few-shot` and `zero-shot` on miniatures: they learn, and continue where they stopped."""

from __future__ import annotations

from typing import ClassVar

import pytest

import medimeta
from fakes.commands import run
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import MedIMetaError
from medimeta.learn.encoders.clip import ZeroShot
from medimeta.learn.encoders.prompts import prompts_of, wording_of
from medimeta.learn.episodes.recipe import task_of
from medimeta.learn.evaluation.results import Result, results
from medimeta.learn.experiments import few_shot
from medimeta.learn.few_shot.solver import Key, Solver

WHOLE = ["--split", "train+validation+test"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Arguments for a tiny model; the miniature of bus has 60 images."""
    home = write_miniature("bus", tmp_path_factory.mktemp("data"), per_class=20)
    return ["--tiny", "--data-dir", str(home), "--partial", "--cache-dir", str(tmp_path_factory.mktemp("cache"))]


def arguments(tiny, folder, *more):
    return [*tiny, *WHOLE, "--dataset", "bus", "--output-dir", str(folder), *more]


def numbers(found):
    """What runs that do the same have in common, by method and protocol."""
    return {(one.method, one.protocol): one.as_dict()["metrics"] for one in found}


SMALL = ["-n", "3", "--lr", "1e-3", "--steps", "5", "20"]


@pytest.fixture(scope="module")
def uninterrupted(tiny, tmp_path_factory):
    """Results of one process without an interruption, and their folder."""
    folder = tmp_path_factory.mktemp("few")
    return run("few-shot", *arguments(tiny, folder, *SMALL)), folder


@pytest.mark.e2e
def test_every_method_beats_chance_and_writes_what_it_says(uninterrupted):
    found, folder = uninterrupted

    assert {one.method.removeprefix("tiny random ViT, ") for one in found} == {
        "finetune, lr 0.001, 5 steps",
        "finetune, lr 0.001, 20 steps",
        "probe, lr 0.001, 5 steps",
        "probe, lr 0.001, 20 steps",
        "prototype",
    }
    assert all(one.metrics["auroc"].value > 0.75 for one in found)
    assert max(one.metrics["auroc"].value for one in found if "finetune" in one.method) > 0.9
    assert all([*one.classes] == ["normal", "benign", "malignant"] for one in found)
    assert numbers(one for _, one in results([folder])) == numbers(found)
    assert (folder / "shots.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_interrupted_and_resumed_is_the_same(uninterrupted, tiny, tmp_path, monkeypatch):
    solve, solved = Solver.solve, []

    def interrupted(self, unit):
        if len(solved) == 2:
            raise KeyboardInterrupt
        solved.append(unit)
        return solve(self, unit)

    monkeypatch.setattr(Solver, "solve", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("few-shot", *arguments(tiny, tmp_path, *SMALL))
    with pytest.raises(MedIMetaError, match="seed"):
        run("few-shot", *arguments(tiny, tmp_path, *SMALL, "--resume", "--seed", "1"))

    again = []
    monkeypatch.setattr(Solver, "solve", lambda self, unit: again.append(unit) or solve(self, unit))
    resumed = run("few-shot", *arguments(tiny, tmp_path, *SMALL, "--resume"))

    assert numbers(resumed) == numbers(uninterrupted[0])
    assert len(again) == 3
    assert not {*again} & {*solved}


def test_zero_shot_asks_about_exactly_the_classes_of_each_episode(tiny, tmp_path, monkeypatch):
    where = {"data_dir": tiny[2], "partial": True, "cache_dir": tiny[-1]}
    episodes = medimeta.episodes("bus", shots=1, queries=5, ways=2, n=12, split=WHOLE[1], **where)
    episodes.save(tmp_path / "two.parquet")
    asked, sentences = [], ZeroShot.sentences

    def recorded(self, wanted):
        asked.append(wanted)
        return sentences(self, wanted)

    monkeypatch.setattr(ZeroShot, "sentences", recorded)
    (found,) = run("zero-shot", *arguments(tiny, tmp_path, "--episodes", str(tmp_path / "two.parquet")))

    assert asked == [prompts_of(task_of(episodes.task, episode.classes)).shows for episode in episodes]
    assert len(set(asked)) > 1
    assert found.episodes == episodes.sha256
    assert Result.load(tmp_path / "1-shots" / "result.json").as_dict() == found.as_dict()


def test_zero_shot_on_a_split_asks_about_all_classes(tiny, tmp_path, capsys):
    (found,) = run("zero-shot", *arguments(tiny, tmp_path, "--shows", "{label} in {image}"))

    assert capsys.readouterr().out.splitlines()[:3] == [
        f"{phrase} in a breast ultrasound image" for phrase in wording_of("bus").phrases["case category"].values()
    ]
    assert (found.protocol, found.images) == ("zero-shot", 60)


def test_only_the_published_cell_on_published_episodes_is_marked():
    class Episodes:
        about: ClassVar = {"recipe": {"shots": 5, "queries": 10, "min_images": "published"}}

        def __init__(self, split):
            self.split = split

        def __len__(self):
            return 100

    whole, test = Episodes("train+val+test"), Episodes("test")
    cell = Key("finetune", 0, 1e-3, 50, 0)

    assert few_shot.is_published(whole, cell)
    assert not few_shot.is_published(test, cell)
    for other in (cell._replace(lr=1e-2), cell._replace(steps=100), cell._replace(method="probe")):
        assert not few_shot.is_published(whole, other)
    whole.about = {"recipe": whole.about["recipe"] | {"min_images": None}}
    assert not few_shot.is_published(whole, cell)
