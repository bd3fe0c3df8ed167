"""Mixed-task batches: every row once per epoch, drawn as published, and equal for any number of workers."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from fakes.chance import assert_follows
from fakes.episodes import FINDINGS, GRADE, KIND, SICK, described
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.data.mixing import MixedBatches

SIZES = {KIND: 130, SICK: 64, FINDINGS: 7, GRADE: 65}


def rows_by_task(batches):
    found = {}
    for task, rows in batches:
        found.setdefault(task, []).append(rows)
    return found


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_every_row_of_an_epoch_comes_once(batch_size):
    batches = MixedBatches(SIZES, batch_size)
    found = rows_by_task(batches)

    assert len(batches) == len(list(batches)) == sum(-(-size // batch_size) for size in SIZES.values())
    for task, size in SIZES.items():
        np.testing.assert_array_equal(np.sort(np.concatenate(found[task])), np.arange(size))
        assert all(len(rows) == batch_size for rows in found[task][:-1])
        assert not np.array_equal(np.concatenate(found[task]), np.arange(size)) or size == 7


def test_tasks_come_in_proportion_to_their_remaining_batches():
    sizes = {KIND: 5, SICK: 3, GRADE: 2}  # 3, 2 and 1 batches

    def published(remaining):
        """Return the probability of every sequence, computed step by step as published."""
        total = sum(remaining.values())
        if not total:
            return {(): 1.0}
        return {
            (task, *rest): count / total * chance
            for task, count in remaining.items()
            if count
            for rest, chance in published(remaining | {task: count - 1}).items()
        }

    probabilities = published({KIND: 3, SICK: 2, GRADE: 1})
    assert len(probabilities) == 60
    drawn = [tuple(task for task, _ in MixedBatches(sizes, 2, seed=1, epoch=epoch)) for epoch in range(3000)]
    assert_follows(drawn, probabilities)


def test_rows_of_a_task_come_in_any_order():
    drawn = (np.concatenate(rows_by_task(MixedBatches({KIND: 4}, 2, epoch=epoch))[KIND]) for epoch in range(2000))
    assert_follows(
        map(tuple, (rows.tolist() for rows in drawn)), dict.fromkeys(itertools.permutations(range(4)), 1 / 24)
    )


@pytest.mark.parametrize(
    ("choice", "temperature", "weights"),
    [("uniform", 1, (1, 1, 1)), ("temperature", 1, (9, 4, 1)), ("temperature", 2, (3, 2, 1))],
)
def test_other_ways_to_choose_a_task(choice, temperature, weights):
    sizes = {KIND: 36, SICK: 13, GRADE: 4}  # 9, 4 and 1 batches
    batches = MixedBatches(sizes, 4, choice, temperature, steps=4000)
    probabilities = dict(zip(sizes, np.array(weights) / sum(weights), strict=True))

    assert len(batches) == 4000
    assert_follows((task for task, _ in batches), probabilities)
    assert len(MixedBatches(sizes, 4, choice)) == 14


def test_a_task_starts_again_when_all_its_rows_have_come():
    rows = np.concatenate(rows_by_task(MixedBatches({KIND: 10, SICK: 50}, 4, "uniform", steps=60))[KIND])
    passes = [np.sort(rows[start : start + 10]) for start in range(0, len(rows) // 10 * 10, 10)]

    assert len(passes) > 5
    assert all(np.array_equal(found, np.arange(10)) for found in passes)
    assert not np.array_equal(rows[:10], rows[10:20])


def test_the_same_seed_and_epoch_give_the_same_batches():
    def content(batches):
        return [(task.name, rows.tolist()) for task, rows in batches]

    first = content(MixedBatches(SIZES, 8, seed=3))
    assert content(MixedBatches(SIZES, 8, seed=3)) == first
    assert content(MixedBatches(SIZES, 8, seed=4)) != first
    assert content(MixedBatches(SIZES, 8, seed=3).at(1)) != first
    assert content(MixedBatches(SIZES, 8, seed=3).at(1).at(0)) == first
    assert first[0] == ("Kind", [1, 34, 99, 95, 0, 37, 78, 46])


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shards_share_nothing_and_are_all(world):
    batches = MixedBatches(SIZES, 8)
    shards = [batches.shard(rank, world) for rank in range(world)]
    whole = Counter((task.name, tuple(rows)) for task, rows in batches)

    assert sum((Counter((task.name, tuple(rows)) for task, rows in shard) for shard in shards), Counter()) == whole
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert {shard.total for shard in shards} == {len(batches)}
    with pytest.raises(IndexError):
        shards[0][len(shards[0])]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.slow
def test_data_loaders_give_every_batch_once_in_order(workers):
    data = pytest.importorskip("torch.utils.data")
    batches = MixedBatches(SIZES, 16, fetch=described).shard(1, 2)
    context = "spawn" if workers else None
    loader = data.DataLoader(batches, batch_size=None, num_workers=workers, multiprocessing_context=context)

    assert [tuple(batch) for batch in loader] == list(batches)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sizes": {}}, "there are no tasks"),
        ({"sizes": {KIND: 3, SICK: 0}}, "no rows of toy / Sick"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"choice": "temperature", "temperature": 0}, "temperature is 0"),
        ({"epoch": -1}, "epoch is -1"),
        ({"choice": "uniform", "steps": 0}, "steps is 0"),
        ({"steps": 5}, "ends by itself"),
        ({"part": (2, 2)}, "no part 2 of 2"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(MedIMetaError, match=words):
        MixedBatches(**{"sizes": SIZES, **settings})
    with pytest.raises(UnknownName, match="proportional, temperature, uniform"):
        MixedBatches(SIZES, choice="random")
