"""Sampling of episodes: exact probabilities on small tables, guarantees on random ones, and errors."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from fakes.chance import all_pairs, assert_follows, by_the_rule
from fakes.episodes import FINDINGS, GRADE, KIND, SICK, TASKS, random_toy
from medimeta.cards.facts import Task
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.rows import labels_and_subjects
from medimeta.learn.episodes.sampler import EpisodeSampler


def sampler(task, labels, subjects=None, split="test", **recipe):
    labels = np.asarray(labels)
    return EpisodeSampler(task, labels, subjects or [None] * len(labels), Recipe(**recipe), split)


def drawn(sampler, count, seed=0):
    for number in range(count):
        support, query = sampler.sample(seed, number)
        yield frozenset(support.tolist()), frozenset(query.tolist())


@pytest.mark.parametrize(
    ("task", "labels", "subjects", "disjoint"),
    [
        (KIND, [0, 1, 0, 1, 0, 1, 0], None, True),
        (GRADE, [0, 1, 0, 1, 0, 1, 0], list("abcdefg"), True),
        (SICK, [0, 1, 0, 1, 0, 1, 0], list("aaabbbb"), False),
    ],
    ids=["no subjects", "a subject per image", "published behaviour"],
)
def test_all_pairs_of_sets_are_equally_likely(task, labels, subjects, disjoint):
    source = sampler(task, labels, subjects, shots=1, queries=2, subject_disjoint=disjoint)

    assert_follows(drawn(source, 3000), all_pairs(labels, 1, 2))


@pytest.mark.parametrize(
    ("labels", "subjects", "need"),
    [
        ([0, 0, 0, 0, 0, 1, 1, 1, 1], ["a", "a", "b", "c", None, "a", "d", "d", "e"], (1, 1)),
        ([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1], ["a", "a", "a", "b", "b", "c", "a", "b", "b", "d", "e"], (1, 2)),
    ],
)
def test_probabilities_with_subjects_are_those_of_the_rule(labels, subjects, need):
    pools = [frozenset(row for row, value in enumerate(labels) if value == label) for label in (0, 1)]
    owners = {row: subject or f"own {row}" for row, subject in enumerate(subjects)}
    probabilities, failed = by_the_rule(sorted(pools, key=len), owners, need)
    source = sampler(SICK, labels, subjects, shots=need[0], queries=need[1])

    assert (failed > 0) == (len(labels) == 11)  # one of the tables, so that starting again is tested too
    rare = {outcome for outcome, chance in probabilities.items() if chance < Fraction(1, 800)}
    pooled = {outcome: chance for outcome, chance in probabilities.items() if outcome not in rare}
    pooled["rare"] = sum(probabilities[outcome] for outcome in rare)
    pooled = {outcome: chance for outcome, chance in pooled.items() if chance}
    assert_follows(("rare" if outcome in rare else outcome for outcome in drawn(source, 8000)), pooled)


def test_probabilities_of_multilabel_sets_are_those_of_the_rule():
    vectors = np.array([[1, 1], [1, 0], [0, 1], [0, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    task = Task("Two", "multilabel", ("x", "y"), dataset="toy")
    pools = [frozenset(np.flatnonzero(vectors[:, c] == value).tolist()) for value in (1, 0) for c in (0, 1)]
    pools = sorted(pools[:2], key=len) + sorted(pools[2:], key=len)
    probabilities, _ = by_the_rule(pools, dict(enumerate("abcdefg")), (1, 1))

    assert_follows(drawn(sampler(task, vectors, shots=1, queries=1), 6000), probabilities)


def test_two_subjects_in_a_class_of_which_one_has_almost_all():
    source = sampler(SICK, [0] * 10 + [1] * 30, ["a"] * 9 + ["b"] + [None] * 30, shots=1, queries=1)
    sides = [9 in support for support, _ in drawn(source, 400)]

    assert all((9 in support) != (9 in query) for support, query in drawn(source, 400))
    assert_follows(sides, {True: 0.5, False: 0.5})


def test_shots_and_ways_are_drawn_evenly():
    labels = np.arange(60) % 3
    episodes = [sampler(KIND, labels, shots=(1, 4), queries=1, ways="random").sample(3, i) for i in range(2000)]

    assert_follows([episode.shots for episode in episodes], dict.fromkeys(range(1, 5), 1 / 4))
    subsets = {(0, 1): 1 / 6, (0, 2): 1 / 6, (1, 2): 1 / 6, (0, 1, 2): 1 / 2}
    assert_follows([episode.classes for episode in episodes], subsets)
    assert {len(sampler(KIND, labels, ways=2, shots=1).sample(0, i).classes) for i in range(20)} == {2}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
@pytest.mark.parametrize("seed", range(5))
def test_guarantees_on_random_tables(task, seed):
    labels, subjects = labels_and_subjects(random_toy(task, seed), task)
    source = EpisodeSampler(task, labels, subjects, Recipe((1, 8), 6, "random"))
    for number in range(40):
        episode = source.sample(seed, number)
        support, query = episode
        rows = [*support.tolist(), *query.tolist()]
        assert len(set(rows)) == len(rows)
        assert {subjects[row] for row in support} & {subjects[row] for row in query} <= {None}
        for part, found, need in ((support, episode.support_labels, episode.shots), (query, episode.query_labels, 6)):
            if task.kind == "multilabel":
                np.testing.assert_array_equal(found, labels[part][:, episode.classes])
                assert (found.sum(0) >= need).all()
                assert ((1 - found).sum(0) >= need).all()
                assert len(part) <= 2 * need * len(episode.classes)
            else:
                np.testing.assert_array_equal(np.array(episode.classes)[found], labels[part])
                np.testing.assert_array_equal(found, np.repeat(np.arange(len(episode.classes)), need))


def test_subjects_that_show_every_class():
    # Like the organs: each CT volume has each organ once. Drawn class by class, 10 shots of 11 classes would use up
    # all volumes.
    task = Task("Organ", "multiclass", tuple("abcdefghijk"), dataset="toy")
    labels, subjects = np.arange(11 * 30) % 11, [f"volume {row // 11}" for row in range(11 * 30)]
    source = sampler(task, labels, subjects, shots=10, queries=10)

    for support, query in drawn(source, 20):
        assert {subjects[row] for row in support}.isdisjoint(subjects[row] for row in query)


def test_unknown_labels_are_never_drawn():
    one = sampler(SICK, [0, 1, -1] * 20, shots=5, queries=10)
    assert not any(row % 3 == 2 for support, query in drawn(one, 30) for row in support | query)

    vectors = np.array([[1, 0, 1], [0, 1, 0], [np.nan] * 3] * 20, np.float32)
    many = sampler(FINDINGS, vectors, shots=5, queries=10)
    assert not any(row % 3 == 2 for support, query in drawn(many, 30) for row in support | query)


def test_classes_with_too_few_images_are_left_out_unless_they_are_asked_for():
    labels = [0] * 20 + [1] * 60 + [2] * 15

    assert sampler(KIND, labels).classes == (0, 1, 2)
    assert sampler(KIND, labels, shots=6).classes == (0, 1)
    assert sampler(KIND, labels, shots=(1, 6)).classes == (0, 1)
    assert sampler(KIND, labels, classes=("C", "a")).classes == (0, 2)
    with pytest.raises(MedIMetaError, match=r"takes 2 classes, but 1 have 50 images or more.*'a' 20, 'b' 60"):
        sampler(KIND, labels, min_images=50)
    with pytest.raises(MedIMetaError, match="toy / Kind, split test: class 'c' has 15 images; min_images is 20"):
        sampler(KIND, labels, min_images=20, classes=("b", "c"))
    with pytest.raises(MedIMetaError, match="an episode takes 4 classes"):
        sampler(KIND, labels, ways=4)
    with pytest.raises(UnknownName, match="'d'"):
        sampler(KIND, labels, classes=("a", "d"))


def test_too_few_images_name_the_class_and_the_count():
    labels, subjects = [0] * 7 + [1] * 40, [*"aabbccd", *map(str, range(40))]

    message = "toy / Sick, split test: class 'no' has 7 images of 4 subjects; 5 shots and 10 queries need 15. Ask"
    with pytest.raises(MedIMetaError, match=message):
        sampler(SICK, labels, subjects)
    vectors = np.array([[1, 0, 1]] * 7 + [[0, 1, 0]] * 20 + [[0, 1, 1]] * 20, np.float32)
    with pytest.raises(MedIMetaError, match="class 'x' has 7 positives; 5 shots and 10 queries need 15"):
        sampler(FINDINGS, vectors, classes=("x", "y"))
    with pytest.raises(MedIMetaError, match="class 'y' has 7 negatives;"):
        sampler(FINDINGS, vectors, classes=("y", "z"))


def test_too_few_subjects_name_the_class():
    # Four subjects of four images: two for the support leave eight for the query.
    labels, subjects = [0] * 16 + [1] * 40, [*"aaaabbbbccccdddd", *map(str, range(40))]

    with pytest.raises(MedIMetaError, match=r"'no' has 16 images of 4 subjects; .* need 15, and support and query may"):
        sampler(SICK, labels, subjects)
    assert sampler(SICK, labels, subjects, queries=8).sample(0, 0)
    assert sampler(SICK, labels, subjects, subject_disjoint=False).sample(0, 0)


def test_classes_that_can_be_divided_alone_but_not_together():
    labels, subjects = [0] * 15 + [1] * 15, [*"a" * 10, *"b" * 5, *"a" * 5, *"b" * 10]
    source = sampler(SICK, labels, subjects)

    with pytest.raises(MedIMetaError, match=r"has 15 images of 2 subjects; it ran short most often in 1,000 attempts"):
        source.sample(0, 0)


@pytest.mark.parametrize(
    "recipe",
    [{"shots": 0}, {"shots": (3, 2)}, {"shots": (0, 2)}, {"queries": 0}, {"ways": 1}, {"ways": "all"}]
    + [{"shots": value} for value in ("few", "2-1", "0-2", None, 2.5, True, (1, 2, 3), ("a", 2), [], {})]
    + [{"queries": None}, {"queries": "ten"}, {"queries": 1.5}, {"ways": 2.5}, {"ways": True}]
    + [{"min_images": -1}, {"min_images": "all"}, {"subject_disjoint": None}],
    ids=str,
)
def test_numbers_out_of_range(recipe):
    with pytest.raises(MedIMetaError, match=next(iter(recipe))):
        Recipe(**recipe)


def test_numbers_may_be_text():
    assert Recipe("5", "10", "3") == Recipe(5, 10, 3)
    assert Recipe("1-10") == Recipe([1, 10]) == Recipe((np.int64(1), 10))
    assert Recipe(classes="b").classes == ("b",)
    assert isinstance(Recipe(np.int64(5)).shots, int)


def test_the_published_threshold_is_of_the_whole_dataset():
    labels, totals = [0] * 20 + [1] * 16 + [2] * 15 + [-1] * 9, np.array([100, 50, 49])

    published = EpisodeSampler(KIND, np.array(labels), [None] * 60, Recipe(min_images="published"), totals=totals)
    assert published.classes == (0, 1)
    few = EpisodeSampler(KIND, np.array(labels), [None] * 60, Recipe(6, min_images="published"), totals=totals + 50)
    assert few.classes == (0, 1)  # 'c' has 99 images, but too few of them are in this split
    both = EpisodeSampler(SICK, np.array([0, 1] * 15), [None] * 30, Recipe(min_images="published"), totals=totals[1:])
    assert both.classes == (0, 1)
    many = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]] * 15, np.float32)
    source = EpisodeSampler(
        FINDINGS, many, [None] * 45, Recipe(min_images="published"), totals=np.array([50, 60, 70, 80, 80, 49])
    )
    assert source.classes == (0, 1)  # 'z' has 49 negatives
    with pytest.raises(MedIMetaError, match="counts images of the whole dataset"):
        sampler(KIND, labels, min_images="published")


def test_an_episode_depends_on_its_seed_and_number_alone():
    source = sampler(KIND, np.arange(90) % 3)
    again = sampler(KIND, np.arange(90) % 3)
    backwards = [next(itertools.islice(drawn(source, 8), i, None)) for i in reversed(range(8))]

    assert backwards[::-1] == list(drawn(again, 8))
    assert len(set(drawn(source, 8))) == 8
    assert list(drawn(source, 8, seed=1)) != list(drawn(again, 8))
    support, query = sampler(KIND, np.arange(90) % 3, shots=1, queries=1).sample(5, 9)  # pinned: the same everywhere
    assert [*support.tolist(), *query.tolist()] == [51, 49, 50, 18, 58, 26]
