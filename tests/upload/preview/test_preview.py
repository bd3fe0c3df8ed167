"""The preview page in a real browser, and the data behind it."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCardData

from medimeta.errors import MedIMetaError
from medimeta.upload.preview import contents as module
from medimeta.upload.preview.contents import contents, sample
from medimeta.upload.preview.page import render, write_space


def rows_of(hub, dataset):
    tables = [pq.read_table(path) for path in sorted((hub / dataset).glob("*.parquet"))]
    return pa.concat_tables(tables).to_pylist()


def test_counts_are_of_all_rows(hub, datasets, monkeypatch):
    monkeypatch.setattr(module, "IMAGES", 9)  # 3 of each dataset
    few = contents(hub)

    for dataset, sampled in zip(datasets, few, strict=True):
        rows = rows_of(hub, dataset["id"])
        task = dataset["tasks"][0]
        values = [row[task["column"]] for row in rows]
        ids = Counter(label for value in values for label in (value if isinstance(value, list) else [value]))
        assert [sum(entry["counts"]) for entry in task["balance"]][: len(ids)] == [ids[i] for i in sorted(ids)]
        assert len(sampled["rows"]) == 3
        assert sampled["tasks"] == dataset["tasks"]


def test_every_label_is_seen_in_every_split(datasets):
    for dataset in datasets:
        splits = list(dataset["splits"])
        for place, task in enumerate(dataset["tasks"]):
            there = {(row["split"], label) for row in dataset["rows"] for label in row["labels"][place]}
            for entry in task["balance"]:
                for split, count in zip(splits, entry["counts"], strict=True):
                    assert ((split, entry["label"]) in there) == (count > 0), (dataset["id"], task["name"], entry)


def test_labels_take_turns():
    labels = [["common"]] * 90 + [["rare"]] * 10

    picked = sample(["train"] * 100, [labels], 20, seed=0)

    assert Counter(labels[row][0] for row in picked) == {"common": 10, "rare": 10}
    assert picked == sample(["train"] * 100, [labels], 20, seed=0) != sample(["train"] * 100, [labels], 20, seed=1)
    assert sorted(sample(["train"] * 100, [labels], 1000, seed=0)) == list(range(100))


def test_the_same_folder_gives_the_same_page_of_bounded_size(hub, datasets, page_file, monkeypatch):
    copy = page_file.parent / "elsewhere"
    shutil.copytree(hub, copy)

    assert render(contents(copy), "hub", "0") == page_file.read_text(encoding="utf-8")
    monkeypatch.setattr(module, "BYTES", 90_000)
    small = contents(hub)
    assert small == contents(hub) != contents(hub, seed=1)
    assert all(0 < len(less["rows"]) < len(more["rows"]) for less, more in zip(small, datasets, strict=True))
    assert len(json.dumps([one["rows"] for one in small])) < 90_000 * 4 / 3 + 100_000


def test_space_leaves_out_what_may_not_be_passed_on(hub, tmp_path):
    found = contents(hub, public=True)

    assert {dataset["id"]: bool(dataset["rows"]) for dataset in found} == {
        "bus": True,
        "cxr": True,
        "skinl_derm": False,
    }
    for _ in range(2):  # written again without a word
        write_space(render(found, "hub", "0"), tmp_path / "space", "hub")
    front = yaml.safe_load((tmp_path / "space" / "README.md").read_text().split("---")[1])
    assert front["sdk"] == "static"
    assert DatasetCardData(**front).to_dict()["title"] == "hub"
    assert {path.name for path in (tmp_path / "space").iterdir()} == {"index.html", "README.md"}
    (tmp_path / "space" / "thesis.tex").write_text("mine")
    with pytest.raises(MedIMetaError, match=r"thesis\.tex"):
        write_space("", tmp_path / "space", "hub")


def first(hub):
    return next((hub / "bus").glob("train-*.parquet"))


def edit(hub, change):
    pq.write_table(change(pq.read_table(first(hub))), first(hub))


def with_column(name, values):
    def change(table):
        place = table.schema.get_field_index(name)
        return table.set_column(
            place, table.schema.field(place), pa.array(values(table), table.schema.field(place).type)
        )

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda hub: shutil.rmtree(hub), "holds no dataset that was built"),
        (lambda hub: (hub / "README.md").unlink(), r"medimeta card"),
        (lambda hub: (hub / "records" / "bus" / "build.json").unlink(), r"bus lacks its build\.json"),
        (lambda hub: (hub / "records" / "bus" / "build.json").write_text("{}"), r"build\.json: not a build record"),
        (lambda hub: first(hub).rename(hub / "bus" / "train-00001-of-00002.parquet"), "incomplete"),
        (lambda hub: first(hub).write_bytes(b"PAR1"), "not a readable Parquet"),
        (lambda hub: edit(hub, lambda table: table.drop_columns(["malignancy"])), "lacks the column.*malignancy"),
        (
            lambda hub: edit(hub, with_column("malignancy", lambda table: [7] * len(table))),
            "malignancy is 7, where 0 to 1 are labels.*medimeta verify",
        ),
        (
            lambda hub: edit(hub, with_column("image", lambda rows: [{"bytes": b"GIF8", "path": "a"}] * len(rows))),
            r"train-00000-of-00001\.parquet, row \d+: image",
        ),
    ],
)  # fmt: skip
def test_broken_folder_is_named(hub, tmp_path, damage, words):
    shutil.copytree(hub, tmp_path / "hub")
    damage(tmp_path / "hub")

    with pytest.raises(MedIMetaError, match=words):
        contents(tmp_path / "hub")
