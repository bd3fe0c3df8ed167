"""Known copies: shipped ledgers, rows left out, copies as one subject, and metrics without them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset

from fakes.episodes import KIND, toy
from medimeta.builders.loading import load_dataset
from medimeta.builders.phantoms import write_miniature
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.facts import SPLITS
from medimeta.errors import MedIMetaError
from medimeta.learn.data.exclusion import copies
from medimeta.learn.data.views import load_task
from medimeta.learn.episodes.recipe import Recipe
from medimeta.learn.episodes.sampler import sample_episodes
from medimeta.learn.evaluation.results import Result

SHIPPED = [id for id in DATASETS if copies.shipped(id) is not None]
BUS = DATASETS["bus"].task("case category")


def of_bus(split: str) -> pd.DataFrame:
    """Images of bus in the ledger."""
    rows = copies.shipped("bus").rows
    return rows[rows["split"] == split]


def bus_rows(paths: list[str]) -> Dataset:
    """Rows of bus without images."""
    labels = [BUS.labels.index(path.partition("/")[0]) for path in paths]
    plain = toy(replace(KIND, name="case category", labels=BUS.labels), labels)
    return plain.remove_columns("original_filepath").add_column("original_filepath", paths)


def test_ledgers_of_complete_datasets_ship():
    assert {"bus", "pbc", "skinl_derm", "skinl_photo"} <= set(SHIPPED)


@pytest.mark.parametrize("id", SHIPPED)
def test_a_shipped_ledger_fits_its_card(id):
    ledger, card = copies.shipped(id), DATASETS[id]
    rows = ledger.rows

    assert ledger.images[id] == dict(card.splits.counts)
    assert set(rows["kind"]) <= {"exact", "near"}
    assert rows["index"].between(0, card.total - 1).all()
    assert rows.groupby("group").size().min() > 1
    for task in card.tasks:
        if task.column in ledger.label_columns:
            assert set(rows[task.column]) <= set(task.labels)


def test_contradictions_are_those_that_were_found():
    bus, pbc = (copies.shipped(id).contradictions() for id in ("bus", "pbc"))

    assert bus["group"].nunique() == 7
    assert set(pbc["original_filepath"]) == {"eosinophil/EO_225902.jpg", "neutrophil/BNE_191112.jpg"}
    first = bus[bus["kind"] == "exact"]
    assert set(first["original_filepath"]) == {"benign/benign (433).png", "malignant/malignant (145).png"}
    assert copies.shipped("bus").summary().startswith("7 group(s) of copies have contradictory labels:\n  bus, 2 iden")


@pytest.fixture
def published(monkeypatch):
    """A source of bus with the images of its ledger, as published."""
    manifest = copies.shipped("bus").rows.drop_duplicates("original_filepath")
    monkeypatch.setattr(
        copies.MedIMeta, "source", lambda builder, cache_dir: SimpleNamespace(manifest=lambda: manifest)
    )


@pytest.mark.usefixtures("published")
def test_rows_left_out_share_no_group_with_later_splits():
    train, validation = (copies.excluded(True, "bus", split) for split in ("train", "validation"))
    rows = copies.shipped("bus").rows

    assert (len(train), len(validation)) == (66, 6)
    assert copies.excluded(True, "bus", "test") == []
    assert copies.excluded(True, "bus", "train+validation+test") == []
    assert set(copies.excluded(True, "bus", "train+val")) < {*train, *validation}  # test alone is evaluated later
    kept = rows[~((rows["split"] == "train") & rows["index"].isin(train))]
    assert not set(kept[kept["split"] == "train"]["group"]) & set(kept[kept["split"] == "test"]["group"])
    assert copies.excluded(None, "bus", "train") == copies.excluded(False, "bus", "train") == []


def test_a_dataset_without_a_ledger_is_refused_by_name():
    with pytest.raises(MedIMetaError, match=r"No ledger of crc ships .* only of bus, pbc, skinl_derm, skinl_photo"):
        copies.excluded(True, "crc", "train")


def test_other_splits_and_numbers_are_looked_up_by_path():
    first, second, *_ = copies.shipped("bus").rows["original_filepath"]  # one group
    rows = pd.DataFrame({"original_filepath": [second, first], "index": [7, 3], "split": ["train", "test"]})

    ledger = copies.placed(copies.shipped("bus"), "bus", rows)

    assert sorted(ledger.rows["index"]) == [3, 7]
    assert copies.excluded(ledger, "bus", "train") == [7]


@pytest.mark.slow
def test_images_of_a_partial_source_are_looked_up_by_path(tmp_path):
    raw = write_miniature("bus", tmp_path / "raw", per_class=80)
    options = {"data_dir": raw, "partial": True}
    splits = {split: load_dataset("bus", split=split, **options) for split in SPLITS}
    group = copies.shipped("bus").rows.groupby("original_filepath")["group"].agg(set).to_dict()
    train, *later = ([group.get(path, set()) for path in rows["original_filepath"]] for rows in splits.values())
    evaluated = set().union(*later[0], *later[1])

    kept = load_task("bus", split="train", exclude_leaks=True, **options)

    leaking = sum(bool(groups & evaluated) for groups in train)
    assert leaking > 0
    assert len(kept) == len(splits["train"]) - leaking


def test_copies_count_as_one_subject_together_with_their_subjects():
    one, other = copies.shipped("bus").rows["original_filepath"][:2]

    found = copies.units("bus", ["s", None, None, "s", "t"], [one, other, "x.png", "y.png", "z.png"])

    assert found[0] == found[1] == found[3] == f"{copies.COPIES}{one}"
    assert found[2:5:2] == [None, "t"]
    assert copies.units("bus", [None, "t"], [one, "x.png"]) == [None, "t"]  # its copy is elsewhere
    assert copies.units("toy", ["a", None], [one, other]) == ["a", None]


def test_query_sets_never_contain_a_copy_of_a_support_image():
    rows = copies.shipped("bus").rows
    paths = rows[rows["original_filepath"].str.startswith("benign")]["original_filepath"].drop_duplicates().tolist()
    paths += [f"malignant/malignant ({number}).png" for number in range(1, 100)]
    task = replace(BUS, labels=BUS.labels)
    groups = rows.groupby("original_filepath")["group"].first()

    def mixed(recipe: Recipe) -> int:
        episodes = sample_episodes(bus_rows(paths), task, recipe, n=30, seed=0)
        sides = [[{groups.get(paths[row], -row) for row in side} for side in episode] for episode in episodes]
        return sum(bool(support & query) for support, query in sides)

    recipe = Recipe(30, 10, classes=["benign", "malignant"])
    assert mixed(recipe) == 0
    assert mixed(replace(recipe, subject_disjoint=False)) > 15


def test_results_of_a_split_have_metrics_without_copies():
    paths = [*of_bus("test")["original_filepath"].drop_duplicates(), *(f"normal/other ({n}).png" for n in range(60))]
    rows = bus_rows(paths)
    labels = np.array(rows["case_category"])
    copied = copies.copied("bus", paths)
    answers = np.where(copied, labels, (labels + np.arange(len(labels)) % 2) % 3)  # half of the others are wrong

    found = Result.of_scores(
        BUS, np.eye(3)[answers], rows, split="test", protocol="p", method="m", model="", resamples=20
    )

    assert found.copies.images == copied.sum() == 36
    assert found.copies.without["accuracy"].value == pytest.approx((answers == labels)[~copied].mean())
    assert found.copies.without["accuracy"].value < found.metrics["accuracy"].value
    assert "groups of copies" in found.interval
    assert found.predictions["unit"].null_count == len(paths) - 8  # four pairs within the test split


def test_results_without_a_ledger_say_that_copies_are_unknown():
    found = Result.of_scores(
        KIND, np.eye(3), toy(KIND, [0, 1, 2]), split="test", protocol="p", method="m", model="", resamples=0
    )

    assert found.copies is None
    assert "unit" not in found.predictions.column_names
