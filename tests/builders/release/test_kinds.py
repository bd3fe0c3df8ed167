"""All kinds of labels and annotations of a release, those of the real samples among them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from fakes.golden import RAW, golden_folder
from fakes.release import edit_table, read_bus, write_release
from medimeta.builders.images import encode
from medimeta.builders.reader import Reader, Released, patients
from medimeta.builders.release.release import ReleaseSource
from medimeta.builders.release.text import READERS, flags, read_column, whole_number
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources import derm7pt
from medimeta.builders.sources.chestxray14 import released_boxes
from medimeta.builders.table.manifest import canonical
from medimeta.cards.catalogue import DATASETS
from medimeta.cards.details import Annotation
from medimeta.cards.facts import Task
from medimeta.errors import SourceBroken, SourceIncomplete

PARTIAL = Options(partial=True)
WITH_MASKS = Options(partial=True, with_masks=True)


# Kinds of labels and annotations that bus has none of


@dataclasses.dataclass(frozen=True)
class Made:
    """A source with one multilabel and one ordinal task and all types of annotations."""

    kind = "made"
    location = Path("/nowhere")
    stamp = ""
    options: Options = PARTIAL

    @property
    def card(self):
        tasks = (
            Task("findings", "multilabel", ("Mass", "Nodule", "Hernia"), dataset="bus", is_main=True),
            Task("Clarity", "ordinal", ("bad", "fair", "good"), (1, 4, 10), dataset="bus"),
        )
        annotations = (
            Annotation("size", "list<int32>", "", "Original Size"),
            Annotation("spacing", "list<float64>", ""),
            Annotation("remark", "string", ""),
            Annotation("age", "int32", ""),
            Annotation("number", "int64", ""),
            Annotation("ratio", "float64", ""),
            Annotation("boxes", "boxes", "", "bounding_box"),
        )
        return dataclasses.replace(
            DATASETS["bus"], channels=3, subject="patient", tasks=tasks, annotations=annotations, masks=()
        )

    def manifest(self):
        boxes = [{"label": "Mass: left", "x": 1.5, "y": 2.0, "width": 3.25, "height": 4.0}]
        return canonical(
            pd.DataFrame(
                {
                    "original_filepath": ["a", "b", "c", "d"],
                    "original_split": ["train", "train", "val", "test"],
                    "split": ["train", "train", "validation", "test"],
                    "findings": [[0, 2], [], [1], [0, 1, 2]],
                    "Clarity": [1, 10, 4, 10],
                    "subject_id": ["7", None, "P11", "7"],
                    "size": [[600, 450], None, [31, 47, 16], [1, 2]],
                    "spacing": [[0.168, 0.168], [1.0, 2.5], None, [0.1, 0.2]],
                    "remark": ["None", "NA", None, 'a, "b"\nc'],
                    "age": [3, None, 0, 99],
                    "number": [2**40, 1, None, -1],
                    "ratio": [0.9629629629629629, None, 2.0, 1e-9],
                    "boxes": [None, boxes, boxes * 2, None],
                }
            ),
            self.card,
        )

    def encode(self, rows):
        return [{"image": encode(Image.new("RGB", (224, 224), (int(i), 50, 200)))} for i in rows["index"]]


def test_multilabel_ordinal_and_typed_annotations_survive(tmp_path, monkeypatch):
    made = Made()
    home = write_release(made, tmp_path)
    monkeypatch.setattr(ReleaseSource, "card", made.card)
    monkeypatch.setattr(
        ReleaseSource, "reader", Reader((), None, None, released=Released(columns={"boxes": released_boxes}))
    )
    assert list(np.load(home / "task_labels" / "Clarity.npy")) == [1, 10, 4, 10]  # published keys, with gaps
    release = ReleaseSource("bus", home, PARTIAL)
    assert to_table(release, release.manifest()).to_pylist() == to_table(made, made.manifest()).to_pylist()


def test_a_multilabel_list_of_another_length_is_named(tmp_path, monkeypatch):
    home = write_release(Made(), tmp_path)
    monkeypatch.setattr(ReleaseSource, "card", Made().card)
    edit_table(home, 1, "tasks/findings", "[0, 0]")
    with pytest.raises(SourceBroken, match=r"row 1, column 'tasks/findings': '\[0, 0\]' is not a label"):
        read_bus(home, PARTIAL)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("list<int32>", "(600, 450)", [600, 450]),
        ("list<int32>", "(2048,2500)", [2048, 2500]),
        ("list<int32>", "((31, 47), (16, 47), (11, 20))", [31, 47, 16, 47, 11, 20]),
        ("list<int32>", "[512.0, 496.0]", [512, 496]),
        ("list<float64>", "(0.168,0.168)", [0.168, 0.168]),
        ("int32", "1.0", 1),
        ("int64", "1099511627776", 2**40),
        ("float64", "0.9629629629629629", 0.9629629629629629),
        ("string", "None", "None"),
    ],
)
def test_annotation_text(kind, text, value):
    assert read_column([text, ""], READERS[kind], "x") == [value, None]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int32", "1.5"),
        ("int32", "nan"),
        ("int32", "inf"),
        ("list<int32>", "7"),
        ("list<int32>", "(1, 'a')"),
        ("list<int32>", "(1.5, 2)"),
        ("list<int32>", "(1, 2"),
        ("list<int32>", "[x for x in y]"),
        ("list<float64>", "(" * 500 + ")" * 500),
        ("boxes", "['Mass: (1,2,3,4)']"),  # how they are written, only the dataset's own module knows
    ],
)
def test_other_annotation_text_is_refused(kind, text):
    with pytest.raises(SourceBroken, match=r"annotations.csv, row 1, column 'x': cannot read"):
        read_column(["", text], READERS[kind], "x")


def test_labels_and_ids_as_text():
    assert flags("[0, 1, 1]") == (0, 1, 1)
    with pytest.raises(ValueError, match="0 and 1"):
        flags("[0, 2]")
    assert [whole_number("4"), whole_number("4.0")] == [4, 4]
    ids = ["3", "3.0", "P11", "P_00001", "v1.0", ""]
    assert patients(pd.DataFrame({"patient_id": ids})) == ["3", "3", "P11", "P_00001", "v1.0", None]


# The annotations that the published code wrote for the real samples


def golden_release(dataset: str, folder: Path) -> Path:
    """A release around a golden annotations.csv, with lists, labels and info made from the table itself."""
    import h5py

    card = DATASETS[dataset]
    home = folder / dataset
    table = pd.read_csv(golden_folder(dataset) / "annotations.csv", dtype=str, keep_default_na=False)
    for name in ("splits", "original_splits", "task_labels"):
        (home / name).mkdir(parents=True)
    shutil.copy(golden_folder(dataset) / "annotations.csv", home)
    for column, lists in (("split", "splits"), ("original_split", "original_splits")):
        for split, part in table.groupby(column):
            (home / lists / f"{split}.txt").write_text("\n".join(part["filepath"]))
    for task in card.tasks:
        np.save(home / "task_labels" / f"{task.name}.npy", [json.loads(text) for text in table[f"tasks/{task.name}"]])
    tasks = [
        {"task_name": t.name, "task_target": t.kind, "labels": dict(zip(t.keys, t.labels, strict=True))}
        for t in card.tasks
    ]
    info = {
        "id": dataset,
        "tasks": tasks,
        "input_size": [card.channels, 224, 224],
        "total_num_samples": len(table),
        "splits_num_samples": table["split"].value_counts().to_dict(),
    }
    (home / "info.yaml").write_text(yaml.safe_dump(info))
    shape = (len(table), 224, 224) if card.channels == 1 else (len(table), 224, 224, 3)
    with h5py.File(home / "images.hdf5", "w") as file:
        file.create_dataset("images", shape, np.uint8)
    return home


@pytest.mark.parametrize("dataset", DATASETS)
def test_golden_annotations_are_read_whole(dataset, tmp_path):
    card = DATASETS[dataset]
    rows = ReleaseSource(dataset, golden_release(dataset, tmp_path), PARTIAL).manifest()
    golden = pd.read_csv(golden_folder(dataset) / "golden.csv", dtype=str, keep_default_na=False)
    assert rows["original_filepath"].to_list() == golden["original_filepath"].to_list()
    assert rows["split"].to_list() == golden["split"].replace("val", "validation").to_list()
    for task in card.tasks:
        texts = golden[f"task:{task.name}"]
        if task.kind == "multilabel":
            expected = [[i for i, flag in enumerate(text) if flag == "1"] for text in texts]
        else:
            expected = [task.keys.index(int(text)) for text in texts]
        assert rows[task.column].to_list() == expected
    table = pd.read_csv(golden_folder(dataset) / "annotations.csv", dtype=str, keep_default_na=False)
    for annotation in card.annotations:
        if annotation.release_column in table:
            empty = table[annotation.release_column] == ""
            assert rows[annotation.column].isna().to_list() == empty.to_list()
    if "patient_id" in table:
        assert rows["subject_id"].fillna("").to_list() == table["patient_id"].to_list()


@pytest.mark.parametrize("dataset", ["cxr", "dr_regular", "glaucoma", "mammo_calc", "organs_axial"])
def test_real_samples_come_back_from_a_release_as_they_went_in(dataset, shared, tmp_path):
    raw = RawSource(dataset, shared / "real" / RAW[dataset], WITH_MASKS)
    release = ReleaseSource(dataset, write_release(raw, tmp_path), WITH_MASKS)
    assert to_table(release, release.manifest()).equals(to_table(raw, raw.manifest()))


@pytest.mark.parametrize("dataset", ["dr_regular", "mammo_calc", "mammo_mass"])
def test_corrections_work_on_a_release(dataset, shared, tmp_path):
    options = Options(partial=True, labels="corrected")
    raw = RawSource(dataset, shared / "real" / RAW[dataset], options).manifest()
    rows = ReleaseSource(dataset, golden_release(dataset, tmp_path), options).manifest()
    for task in DATASETS[dataset].tasks:
        known = raw[task.column].notna()  # a release cannot tell a blank label from none
        assert rows.loc[known, task.column].to_list() == raw.loc[known, task.column].to_list()


@pytest.mark.parametrize("dataset", ["glaucoma", "organs_axial"])
def test_corrected_masks_are_not_in_a_release(dataset, tmp_path):
    options = Options(partial=True, labels="corrected", with_masks=True)
    source = ReleaseSource(dataset, golden_release(dataset, tmp_path), options)
    with pytest.raises(SourceIncomplete, match="masks as released, not corrected"):
        source.manifest()


def test_cases_are_numbered_in_row_order_when_all_are_there(tmp_path, monkeypatch):
    home = golden_release("skinl_derm", tmp_path)
    assert ReleaseSource("skinl_derm", home, PARTIAL).manifest()["subject_id"].isna().all()
    table = pd.read_csv(home / "annotations.csv")
    counts = table["split"].replace("val", "validation").value_counts().to_dict()
    card = DATASETS["skinl_derm"]
    card = dataclasses.replace(card, splits=dataclasses.replace(card.splits, counts=counts))
    monkeypatch.setattr(ReleaseSource, "card", card)
    monkeypatch.setattr(derm7pt, "CASES", len(table))
    subjects = ReleaseSource("skinl_derm", home).manifest()["subject_id"].to_list()
    assert subjects == [str(case) for case in range(1, len(table) + 1)]
