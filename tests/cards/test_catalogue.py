"""The catalogue: that the 19 cards say what was published, and that a wrong card is refused with a useful message."""

import csv
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from fakes.golden import SHARED, golden_folder
from medimeta.cards import catalogue
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.facts import snake_case, split_name

CARDS = Path(catalogue.__file__).parent
FACTS = SHARED / "spec" / "facts.yaml"

# id: rows in train, validation, test; then in the source's own train, val, test (0: there is no such split)
SPLITS = {
    "aml": ((12855, 1836, 3674), (18365, 0, 0)),
    "bus": ((546, 78, 156), (780, 0, 0)),
    "crc": ((85000, 15000, 7180), (100000, 7180, 0)),
    "cxr": ((73421, 13103, 25596), (86524, 0, 25596)),
    "derm": ((10015, 193, 1512), (10015, 193, 1512)),
    "dr_regular": ((1200, 400, 400), (1200, 400, 400)),
    "dr_uwf": ((150, 50, 50), (150, 50, 50)),
    "fundus": ((1920, 640, 640), (1920, 640, 640)),
    "glaucoma": ((857, 152, 336), (1009, 0, 336)),
    "mammo_calc": ((1332, 214, 326), (1546, 0, 326)),
    "mammo_mass": ((1126, 192, 378), (1318, 0, 378)),
    "oct": ((91615, 16694, 1000), (108309, 0, 1000)),
    "organs_axial": ((871, 156, 618), (1027, 0, 618)),
    "organs_coronal": ((871, 156, 618), (1027, 0, 618)),
    "organs_sagittal": ((871, 156, 618), (1027, 0, 618)),
    "pbc": ((11964, 1709, 3419), (17092, 0, 0)),
    "pneumonia": ((4415, 817, 624), (5232, 0, 624)),
    "skinl_derm": ((413, 203, 395), (413, 203, 395)),
    "skinl_photo": ((413, 203, 395), (413, 203, 395)),
}
NOT_COMMERCIAL = {"derm", "organs_axial", "organs_coronal", "organs_sagittal", "skinl_derm", "skinl_photo"}

# Licence: (commercial use, redistribution, share alike)
TERMS = {
    "CC-BY-3.0": (True, True, False),
    "CC-BY-4.0": (True, True, False),
    "CC-BY-SA-4.0": (True, True, True),
    "CC-BY-NC-4.0": (False, True, False),
    "CC-BY-NC-SA-4.0": (False, True, True),
    "LicenseRef-NIH-ChestXray14": (True, True, False),
    "LicenseRef-derm7pt-research-only": (False, False, True),
}

every_dataset = pytest.mark.parametrize("dataset", SPLITS)
needs_facts = pytest.mark.skipif(not FACTS.is_file(), reason=f"{FACTS} is not here; set MEDIMETA_SHARED to its folder")


def test_totals():
    assert list(DATASETS) == sorted(SPLITS)
    assert len(DATASETS) == 19
    assert len(DATASETS.tasks()) == 54
    assert len(DATASETS.domains) == 10
    assert sum(card.total for card in DATASETS.values()) == 399_742


def test_kinds():
    found = Counter(task.kind for task in DATASETS.tasks())
    assert found == {"multiclass": 30, "binary": 13, "multilabel": 6, "ordinal": 5}


@every_dataset
def test_split_counts(dataset):
    counts, original = SPLITS[dataset]
    rule = DATASETS[dataset].splits
    assert rule.counts == {name: n for name, n in zip(("train", "validation", "test"), counts, strict=True) if n}
    assert rule.original == {name: n for name, n in zip(("train", "val", "test"), original, strict=True) if n}


@every_dataset
def test_split_rule_fits_the_counts(dataset):
    rule = DATASETS[dataset].splits
    counts, original = SPLITS[dataset]
    match rule.rule:
        case "source":
            assert counts == original
        case "random":
            assert original[1:] == (0, 0)
            assert (rule.train, rule.validation) == (0.7, 0.1)
            assert counts[:2] == (int(0.7 * original[0]), int(0.1 * original[0]))
        case "holdout":
            assert (rule.train, rule.validation) == (0.85, 0.15)
            assert counts[0] + counts[1] == original[0]
            assert counts[2] == original[1] + original[2]


def test_membership_that_cannot_be_computed():
    listing = {name for name, card in DATASETS.items() if card.splits.order == "listing"}
    assert listing == {"glaucoma", "organs_axial", "organs_coronal", "organs_sagittal"}


@every_dataset
def test_split_by_subject_needs_subjects(dataset):
    card = DATASETS[dataset]
    assert card.splits.by != "subject_id" or card.subject is not None


@every_dataset
def test_subject_overlaps_are_symmetric(dataset):
    def names(name):
        return {other.dataset for other in DATASETS[name].subject_overlaps}

    assert dataset not in names(dataset)
    assert all(dataset in names(other) for other in names(dataset))


@every_dataset
def test_domain_overlaps_are_the_datasets_of_the_domain(dataset):
    domain = DATASETS[dataset].domain
    same = {name for name, card in DATASETS.items() if card.domain == domain} - {dataset}
    assert set(DATASETS[dataset].domain_overlaps) == same


def test_subject_overlaps_found_since():
    found = {(name, o.dataset) for name, card in DATASETS.items() for o in card.subject_overlaps if not o.published}
    assert found == {("mammo_mass", "mammo_calc"), ("mammo_calc", "mammo_mass")}
    assert all("79 patients" in DATASETS[name].subject_overlaps[0].note for name, _ in found)


