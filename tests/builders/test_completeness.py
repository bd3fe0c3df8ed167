"""Complete sources: pinned hashes follow from the complete tables, and other names or labels are refused."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from medimeta.builders import source
from medimeta.builders.hub.folder import HubSource
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options, RawSource, find_reader
from medimeta.builders.sources import chestxray14, isic2018, rfmid
from medimeta.builders.table import completeness
from medimeta.builders.table.completeness import label_hash, path_hash, published_paths, subject_hash
from medimeta.builders.table.manifest import label_ids
from medimeta.builders.table.splits import official_split
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.details import Pins
from medimeta.errors import SourceBroken, SourceIncomplete
from medimeta.upload.folder.record import read_records
from medimeta.upload.folder.writing import build

FROM_TABLES = ("cxr", "derm", "fundus", "mammo_calc", "mammo_mass")
FROM_MEMBERSHIP = ("bus", "pbc", "skinl_derm", "skinl_photo")


def membership(shared, dataset):
    """The official rows of a complete dataset, as a manifest."""
    card, table = DATASETS[dataset], shared / "golden" / "full_membership" / f"{dataset}.csv.gz"
    rows = pd.read_csv(table, dtype=str, keep_default_na=False)
    ids = {t.column: rows[f"task:{t.name}"].map({str(key): i for i, key in enumerate(t.keys)}) for t in card.tasks}
    return rows.assign(**ids)


def tables(shared, dataset, folder):
    """The complete tables of a dataset where its reader looks for them."""
    home = shared / "real" / "tables"
    if dataset == "cxr":
        for name in (*chestxray14.LISTS.values(), chestxray14.BOXES):
            shutil.copy(home / "cxr14" / name, folder)
        packed = (home / "cxr14" / f"{chestxray14.TABLE}.gz").read_bytes()
        (folder / chestxray14.TABLE).write_bytes(gzip.decompress(packed))
    elif dataset == "fundus":
        (folder / rfmid.IMAGES).mkdir()
        (folder / rfmid.IMAGES / "marker.txt").touch()
        shutil.copytree(home / "rfmid", folder / rfmid.TABLES)
    elif dataset.startswith("skinl"):
        (folder / "images").mkdir()
        (folder / "images" / "marker.txt").touch()
        shutil.copytree(home / "derm7pt", folder / "meta")
    elif dataset == "derm":
        for split, part in isic2018.PARTS.items():
            name = f"{part}_GroundTruth"
            (folder / name).mkdir()
            if split != "train":
                shutil.copy(home / "ham10000" / f"{name}.csv", folder / name)
        known = pd.read_csv(home / "ham10000" / "HAM10000_metadata.csv")
        codes = pd.get_dummies(known["dx"].str.upper(), dtype=float).assign(image=known["image_id"])
        codes.sort_values("image").to_csv(
            folder / name.replace("Test", "Training") / f"{isic2018.PARTS['train']}_GroundTruth.csv"
        )
    else:
        (folder / "CBIS-DDSM").mkdir()
        (folder / "CBIS-DDSM" / "marker.txt").touch()
        for path in (home / "cbis").glob("*.csv"):
            shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("dataset", FROM_MEMBERSHIP)
def test_pins_are_those_of_the_official_membership(shared, dataset):
    rows, card = membership(shared, dataset), DATASETS[dataset]

    assert len(rows) == card.total
    assert (card.complete.paths, card.complete.labels) == (path_hash(rows), label_hash(rows, card))


@pytest.mark.parametrize("dataset", [*FROM_TABLES, "skinl_derm", "skinl_photo"])
def test_pins_are_those_of_the_complete_tables(shared, tmp_path, dataset):
    card = DATASETS[dataset]
    rows = find_reader(card).manifest(RawSource(dataset, tables(shared, dataset, tmp_path)).raw)
    rows = rows.assign(**{task.column: label_ids(rows, task) for task in card.tasks})

    assert len(rows) == card.total
    # Only the files tell the crops of mammo_*; the training labels of derm were seen in a table of another source.
    paths = None if dataset.startswith("mammo") else path_hash(rows)
    labels = None if dataset == "derm" else label_hash(rows, card)
    subjects = None if dataset in ("derm", "fundus") else subject_hash(rows)
    assert (card.complete.paths, card.complete.labels, card.complete.subjects) == (paths, labels, subjects)


def test_no_other_dataset_is_pinned():
    pinned = {
        name for name, card in DATASETS.items() if card.complete and (card.complete.paths or card.complete.labels)
    }
    assert pinned == {*FROM_TABLES, *FROM_MEMBERSHIP}


SAMPLES = {
    "aml": "aml_cyto", "bus": "busi", "cxr": "cxr14", "derm": "ham10000", "fundus": "rfmid", "pbc": "pbc",
}  # fmt: skip


@pytest.mark.parametrize("dataset", SAMPLES)
def test_images_of_real_sources_have_the_pinned_sizes(shared, dataset):
    low, high = DATASETS[dataset].complete.longer_side
    for path in (shared / "real" / SAMPLES[dataset]).rglob("*"):
        if path.suffix in (".png", ".jpg", ".tiff") and path.name[0] != ".":
            with Image.open(path) as image:
                assert low <= max(image.size) <= high, path


def test_the_list_of_pbc_gives_its_hash_and_its_official_splits():
    paths, card = sorted(published_paths("pbc")), DATASETS["pbc"]
    rows = pd.DataFrame({"original_filepath": paths, "original_split": "train"})

    assert path_hash(rows) == card.complete.paths
    assert pd.Series(official_split(rows, card.splits)).value_counts().to_dict() == card.splits.counts


def _pictures(folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg") and path.name[0] != ".":
            with Image.open(path) as image:
                yield image


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """A function that takes a miniature for the complete source of its dataset, and pins its hashes."""

    def make(dataset):
        folder = write_miniature(dataset, tmp_path / "raw", per_class=3, packed=False)
        real = DATASETS[dataset]
        rows = RawSource(dataset, folder, Options(partial=True)).manifest()
        counts = {name: rows[name].value_counts().to_dict() for name in ("split", "original_split")}
        rule = replace(real.splits, counts=counts["split"], original=counts["original_split"])
        raw_rows = find_reader(real).manifest(RawSource(dataset, folder).raw)
        subjects = subject_hash(raw_rows) if "subject_id" in raw_rows else None
        side = [max(image.size) for image in _pictures(folder)]
        complete = Pins(path_hash(rows), label_hash(rows, real), subjects, (min(side), max(side)) if side else None)
        card = replace(real, splits=rule, complete=complete)
        monkeypatch.setitem(DATASETS._cards, dataset, card)
        monkeypatch.setattr(completeness, "published_paths", lambda dataset: frozenset())
        monkeypatch.setattr(source, "published_paths", lambda name: frozenset(rows["original_filepath"]))
        return folder

    return make


def test_a_complete_source_is_built(complete):
    assert len(RawSource("pbc", complete("pbc")).manifest()) == 24


def test_a_renamed_file_is_named(complete):
    folder = complete("pbc")
    image = sorted(folder.rglob("basophil/*.jpg"))[0]
    image.rename(image.with_name("BA_1.jpg"))

    with pytest.raises(SourceIncomplete, match=rf"(?s)basophil/{image.name}.*basophil/BA_1.jpg.*--partial"):
        RawSource("pbc", folder).manifest()
    assert len(RawSource("pbc", folder, Options(partial=True)).manifest()) == 24


def test_a_renamed_file_is_noticed_without_a_list(complete, monkeypatch):
    folder = complete("pbc")
    monkeypatch.setattr(source, "published_paths", lambda name: frozenset())
    image = sorted(folder.rglob("basophil/*.jpg"))[0]
    image.rename(image.with_name("BA_1.jpg"))

    with pytest.raises(SourceIncomplete, match="renamed or exchanged"):
        RawSource("pbc", folder).manifest()


def test_an_edited_label_is_noticed(complete):
    folder = complete("fundus")
    table = next(folder.rglob("a. RFMiD_Training_Labels.csv"))
    marks = pd.read_csv(table, dtype=str)
    marks.iloc[0, -1] = str(1 - int(marks.iloc[0, -1]))
    marks.to_csv(table, index=False)

    with pytest.raises(SourceIncomplete, match="not with the published labels"):
        RawSource("fundus", folder).manifest()
    assert len(RawSource("fundus", folder, Options(partial=True)).manifest())


def test_smaller_copies_are_noticed(complete):
    folder = complete("pbc")
    rows = RawSource("pbc", folder).manifest()
    RawSource("pbc", folder).encode(rows[:1])
    path = folder / "PBC_dataset_normal_DIB" / rows["path"][0]
    with Image.open(path) as image:
        image.resize((256, 256)).save(path)

    with pytest.raises(SourceBroken, match=f"{path.name}.*256x256"):
        RawSource("pbc", folder).encode(rows[:1])
    RawSource("pbc", folder, Options(partial=True)).encode(rows[:1])


@pytest.mark.parametrize("change", ["another patient", "another order"])
def test_an_edited_table_is_noticed(complete, change):
    folder = complete("skinl_derm")
    path = next(folder.rglob("meta.csv"))
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if change == "another order":
        table = table[::-1]
    else:
        table.loc[:1, "derm"] = table["derm"][1::-1].to_numpy()
        table.loc[:1, "clinic"] = table["clinic"][1::-1].to_numpy()
    table.to_csv(path, index=False)

    with pytest.raises(SourceIncomplete, match=r"published files and cases|published labels"):
        RawSource("skinl_derm", folder).manifest()


def test_a_complete_hub_folder_has_the_pinned_hashes(shared):
    rows, card = HubSource("bus", shared / "full" / "hub" / "bus").manifest(), DATASETS["bus"]

    assert (path_hash(rows), label_hash(rows, card)) == (card.complete.paths, card.complete.labels)


def test_a_complete_build_records_its_hashes(complete, tmp_path):
    folder = complete("pbc")
    record = build(RawSource("pbc", folder), tmp_path / "hub", version="0")
    image = sorted(folder.rglob("basophil/*.jpg"))[0]
    image.rename(image.with_name("BA_1.jpg"))
    other = build(RawSource("pbc", folder, Options(partial=True)), tmp_path / "other", version="0")

    pins = DATASETS["pbc"].complete
    assert (record.paths_sha256, record.labels_sha256) == (pins.paths, pins.labels)
    assert (record.version, record.membership) == (DATASETS["pbc"].version, "computed")
    assert read_records(tmp_path / "hub") == [record]
    assert (other.paths_sha256 == pins.paths, other.membership) == (False, "recomputed")


def test_a_partial_build_records_none(tmp_path):
    folder = write_miniature("pbc", tmp_path / "raw", per_class=2)
    record = build(RawSource("pbc", folder, Options(partial=True)), tmp_path / "hub", version="0")

    assert (record.paths_sha256, record.labels_sha256) == (None, None)
