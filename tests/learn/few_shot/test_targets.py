"""The episodes of a target: which classes have enough images."""

from __future__ import annotations

import numpy as np
import pytest

from medimeta.cards.catalogue import DATASETS
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
