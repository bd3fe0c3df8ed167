"""Episode sets as files: equal content everywhere, and refused when file or data have changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import medimeta
from fakes.episodes import FINDINGS, KIND, TASKS, draw, random_toy, same, toy
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import MedIMetaError
from medimeta.learn.episodes.episode_set import EpisodeSet
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_saved_and_loaded_again(task, tmp_path):
    rows = random_toy(task, 0)
    episodes = draw(task, rows, shots=(1, 3), queries=2, ways="random")
    episodes.save(tmp_path / "e.parquet")
    again = EpisodeSet.load(tmp_path / "e.parquet", rows)

    assert again.sha256 == episodes.sha256
    assert same(again, episodes)
    assert len(again) == len(list(again)) == 8
    assert again.task == task
    assert (again.split, again.seed, again.about["recipe"]["shots"]) == ("test", 4, [1, 3])
    assert again[-1].number == 7
    support, query = again[2]
    assert support.dtype == query.dtype == np.int64
    with pytest.raises(IndexError):
        again[8]
    assert list(tmp_path.iterdir()) == [tmp_path / "e.parquet"]


@pytest.mark.parametrize(
    ("task", "labels", "sha256"),
    [
        (KIND, [row % 3 for row in range(90)], "3c44818df54fb8d4e2eb10e68c9fcc85f1c2d23cdd21bf992baec17d9a757073"),
        (
            FINDINGS,
            [[0, 1, 2][: row % 4] for row in range(90)],
            "ceab043fabd88c1d5a9717af0d2b1092e6f13384d0a87afaeb9fa5e932ce5764",
        ),
    ],
    ids=["multiclass", "multilabel"],
)
def test_one_hash_on_every_machine(task, labels, sha256):
    rows = toy(task, labels, [f"s{row // 2}" if row % 7 else None for row in range(90)])
    assert draw(task, rows, shots=(1, 3), queries=3, ways="random").sha256 == sha256


def test_one_hash_for_any_number_of_workers():
    rows = random_toy(FINDINGS, 1)
    assert len({draw(FINDINGS, rows, n=9, workers=workers).sha256 for workers in (0, 1, 2)}) == 1


def test_everything_drawn_changes_the_hash():
    rows = random_toy(KIND, 0)
    sets = [draw(rows=rows), draw(rows=rows, n=9), draw(rows=rows, shots=4), draw(rows=rows, subject_disjoint=False)]
    sets += [sample_episodes(rows, KIND, Recipe(), n=8, seed=5, split="test")]
    sets += [sample_episodes(rows, KIND, Recipe(), n=8, seed=4, split="train"), draw(rows=random_toy(KIND, 1))]

    assert len({episodes.sha256 for episodes in sets}) == len(sets)


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "e.parquet"
    episodes = draw()
    episodes.save(path)
    table = pq.read_table(path)
    queries = table["query"].to_pylist()
    queries[3][0] += 1
    changed = table.set_column(5, table.schema.field("query"), pa.array(queries, pa.list_(pa.int32())))
    pq.write_table(changed, path)
    with pytest.raises(MedIMetaError, match=r"e\.parquet was changed after it was written"):
        EpisodeSet.load(path)

    metadata = table.schema.metadata
    about = metadata[b"medimeta"]
    pq.write_table(
        table.replace_schema_metadata(metadata | {b"medimeta": about.replace(b'"seed":4', b'"seed":5')}), path
    )
    with pytest.raises(MedIMetaError, match="was changed"):
        EpisodeSet.load(path)
    other = metadata | {b"medimeta": about.replace(b'"version":1', b'"version":2')}
    pq.write_table(table.replace_schema_metadata(other), path)
    with pytest.raises(MedIMetaError, match="has version 2, not 1"):
        EpisodeSet.load(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(MedIMetaError, match=r"is not an episode set.*medimeta episodes ID"):
        EpisodeSet.load(path)
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(MedIMetaError, match="is not an episode set"):
        EpisodeSet.load(path)
    with pytest.raises(MedIMetaError, match="is not an episode set"):
        EpisodeSet.load(tmp_path / "nowhere.parquet")


def test_a_set_is_shown_in_a_line():
    assert repr(draw()) == "<EpisodeSet toy/Kind, split test: 8 episodes, 3-way 5-shot, seed 4>"


def test_a_task_may_be_named_in_every_way_and_mistakes_take_a_sentence(derm):
    settings = {"data_dir": derm, "partial": True, "n": 2, "shots": 1, "queries": 1, "split": "train"}
    task = medimeta.DATASETS["derm"].tasks[0]
    named = [(task,), ("derm",), ("derm", task), (f"derm/{task.name}",), ("derm", task.column)]
    assert len({medimeta.episodes(*names, **settings).sha256 for names in named}) == 1
    wrong = [{"seed": None}, {"seed": -1}, {"n": "many"}, {"n": None}, {"workers": -1}, {"split": "train+train"}]
    for one in [*wrong, {"split": None}, {"split": ""}, {"classes": ["none"]}, {"shots": None}]:
        with pytest.raises(MedIMetaError):
            medimeta.episodes("derm", **settings | one)


@pytest.mark.slow
def test_the_command(tmp_path):
    raw = write_miniature("crc", tmp_path / "raw", per_class=8)

    def run(*arguments):
        command = [sys.executable, "-m", "medimeta", "episodes", "crc", *map(str, arguments)]
        command += ["--out", str(tmp_path / "e.parquet"), "--data-dir", str(raw), "--partial"]
        environment = os.environ | {
            "PYTHONPATH": str(ROOT / ".editable"),
            "HF_HOME": str(tmp_path / "hf"),
            "COLUMNS": "200",
        }
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    done = run(
        "tissue class", "--shots", "1-2", "--queries", 2, "-n", 4, "--seed", 7, "--ways", "random", "--split", "train"
    )
    episodes = EpisodeSet.load(tmp_path / "e.parquet")
    assert done.returncode == 0, done.stderr
    assert episodes.sha256 in done.stdout
    assert "No subjects are known" in done.stdout
    assert (len(episodes), episodes.seed, episodes.split) == (4, 7, "train")

    failed = run("--shots", "many")
    assert failed.returncode == 2
    assert '--shots takes a number or "1-10"' in failed.stderr
    failed = run()
    assert failed.returncode == 1
    assert "an episode takes 2 classes, but 0 have 15 images or more" in failed.stderr
