"""The episodes of a target: which classes have enough images."""

from __future__ import annotations

import pytest

from medimeta.cards.catalogue import DATASETS
from medimeta.learn.experiments import options
from medimeta.learn.few_shot import targets


@pytest.mark.parametrize(
    ("words", "least"),
    [
        ([], 50),  # whole datasets, as published
        (["--split", "val+test+train"], 50),
        (["--split", "test"], 15),  # few images of rare classes
        (["--tiny"], 15),
        (["--split", "test", "--min-images", "3"], 3),
        (["--split", "test", "--shots", "1", "20"], 30),
    ],
)
def test_small_classes_are_left_out_by_the_published_rule_or_by_what_episodes_need(words, least, monkeypatch):
    drawn = []
    monkeypatch.setattr(targets, "sample_episodes", lambda rows, task, recipe, **given: drawn.append((recipe, given)))
    args = options.parse("few-shot", ["--dataset", "bus", *words])

    targets.draw_episodes(args, DATASETS.find_task("bus"), None)

    assert {recipe.min_images for recipe, _ in drawn} == {least}
    assert len(drawn) == len(args.shots)
    assert all("val+" not in given["split"] for _, given in drawn)  # full names
