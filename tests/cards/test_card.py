"""The card: what the Hub reads, what people read, its pictures, and that the same input gives the same bytes."""

import io
import re
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import Features
from huggingface_hub import DatasetCard
from PIL import Image

from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import features
from medimeta.builders.source import Options
from medimeta.cards.card import NONE, UNKNOWN, label_names
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.pictures import COLUMNS
from medimeta.errors import MedIMetaError
from medimeta.files.parallel import pool
from medimeta.upload.folder.card_files import write_card
from medimeta.upload.folder.shards import stored_features
from medimeta.upload.folder.writing import build

BUILT = {  # images per class, and how it is built
    "bus": (8, Options(partial=True)),
    "cxr": (4, Options(partial=True)),
    "dr_regular": (2, Options(partial=True)),
    "mammo_calc": (6, Options(partial=True, labels="corrected")),
    "skinl_derm": (2, Options(partial=True)),
}
TILE = 112


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    return {dataset: write_miniature(dataset, folder / dataset, per_class=n) for dataset, (n, _) in BUILT.items()}


def build_all(raw, out, order, executor=None, workers=1):
    for dataset in order:
        source = open_source(dataset, raw[dataset], BUILT[dataset][1])
        build(source, out, version="0.1.0", executor=executor, workers=workers)
    return out


@pytest.fixture(scope="module")
def hub(raw, tmp_path_factory):
    return build_all(raw, tmp_path_factory.mktemp("built") / "hub", BUILT)


@pytest.fixture(scope="module")
def card(hub):
    return DatasetCard.load(hub / "README.md")


def rows_of(hub, dataset):
    """All rows in the order of the shards, with their split."""
    for split in ("train", "validation", "test"):
        for path in sorted((hub / dataset).glob(f"{split}-*.parquet")):
            for row in pq.read_table(path).to_pylist():
                yield row | {"split": split}


def names_of(row, task):
    value = row[task.column]
    if value is None:
        return [UNKNOWN]
    return [task.labels[v] for v in value] or [NONE] if task.kind == "multilabel" else [task.labels[value]]


def test_the_hub_understands_the_front_matter(hub, card):
    facts = card.data.to_dict()

    assert facts["license"] == "other"
    assert (hub / facts["license_link"]).is_file()
    assert facts["task_categories"] == ["image-classification"]
    assert {"arxiv:2404.16000", "doi:10.1038/s41597-025-04866-4", "chest-x-ray"} < set(facts["tags"])
    assert facts["size_categories"] == ["n<1K"]
    assert [config["config_name"] for config in facts["configs"]] == list(BUILT)
    (default,) = (config["config_name"] for config in facts["configs"] if config.get("default"))
    rows = {i["config_name"]: sum(split["num_examples"] for split in i["splits"]) for i in facts["dataset_info"]}
    assert default == min(rows, key=rows.get)
    assert yaml.safe_load(yaml.safe_dump(facts)) == facts


@pytest.mark.parametrize("dataset", BUILT)
def test_dataset_info_equals_the_parquet_files(hub, card, dataset):
    info = next(i for i in card.data.to_dict()["dataset_info"] if i["config_name"] == dataset)
    config = next(c for c in card.data.to_dict()["configs"] if c["config_name"] == dataset)
    path = next((hub / dataset).glob("train-*.parquet"))

    assert Features._from_yaml_list(info["features"]) == Features.from_arrow_schema(pq.read_schema(path))
    for split, files in zip(info["splits"], config["data_files"], strict=True):
        assert split["name"] == files["split"]
        assert split["num_examples"] == sum(pq.read_metadata(p).num_rows for p in hub.glob(files["path"]))


@pytest.mark.parametrize("dataset", BUILT)
def test_labels_are_counted_in_each_split(hub, card, dataset):
    section = card.text.split(f"## {dataset}:")[1].split("\n## ")[0]
    table = section.split("<summary>Number of images per label</summary>")[1].split("</details>")[0]
    told, task = {}, None
    for line in table.strip().splitlines()[2:]:
        name, _, label, *counts = [cell.strip() for cell in line.strip("|").split("|")]
        task = name or task
        told[task, label.strip("*")] = [int(count) for count in counts]

    splits = ("train", "validation", "test")
    expected = {(t.name, label): [0, 0, 0] for t in DATASETS[dataset].tasks for label in t.labels}
    for row in rows_of(hub, dataset):
        for t in DATASETS[dataset].tasks:
            for label in names_of(row, t):
                expected.setdefault((t.name, label), [0, 0, 0])[splits.index(row["split"])] += 1
    assert told == expected


