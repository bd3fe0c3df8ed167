"""Episode sets and the rows of datasets: drawn from them, saved as one, and refused for others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets

import medimeta
from fakes.episodes import FINDINGS, SICK, TASKS, draw, random_toy, same, toy
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.episodes.episode_set import EpisodeSet


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


def test_the_published_classes_are_drawn_from_any_split(derm, monkeypatch):
    monkeypatch.setattr("medimeta.learn.episodes.pools.PUBLISHED", 8)
    settings = {"data_dir": derm, "partial": True, "n": 2, "shots": 1, "queries": 1, "split": "train"}
    published = medimeta.episodes("derm", min_images="published", **settings)
    split = medimeta.episodes("derm", min_images=8, **settings | {"split": "train+validation+test"})

    assert published.classes == split.classes
    assert published.about["recipe"]["min_images"] == "published"


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