@every_dataset
def test_licence_is_never_looser_than_a_source(dataset):
    card = DATASETS[dataset]
    licence = card.licence
    assert (licence.commercial, licence.redistribution) == TERMS[licence.id][:2]
    for source in card.sources:
        assert (source.commercial, source.redistribution) == TERMS[source.licence][:2]
        assert licence.commercial <= source.commercial
        assert licence.redistribution <= source.redistribution
    for terms in (licence.released, *(source.licence for source in card.sources)):
        assert TERMS[licence.id][2] >= TERMS[terms][2], "share alike is lost"


@every_dataset
def test_conflict_is_named_where_the_release_is_looser_than_a_source(dataset):
    card = DATASETS[dataset]
    released = TERMS[card.licence.released]
    looser = any(released[0] > source.commercial or released[1] > source.redistribution for source in card.sources)
    assert looser == (card.licence.conflict is not None)
    assert looser == (dataset in {"derm", "skinl_derm", "skinl_photo"})


def test_commercial_subset():
    assert set(DATASETS.commercial()) == SPLITS.keys() - NOT_COMMERCIAL


@every_dataset
def test_columns_are_unique_and_snake_case(dataset):
    card = DATASETS[dataset]
    columns = ["image", *(t.column for t in card.tasks), "subject_id", "original_split", "original_filepath", "index"]
    columns += [*(a.column for a in card.annotations), *card.masks]
    assert len(set(columns)) == len(columns)
    assert all(column == snake_case(column) for column in columns)


@every_dataset
def test_tasks(dataset):
    card = DATASETS[dataset]
    assert [task.is_main for task in card.tasks] == [True] + [False] * (len(card.tasks) - 1)
    for task in card.tasks:
        assert task.dataset == dataset
        assert len(task.keys) == len(task.labels) == len(set(task.labels))
        assert all(a < b for a, b in pairwise(task.keys))
        assert all(label == label.strip() for label in task.labels)
        assert card.task(task.name) is card.task(task.column) is card.task(task.name.upper()) is task


def test_ordinal_keys_with_gaps():
    card = DATASETS["dr_regular"]
    assert card.task("Artifact").scores == (0, 1, 4, 6, 8, 10)
    assert card.task("Clarity").scores == card.task("Field definition").scores == (1, 4, 6, 8, 10)


def test_labels_that_yaml_takes_for_booleans():
    assert DATASETS["oct"].task("urgent referral").labels == ("NO", "YES")


def test_citations():
    keys = {}
    for card in DATASETS.values():
        for source in card.sources:
            assert source.archives
            assert source.bibtex
            for entry in source.bibtex:
                head = re.match(r"@(article|inproceedings|misc)\{(\w+),\n", entry)
                assert head, entry
                assert entry.count("{") == entry.count("}"), entry
                assert keys.setdefault(head[2], entry) == entry, f"two entries are called {head[2]}"


def test_corrections_count_rows():
    rows = {
        (name, correction.task, correction.rows)
        for name, card in DATASETS.items()
        for correction in card.corrections
        if correction.rows is not None
    }
    assert rows == {
        ("bus", None, 17),
        ("mammo_mass", "mass shape", 4),
        ("mammo_mass", "mass margins", 60),
        ("mammo_calc", "calc type", 44),
        ("mammo_calc", "calc type", 24),
        ("mammo_calc", "calc distribution", 439),
    }


def test_cards_are_readable():
    for path in sorted(CARDS.glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if len(line) > 120 or line != line.rstrip()], path.name


@pytest.fixture(scope="module")
def facts():
    return yaml.safe_load(FACTS.read_text(encoding="utf-8"))


@needs_facts
@every_dataset
def test_equals_the_published_facts(dataset, facts):
    fact = facts[dataset]
    card = DATASETS[dataset]
    assert (card.name, card.domain, card.channels, card.total) == (
        fact["name"],
        fact["domain"],
        fact["input_size"][0],
        fact["total"],
    )
    assert card.splits.counts == {split_name(name): n for name, n in fact["splits"].items() if n}
    assert card.splits.original == {name: n for name, n in fact["original_splits"].items() if n}
    assert sorted(card.domain_overlaps) == sorted(fact["domain_overlaps"])
    assert sorted(o.dataset for o in card.subject_overlaps if o.published) == sorted(fact["subject_overlaps"])
    assert [(t.name, t.kind, dict(zip(t.keys, t.labels, strict=True))) for t in card.tasks] == [
        (t["name"], t["target"].partition("_")[0], t["labels"]) for t in fact["tasks"]
    ]
    assert len(card.sources) == len(fact["sources"])
    for source, published in zip(card.sources, fact["sources"], strict=True):
        assert set(source.doi) >= set(published["dois"])
        assert source.authors == published["authors"]


@every_dataset
def test_annotations_are_columns_of_the_release(dataset):
    with (golden_folder(dataset) / "annotations.csv").open(encoding="utf-8", newline="") as file:
        released = set(next(csv.reader(file)))
    only_in_source = {
        "mammo_mass": {"original_pathology", "original_mass_shape", "original_mass_margins"},
        "mammo_calc": {"original_pathology", "original_calc_type", "original_calc_distribution"},
    }
    missing = {a.release_column for a in DATASETS[dataset].annotations} - released
    assert missing == only_in_source.get(dataset, set())


def test_corrected_labels_name_the_source_that_says_which_is_right():
    corrections = [correction for card in DATASETS.values() for correction in card.corrections]

    assert sum(correction.task is not None for correction in corrections) > 4
    assert all(correction.source for correction in corrections if correction.task is not None)