@pytest.mark.parametrize("dataset", ["bus", "cxr", "dr_regular"])
def test_the_montage_shows_the_first_images_of_each_label_and_of_different_subjects(hub, dataset):
    task = DATASETS[dataset].tasks[0]
    wanted = {}
    for row in rows_of(hub, dataset):
        for name in names_of(row, task):
            images = wanted.setdefault(name, {})
            if len(images) < COLUMNS:
                images.setdefault(row["subject_id"] or row["index"], row["image"]["bytes"])
    montage = np.asarray(Image.open(hub / "assets" / f"{dataset}-montage.png"))

    shown = [name for name in label_names(task) if name in wanted]
    left = montage.shape[1] - COLUMNS * (TILE + 4)
    assert montage.shape[0] == len(shown) * (TILE + 4)
    for number, name in enumerate(shown):
        line = montage[number * (TILE + 4) :][:TILE, left:]
        for column, data in enumerate(wanted[name].values()):
            expected = np.asarray(Image.open(io.BytesIO(data)).resize((112, 112), Image.Resampling.BOX))
            assert np.array_equal(line[:, column * (TILE + 4) :][:, :TILE], expected)


def test_images_that_may_not_be_passed_on_are_not_shown(hub, card):
    assert not (hub / "assets" / "skinl_derm-montage.png").exists()
    assert (hub / "assets" / "skinl_derm-balance.png").exists()
    assert "No example images are shown, because the terms" in card.text.split("## skinl_derm:")[1]
    assert "The images may not be redistributed:** `skinl_derm`" in card.text


def test_pictures_are_the_linked_ones_and_hold_nothing_but_pixels(hub, card):
    linked = set(re.findall(r"\]\((assets/[^)]+)\)", card.text))

    assert linked == {f"assets/{path.name}" for path in (hub / "assets").iterdir()}
    for path in linked:
        with Image.open(hub / path) as picture:
            picture.load()
            assert picture.info == {}
            assert picture.width <= 1600


def test_links_within_the_card_lead_somewhere(card):
    headings = re.findall(r"^##+ (.+)$", card.text, flags=re.MULTILINE)
    slugs = {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]+)\)", card.text)) <= slugs
    assert len(re.findall(r"\]\(#", card.text)) == 2 * len(BUILT)


def test_an_incomplete_build_says_so_at_the_top_and_in_its_section(card):
    assert "**Incomplete.** All datasets here have other numbers of images than published." in card.text
    assert "**(incomplete)**" not in card.text  # which would be in every row of the table
    assert "This build has 24 of the 780 published images." in card.text


def test_corrections_are_listed_done_or_not(card):
    calc, regular = (card.text.split(f"## {name}:")[1].split("\n## ")[0] for name in ("mammo_calc", "dr_regular"))

    assert "**Corrected:** they differ from those published." in calc
    assert "calc type (44 rows of the complete dataset): LUCENT_CENTER is no longer set" in calc
    assert 'A build with `labels="corrected"` changes:\n  * DR level: Train and validation images get' in regular


def test_subjects_overlaps_and_provenance(card):
    calc = card.text.split("## mammo_calc:")[1].split("\n## ")[0]

    assert re.search(r"`subject_id` identifies the patient: \d+ in train, \d+ in validation, \d+ in test\.", calc)
    assert "**Subjects shared with `mammo_mass`** (found by this project, not in the release)" in calc
    assert "from the source's archives (" in calc
    assert 'with the options `labels="corrected"`, `with_masks=False`' in calc
    assert "* `medimeta-hf` 0.1.0 built `bus`, `cxr`, `dr_regular`, `mammo_calc`, `skinl_derm`." in card.text


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(raw, hub, tmp_path):
    """Another folder, another order, another number of workers."""
    with pool(2, at_once=True) as (executor, workers):
        other = build_all(raw, tmp_path / "other", reversed(BUILT), executor, workers)
    first, second = (
        {str(p.relative_to(place)): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}
        for place in (hub, other)
    )

    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_pictures_do_not_depend_on_row_groups(hub, tmp_path):
    copy = shutil.copytree(hub, tmp_path / "hub")
    for path in copy.glob("*/*.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=3)

    write_card(copy, "0.1.0")

    for path in (hub / "assets").iterdir():
        assert (copy / "assets" / path.name).read_bytes() == path.read_bytes()


def test_a_dataset_that_is_gone_leaves_the_card(hub, tmp_path):
    copy = shutil.copytree(hub, tmp_path / "hub")
    shutil.rmtree(copy / "bus")
    (copy / "assets" / "logo.png").write_bytes(b"mine")

    write_card(copy, "0.1.0")

    assert "## bus" not in (copy / "README.md").read_text(encoding="utf-8")
    assert not list((copy / "assets").glob("bus-*"))
    assert (copy / "assets" / "logo.png").read_bytes() == b"mine"


def test_shards_of_another_version(hub, tmp_path):
    copy = shutil.copytree(hub, tmp_path / "hub")
    for path in (copy / "bus").glob("*.parquet"):
        table = pq.read_table(path)
        columns = {k: v for k, v in stored_features(features(DATASETS["bus"])).items() if k != "malignancy"}
        metadata = {b"huggingface": str({"info": {"features": columns}}).replace("'", '"').replace("None", "null")}
        pq.write_table(table.drop_columns(["malignancy"]).replace_schema_metadata(metadata), path)

    with pytest.raises(MedIMetaError, match=r"lacks the column\(s\) malignancy.*Build it again: medimeta build bus"):
        write_card(copy, "0.1.0")
