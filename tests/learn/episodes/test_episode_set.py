"""Episode sets as files: equal content everywhere, and refused when file or data have changed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, concatenate_datasets

import medimeta
from fakes.episodes import FINDINGS, KIND, SICK, TASKS, random_toy, toy
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.episodes.episode_set import EpisodeSet
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes

ROOT = Path(__file__).parents[3]


def draw(task=KIND, rows=None, n=8, workers=0, **recipe):
    rows = random_toy(task, 0) if rows is None else rows
    return sample_episodes(rows, task, Recipe(**recipe), n=n, seed=4, split="test", workers=workers)


def same(first, second):
    return all(
        one.number == other.number
        and one.classes == other.classes
        and one.shots == other.shots
        and all(map(np.array_equal, one, other))
        and np.array_equal(one.support_labels, other.support_labels)
        and np.array_equal(one.query_labels, other.query_labels)
        for one, other in zip(first, second, strict=True)
    )


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


def test_other_rows_are_refused(tmp_path):
    labels, subjects = [0, 1] * 20, [f"s{number}" for number in range(40)]
    rows = toy(SICK, labels, subjects)
    episodes = draw(SICK, rows)
    episodes.save(tmp_path / "e.parquet")
    episodes.check(toy(SICK, labels, subjects))

    for other, words in (
        (toy(SICK, [1, 0, *labels[2:]], subjects), "test.: labels differs. Load"),
        (toy(SICK, labels, [None, *subjects[1:]]), "subject_id differs"),
        (
            rows.select([1, 0, *range(2, 40)]),
            "index differs, labels differs, original_filepath differs",
        ),
        (rows.map(lambda row: row | {"original_filepath": row["original_filepath"].upper()}), "filepath differs"),
        (rows.select(range(39)), "39 instead of 40"),
        (rows.remove_columns(["index"]), "lack index. Use the `rows` of the episode set"),
        (rows.rename_column("sick", "label"), "lack sick"),
    ):
        for refuse in (episodes.check, episodes.batches, lambda rows: EpisodeSet.load(tmp_path / "e.parquet", rows)):
            with pytest.raises(MedIMetaError, match=words):
                refuse(other)


def test_as_a_dataset(tmp_path):
    episodes = draw(FINDINGS, shots=2, queries=2, ways=2)
    rows = episodes.to_dataset()

    assert isinstance(rows, Dataset)
    assert rows[0]["dataset"] == "toy"
    assert rows[0]["class_names"] == [FINDINGS.labels[label] for label in episodes[0].classes]
    assert rows[3]["support"] == episodes[3].support.tolist()
    assert rows[3]["query_labels"] == [np.flatnonzero(v).tolist() for v in episodes[3].query_labels]
    assert set(rows["sha256"]) == {episodes.sha256}
    rows.to_parquet(tmp_path / "e.parquet")
    assert len(Dataset.from_parquet(str(tmp_path / "e.parquet"), cache_dir=str(tmp_path))) == 8


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_back_from_a_dataset(task, tmp_path):
    rows = random_toy(task, 0)
    episodes = draw(task, rows, shots=(1, 3), queries=2, ways="random")
    episodes.to_dataset().to_parquet(tmp_path / "e.parquet")
    stored = Dataset.from_parquet(str(tmp_path / "e.parquet"), cache_dir=str(tmp_path))
    again = EpisodeSet.from_dataset(stored, rows)

    assert again.sha256 == episodes.sha256
    assert same(again, episodes)
    assert again.about == episodes.about
    other = draw(task, rows, queries=3, shots=2).to_dataset()
    for changed, words in (
        (stored.select(range(7)), "changed after it was written"),
        (stored.select([1, 0, *range(2, 8)]), "changed after it was written"),
        (stored.map(lambda row: {"support": row["support"][::-1]}), "changed after it was written"),
        (stored.map(lambda row: {"about": row["about"].replace('"seed":4', '"seed":5')}), "changed after"),
        (stored.map(lambda row: {"about": row["about"].replace('"version":1', '"version":9')}), "has version 9"),
        (stored.map(lambda row: {"about": "{}"}), "is not an episode set"),
        (stored.remove_columns("about"), "columns are missing"),
        (stored.select([]), "there are no rows"),
        (concatenate_datasets([stored, other]), "more than one"),
    ):
        with pytest.raises(MedIMetaError, match=rf"The dataset .*{words}.*medimeta episodes ID \[TASK\] --out FILE"):
            EpisodeSet.from_dataset(changed)
    with pytest.raises(MedIMetaError, match="These are not the rows"):
        EpisodeSet.from_dataset(stored, random_toy(task, 1))


def test_from_the_data_of_a_dataset(tmp_path):
    raw = write_miniature("oct", tmp_path / "raw", per_class=12)
    settings = {"shots": (1, 2), "queries": 2, "n": 5, "data_dir": raw, "partial": True}
    episodes = medimeta.episodes("oct", "Disease Class", split="train+val", **settings)

    rows = medimeta.load_dataset("oct", split="train+validation", data_dir=raw, partial=True)
    episodes.check(rows)
    assert episodes.split == "train+validation"
    assert replace(episodes.task, is_main=True) == medimeta.DATASETS["oct"].tasks[0]
    assert "5 episodes of oct / disease class, split train+validation, seed 0: 4 of 4 classes" in episodes.summary()
    for support, query in episodes:
        assert {rows[row]["subject_id"] for row in support.tolist()}.isdisjoint(rows[query.tolist()]["subject_id"])
    (batch, *_) = episodes.batches()
    assert batch.query.shape == (8, 224, 224, 1)
    with pytest.raises(MedIMetaError, match="n is 0"):
        medimeta.episodes("oct", **settings | {"n": 0})
    with pytest.raises(UnknownName, match="split"):
        medimeta.episodes("oct", split="train[:10%]")


@pytest.fixture(scope="module")
def derm(tmp_path_factory):
    return write_miniature("derm", tmp_path_factory.mktemp("derm"), per_class=8)


def test_a_set_carries_its_rows_its_ways_and_the_classes_left_out(derm):
    settings = {"data_dir": derm, "partial": True, "n": 3, "shots": "1", "queries": 1}
    whole = medimeta.episodes("derm", split="train+val+test", classes=("Vascular lesion", "melanoma"), **settings)
    names = medimeta.DATASETS["derm"].tasks[0].labels

    assert (whole.ways, whole.classes) == ("2", ("Melanoma", "Vascular lesion"))
    assert set(whole.classes) | set(whole.excluded) == set(names)
    assert all(name in whole.summary() for name in whole.excluded)
    for episode in whole[:2]:
        rows = whole.rows.select(episode.support)
        found = [rows.features["disease_category"].int2str(label) for label in rows["disease_category"][:]]
        assert [whole.task.labels[episode.classes[label]] for label in episode.support_labels] == found
    assert [episode.number for episode in whole[1:]] == [1, 2]
    assert whole[-1:][0].number == 2
    random = medimeta.episodes("derm", split="train", ways="random", **settings | {"n": 20})
    low, _, high = random.ways.partition("-")
    assert 2 <= int(low) < int(high) <= len(random.classes)


def test_a_set_is_shown_in_a_line():
    assert repr(draw()) == "<EpisodeSet toy/Kind, split test: 8 episodes, 3-way 5-shot, seed 4>"


def test_the_published_classes_are_drawn_from_any_split(derm, monkeypatch):
    monkeypatch.setattr("medimeta.learn.episodes.pools.PUBLISHED", 8)
    settings = {"data_dir": derm, "partial": True, "n": 2, "shots": 1, "queries": 1, "split": "train"}
    published = medimeta.episodes("derm", min_images="published", **settings)
    split = medimeta.episodes("derm", min_images=8, **settings | {"split": "train+validation+test"})

    assert published.classes == split.classes
    assert published.about["recipe"]["min_images"] == "published"


def test_a_task_may_be_named_in_every_way_and_mistakes_take_a_sentence(derm):
    settings = {"data_dir": derm, "partial": True, "n": 2, "shots": 1, "queries": 1, "split": "train"}
    task = medimeta.DATASETS["derm"].tasks[0]
    named = [(task,), ("derm",), ("derm", task), (f"derm/{task.name}",), ("derm", task.column)]
    assert len({medimeta.episodes(*names, **settings).sha256 for names in named}) == 1
    wrong = [{"seed": None}, {"seed": -1}, {"n": "many"}, {"n": None}, {"workers": -1}, {"split": "train+train"}]
    for one in [*wrong, {"split": None}, {"split": ""}, {"classes": ["none"]}, {"shots": None}]:
        with pytest.raises(MedIMetaError):
            medimeta.episodes("derm", **settings | one)


def test_pixels_of_another_split_are_refused(derm):
    pixel_dataset = pytest.importorskip("medimeta.learn.data.pixel_dataset", reason="torch is not installed")
    options = {"data_dir": derm, "partial": True}
    drawn = medimeta.episodes("derm", split="train", shots=1, queries=1, n=2, **options)
    train, test = (medimeta.load_task("derm", split=split, **options) for split in ("train", "test"))

    assert len(list(drawn.batches(pixel_dataset.PixelDataset(train)))) == 2
    other = pixel_dataset.PixelDataset(test)
    other.__class__ = type("Padded", (type(other),), {"__len__": lambda self: len(train)})
    with pytest.raises(MedIMetaError, match="drawn from split train, but the images are of test"):
        drawn.batches(other)


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
