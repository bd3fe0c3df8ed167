"""The episodes of a target: which classes have enough images."""

from __future__ import annotations

import numpy as np
import pytest

from medimeta.cards.catalogue import DATASETS
from medimeta.learn.episodes.pools import memberships
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import EpisodeSampler
from medimeta.learn.experiments import options
from medimeta.learn.few_shot import targets


@pytest.mark.parametrize(
    ("words", "least"),
    [
        ([], "published"),  # 50 images in the whole dataset
        (["--split", "val+test+train"], "published"),
        (["--split", "test"], "published"),
        (["--tiny"], 15),  # what an episode needs
        (["--split", "test", "--min-images", "3"], 3),
        (["--split", "test", "--shots", "1", "20"], "published"),
    ],
)
def test_small_classes_are_left_out_by_the_published_rule_or_by_what_episodes_need(words, least, monkeypatch):
    drawn = []
    monkeypatch.setattr(targets, "sample_episodes", lambda rows, task, recipe, **given: drawn.append((recipe, given)))
    monkeypatch.setattr(targets, "load_rows", lambda args, dataset, split, **_: split)
    monkeypatch.setattr(targets, "pool_sizes", lambda split, task: np.full(3, {"train": 40}.get(split, 5)))
    args = options.parse("few-shot", ["--dataset", "bus", *words])

    targets.draw_episodes(args, DATASETS.find_task("bus"), None)

    assert {recipe.min_images for recipe, _ in drawn} == {least}
    assert len(drawn) == len(args.shots)
    assert all("val+" not in given["split"] for _, given in drawn)  # full names
    for _, given in drawn:  # the threshold counts the images of all splits
        assert given["totals"] is None if least != "published" else given["totals"].tolist() == [50, 50, 50]


# Images per class of main tasks in complete datasets; where no complete table is at hand, each class has enough.
COUNTS = {
    "aml": [50] * 9 + [49] * 6,
    "bus": [133, 437, 210],
    "derm": [1305, 7737, 622, 378, 1338, 160, 180],
    "organs_axial": [73 - 20] * 11,
    "skinl_derm": [255, 575, 79, 45, 42, 33, 29, 28, 24, 20, 17, 16, 13, 8, 6],
}
KEPT = {"aml": 9, "skinl_derm": 3, "skinl_photo": 3}


@pytest.mark.parametrize("id", [card.id for card in DATASETS.values()])
def test_the_defaults_draw_episodes_of_every_main_task_and_keep_the_published_classes(id):
    task = DATASETS[id].tasks[0]
    counts = COUNTS.get(id.replace("photo", "derm").replace("coronal", "axial").replace("sagittal", "axial"))
    counts = counts or [60] * len(task.labels)
    args = options.parse("few-shot", ["--dataset", id])
    rows = np.repeat(np.arange(len(counts)), counts)
    labels = np.eye(len(counts), dtype=np.float32)[rows] if task.kind == "multilabel" else rows
    recipe = Recipe(args.shots[0], args.queries, min_images="published")

    sampler = EpisodeSampler(
        task, labels, [None] * len(rows), recipe, args.split, memberships(task, labels).sum(axis=0)
    )
    episode = sampler.sample(0, 0)

    assert len(episode.classes) == KEPT.get(id, len(task.labels))
    if task.kind != "multilabel":
        assert (len(episode.support), len(episode.query)) == (5 * len(episode.classes), 10 * len(episode.classes))
