"""Untrusted episode sets: a file with a correct hash is either a possible set or refused, whatever it holds."""

from __future__ import annotations

import copy
import json
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.episodes import FINDINGS, KIND, SICK, random_toy
from medimeta.errors import MedIMetaError
from medimeta.learn.episodes import table as tables
from medimeta.learn.episodes.episode_set import EpisodeSet
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes

TASKS = {task.kind: task for task in (KIND, SICK, FINDINGS)}
COLUMNS = ["classes", "support", "support_labels", "query", "query_labels"]
NUMBERS = st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@cache
def valid(kind):
    """Return the episodes and the description of a set, as plain values."""
    task = TASKS[kind]
    ways = None if kind == "binary" else "random"
    episodes = sample_episodes(random_toy(task, 0, 60), task, Recipe((1, 3), 2, ways), n=3, split="test")
    return episodes.table.to_pylist(), episodes.about


def forged(path, episodes, about, kind, *, raw=None):
    """Write a file with a correct hash; return False if the episodes do not fit the schema."""
    schema = tables.schema(multilabel=kind == "multilabel")
    try:
        table = pa.Table.from_pylist(episodes, schema)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return False
    sha256 = tables.digest(table, about) if raw is None else "0" * 64
    about = json.dumps(about, sort_keys=True, separators=(",", ":")).encode() if raw is None else raw
    metadata = {tables.ABOUT: about, tables.SHA256: sha256.encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return True


def assert_possible(episodes):
    """Assert what every consumer of a set relies on."""
    rows, labels = episodes.about["rows"], len(episodes.task.labels)
    low, high = episodes.about["recipe"]["shots"]
    assert len(episodes) > 0
    for number, episode in enumerate(episodes):
        assert episode.number == number
        assert low <= episode.shots <= high
        assert list(episode.classes) == sorted(set(episode.classes))
        assert set(episode.classes) <= set(range(labels))
        assert not set(episode.support.tolist()) & set(episode.query.tolist())
        for side, stated, need in (
            (episode.support, episode.support_labels, episode.shots),
            (episode.query, episode.query_labels, 2),
        ):
            assert len(set(side.tolist())) == len(side) == len(stated) > 0
            assert 0 <= side.min() <= side.max() < rows
            if stated.ndim == 2:
                assert (stated.sum(0) >= need).all()
                assert ((1 - stated).sum(0) >= need).all()
            else:
                assert np.bincount(stated).tolist() == [need] * len(episode.classes)


@st.composite
def mutations(draw):
    """Draw a function that makes one to three changes to episodes and description in place."""
    changes = draw(
        st.lists(
            st.tuples(st.sampled_from(["cell", "drop", "double", "number", "swap", "key", "value"]), st.randoms()),
            min_size=1,
            max_size=3,
        )
    )
    number, value = draw(NUMBERS), draw(JSON)

    def change(episodes, about):
        for what, random in changes:
            episode, column = random.choice(episodes), random.choice(COLUMNS)
            cell = episode[column]
            inner = random.choice(cell) if cell and isinstance(random.choice(cell), list) else cell
            place = random.choice([about, about["task"], about["recipe"], about["fingerprint"]])
            if not isinstance(place, dict) or not place or not isinstance(cell, list):
                continue
            if what == "cell" and inner and not isinstance(inner[0], list):
                inner[random.randrange(len(inner))] = number
            elif what == "drop" and cell:
                cell.pop(random.randrange(len(cell)))
            elif what == "double" and cell:
                cell.append(copy.deepcopy(random.choice(cell)))
            elif what == "number":
                episode[random.choice(["episode", "shots"])] = number
            elif what == "swap":
                other = random.choice(COLUMNS)
                episode[column], episode[other] = episode[other], cell
            elif what == "key":
                place.pop(random.choice(sorted(place)))
                break
            elif what == "value":
                place[random.choice(sorted(place))] = value
                break

    return change


@pytest.mark.parametrize("kind", TASKS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=mutations())
@pytest.mark.slow
def test_a_forged_set_is_possible_or_refused(kind, tmp_path, change):
    episodes, about = copy.deepcopy(valid(kind))
    change(episodes, about)
    if not forged(tmp_path / "e.parquet", episodes, about, kind):
        return
    try:
        loaded = EpisodeSet.load(tmp_path / "e.parquet")
    except MedIMetaError:
        return
    assert_possible(loaded)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
def test_malformed_descriptions_are_refused(tmp_path, raw):
    episodes, about = valid("multiclass")
    forged(tmp_path / "e.parquet", episodes, about, "multiclass", raw=raw)
    with pytest.raises(MedIMetaError, match=r"e\.parquet (is not an episode set|has version)"):
        EpisodeSet.load(tmp_path / "e.parquet")


def edited(**cells):
    def change(episodes, about):
        episodes[0].update({column: edit(episodes[0]) for column, edit in cells.items()})

    return change


def described(part, **values):
    def change(episodes, about):
        (about[part] if part else about).update(values)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edited(support=lambda e: [-1, *e["support"][1:]]), "rows that are not from 0 to 59"),
        (edited(query=lambda e: [60, *e["query"][1:]]), "rows that are not from 0 to 59"),
        (edited(query=lambda e: [e["support"][0], *e["query"][1:]]), "in both support and query"),
        (edited(support=lambda e: [], support_labels=lambda e: []), "its support set is empty"),
        (edited(query=lambda e: [e["query"][1], *e["query"][1:]]), "holds an image twice"),
        (edited(support_labels=lambda e: [9, *e["support_labels"][1:]]), "support labels are out of range"),
        (edited(query_labels=lambda e: [-1, *e["query_labels"][1:]]), "query labels are out of range"),
        (edited(query_labels=lambda e: e["query_labels"][1:]), "labels of"),
        (edited(query_labels=lambda e: [e["query_labels"][-1], *e["query_labels"][1:]]), "2 images of every class"),
        (edited(classes=lambda e: e["classes"][::-1]), "classes"),
        (edited(classes=lambda e: [*e["classes"][:-1], 3]), "classes"),
        (edited(shots=lambda e: 7), "7 shots"),
        (edited(episode=lambda e: 5), "its number is 5"),
        (edited(support=lambda e: None), "values are missing"),
        (edited(support=lambda e: [None, *e["support"][1:]]), "values are missing"),
        (described("", rows=-1), "rows"),
        (described("", seed="0"), "seed"),
        (described("", more=1), "more"),
        (described("task", target="regression"), "task.target"),
        (described("task", labels=[]), "task.labels"),
        (described("recipe", shots=[3, 1]), "shots"),
        (described("recipe", queries=0), "queries"),
        (described("fingerprint", labels="0"), "fingerprint.labels"),
        (lambda episodes, about: about.clear(), "malformed"),
        (lambda episodes, about: episodes.clear(), "without episodes"),
        (described("", split="x" * (1 << 20)), "bytes"),
    ],
)
def test_each_fault_is_named(change, words, tmp_path):
    episodes, about = copy.deepcopy(valid("multiclass"))
    change(episodes, about)
    assert forged(tmp_path / "e.parquet", episodes, about, "multiclass")
    with pytest.raises(MedIMetaError, match=rf"(?s)e\.parquet .*{words}.*medimeta episodes ID"):
        EpisodeSet.load(tmp_path / "e.parquet")


