"""croissant.json: valid for its own library, and rows can be read through it."""

import io
import json

import numpy as np
import pytest
from datasets import load_dataset
from PIL import Image

from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.cards.catalogue import DATASETS
from medimeta.upload.folder.writing import build

mlc = pytest.importorskip("mlcroissant", reason="mlcroissant is not in the oldest environment")

PER_CLASS = {"bus": 4, "cxr": 2, "mammo_calc": 3, "skinl_derm": 1}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("croissant")
    for dataset, count in PER_CLASS.items():
        raw = write_miniature(dataset, folder / dataset, per_class=count)
        options = Options(partial=True, with_masks=dataset != "bus", labels="corrected")
        build(open_source(dataset, raw, options), folder / "hub", version="0.1.0")
    return folder / "hub"


@pytest.fixture
def described(hub):
    return mlc.Dataset(jsonld=hub / "croissant.json")


def test_it_is_valid(described):
    issues = described.metadata.ctx.issues

    assert (issues.errors, issues.warnings) == (set(), set())
    assert [record_set.id for record_set in described.metadata.record_sets] == ["splits", *PER_CLASS]


def test_it_has_the_version_and_the_responsible_ai_facts(described):
    metadata = described.metadata

    assert metadata.ctx.conforms_to.value == "http://mlcommons.org/croissant/1.1"
    for name in ("data_collection", "data_annotation_protocol", "data_limitations", "data_biases", "data_use_cases"):
        assert getattr(metadata, name), name
    assert "without names" in metadata.personal_sensitive_information[0]
    assert metadata.data_release_maintenance_plan


def test_it_says_what_the_labels_mean_and_what_is_not_allowed(hub):
    facts = json.loads((hub / "croissant.json").read_text(encoding="utf-8"))
    records = {record_set["@id"]: record_set for record_set in facts["recordSet"]}
    bus = {field["@id"]: field["description"] for field in records["bus"]["field"]}

    assert bus["bus/case_category"] == "Task case category (multiclass). 0: normal, 1: benign, 2: malignant."
    assert records["skinl_derm"]["description"].endswith("No commercial use. The images may not be redistributed.")
    assert "https://spdx.org/licenses/CC-BY-SA-4.0" in facts["license"]
    assert DATASETS["skinl_derm"].sources[0].url in facts["license"]


@pytest.mark.parametrize("dataset", PER_CLASS)
def test_rows_read_through_it_are_those_that_datasets_reads(hub, described, dataset):
    loaded = load_dataset(str(hub), dataset)
    expected = {row["index"]: row | {"split": split} for split in loaded for row in loaded[split]}

    records = {record[f"{dataset}/index"]: record for record in described.records(dataset)}

    assert records.keys() == expected.keys()
    for index, record in records.items():
        found = {name.removeprefix(f"{dataset}/"): plain(value) for name, value in record.items()}
        assert found == {name: plain(value) for name, value in expected[index].items()}


def plain(value):
    """Comparable: pixels as bytes, text as text, structs by their own names."""
    if isinstance(value, Image.Image):
        return np.asarray(value).astype(np.uint8).tobytes()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def test_one_split_can_be_asked_for(described):
    splits = [record["bus/split"] for record in described.records("bus", filters={"bus/split": "test"})]

    assert splits
    assert set(splits) == {b"test"}


def test_the_image_is_what_is_stored(hub, described):
    record = next(iter(described.records("bus")))
    stored = load_dataset(str(hub), "bus", split=record["bus/split"].decode())
    row = next(row for row in stored if row["index"] == record["bus/index"])
    buffer = io.BytesIO()
    record["bus/image"].save(buffer, "PNG")

    assert record["bus/image"].size == (224, 224)
    assert np.array_equal(np.asarray(Image.open(buffer)), np.asarray(row["image"]))