def test_labels_that_the_rows_do_not_have_are_refused(tmp_path):
    for kind, task in TASKS.items():
        rows = random_toy(task, 0, 60)
        episodes, about = copy.deepcopy(valid(kind))
        forged(tmp_path / "e.parquet", episodes, about, kind)
        assert len(EpisodeSet.load(tmp_path / "e.parquet", rows)) == 3
        labels = episodes[1]["query_labels"]
        other = next(i for i, label in enumerate(labels) if label != labels[0])
        labels[0], labels[other] = labels[other], labels[0]
        forged(tmp_path / "e.parquet", episodes, about, kind)
        with pytest.raises(MedIMetaError, match=r"Episode 1 of toy / .* states other labels than its rows have"):
            EpisodeSet.load(tmp_path / "e.parquet", rows)


def test_a_forged_dataset_is_refused_as_well():
    episodes = sample_episodes(random_toy(KIND, 0), KIND, Recipe(), n=3, split="test").to_dataset()
    for column, value in (("support", [-1] * 15), ("about", "[" * 5000), ("sha256", "?"), ("about", "nul")):
        with pytest.raises(MedIMetaError, match="The dataset "):
            EpisodeSet.from_dataset(episodes.map(lambda row, column=column, value=value: {column: value}))
    texts = Dataset.from_dict({name: ["a"] for name in episodes.column_names})
    with pytest.raises(MedIMetaError, match="is not an episode set"):
        EpisodeSet.from_dataset(texts)


def test_a_file_that_expands_without_bound_is_refused(tmp_path):
    for values, words in (
        (pa.array(np.zeros((1 << 24) + 1, np.int8)), "more than 16,777,216 values"),
        (pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array(["a" * 100_000])), "other types"),
    ):
        pq.write_table(pa.table({"episode": values}), tmp_path / "e.parquet")
        assert (tmp_path / "e.parquet").stat().st_size < 1_000_000
        with pytest.raises(MedIMetaError, match=words):
            EpisodeSet.load(tmp_path / "e.parquet")
