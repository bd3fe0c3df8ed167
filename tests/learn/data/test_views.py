"""Task views and label statistics: correct columns and numbers, without decoding images."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, IterableDataset, Sequence, Value

import medimeta
from medimeta import DATASETS
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import task_feature
from medimeta.builders.source import Options, RawSource
from medimeta.cards.facts import Task
from medimeta.errors import MedIMetaError, UnknownName
from medimeta.learn.data import views
from medimeta.learn.data.exclusion.left_out import LeftOut
from medimeta.learn.data.statistics import label_counts
from medimeta.learn.data.views import load_task, task_view
from medimeta.learn.leakage.audit import audit, leaked_indices

KIND = Task("Kind", "multiclass", ("a", "b", "c"), dataset="toy")
FINDINGS = Task("All findings", "multilabel", ("x", "y", "z"), dataset="toy")
GARBAGE = {"bytes": b"no image", "path": None}


def toy(task: Task, labels: list) -> Dataset:
    """Return rows whose images cannot be decoded, so that decoding one fails the test."""
    columns = {
        "image": Image(),
        task.column: task_feature(task),
        "subject_id": Value("string"),
        "index": Value("int32"),
    }
    rows = {"image": [GARBAGE] * len(labels), task.column: labels}
    rows |= {"subject_id": [f"s{i // 2}" for i in range(len(labels))], "index": list(range(len(labels)))}
    return Dataset.from_dict(rows, features=Features(columns))


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("bus"), per_class=8)


@pytest.fixture(scope="module")
def sources(bus, tmp_path_factory):
    """A dataset without subjects, one with some, and a multilabel one."""
    home = tmp_path_factory.mktemp("sources")
    return {"bus": bus} | {id: write_miniature(id, home / id, per_class=8) for id in ("derm", "fundus")}


def test_load_task_projects_one_task(bus):
    view = load_task("bus", "MALIGNANCY", data_dir=bus, partial=True)

    assert view.column_names == ["image", "label"]
    assert view.features["label"] == ClassLabel(names=list(medimeta.DATASETS["bus"].task("malignancy").labels))
    assert view[0]["image"].size == (224, 224)


def test_load_task_defaults_to_the_main_task_and_takes_split_expressions(bus):
    whole = load_task("bus", split="train+val+test", data_dir=bus, partial=True)

    assert len(whole) == 24
    assert whole.features["label"].names == ["normal", "benign", "malignant"]
    assert len(load_task("bus", "Case_Category", split="val", data_dir=bus, partial=True)) < 24


def test_load_task_gives_the_labels_of_the_dataset(bus):
    rows = medimeta.load_dataset("bus", split="test", data_dir=bus, partial=True)

    assert load_task("bus", split="test", data_dir=bus, partial=True)["label"][:] == rows["case_category"][:]


def test_a_task_may_be_named_in_every_way(bus):
    malignancy = medimeta.DATASETS["bus"].task("malignancy")
    labels = load_task("bus", "malignancy", data_dir=bus, partial=True)["label"][:]

    for named in (malignancy, "bus/malignancy", "bus/Malignancy", ("bus", "malignancy")):
        assert load_task(named, data_dir=bus, partial=True)["label"][:] == labels
    assert load_task("bus", malignancy, data_dir=bus, partial=True)["label"][:] == labels
    assert load_task("bus", [malignancy], data_dir=bus, partial=True)["malignancy"][:] == labels
    for wrong in (("bus", DATASETS["oct"].tasks[0]), ("bus/malignancy", "case category"), ("bus", 3), (["bus"], None)):
        with pytest.raises(MedIMetaError):
            load_task(*wrong, data_dir=bus, partial=True)


def test_subjects_are_there_where_all_are_known(sources):
    options = {"partial": True, "data_dir": sources["derm"]}
    known = load_task("derm", **options)
    partly = load_task("derm", split="train+test", **options)  # subjects of derm are known in train alone

    assert None not in known["subject_id"][:]
    assert partly.column_names == ["image", "label"]
    assert load_task("derm", subjects=False, **options).column_names == ["image", "label"]
    asked = load_task("derm", split="train+test", subjects=True, **options)
    assert asked["subject_id"][: len(known)] == known["subject_id"][:]
    assert set(asked["subject_id"][len(known) :]) == {None}
    assert set(load_task("bus", subjects=True, partial=True, data_dir=sources["bus"])["subject_id"]) == {None}
    assert load_task("derm", streaming=True, **options).column_names == known.column_names
    assert load_task("derm", streaming=True, subjects=False, **options).column_names == ["image", "label"]
    assert load_task("bus", streaming=True, subjects=True, partial=True, data_dir=sources["bus"]).column_names == [
        "image", "label", "subject_id",
    ]  # fmt: skip


@pytest.mark.parametrize(("dataset", "task"), [("bus", None), ("derm", None), ("fundus", "disease labels")])
def test_the_data_loader_of_torch_batches_views_and_streams(sources, dataset, task):
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    options = {"partial": True, "data_dir": sources[dataset], "split": "train"}
    view = load_task(dataset, task, **options)
    stream = load_task(dataset, task, streaming=True, **options)

    for rows in (view, stream):
        batch = next(iter(data.DataLoader(rows.with_format("torch"), batch_size=2)))
        assert batch["image"].shape[0] == batch["label"].shape[0] == 2


@pytest.mark.parametrize("streaming", [False, True])
def test_images_in_rgb(sources, streaming):
    options = {"partial": True, "data_dir": sources["bus"], "streaming": streaming}
    grey, colour = (load_task("bus", mode=mode, **options) for mode in (None, "RGB"))

    first = next(iter(colour))
    assert first["image"].mode == "RGB"
    np.testing.assert_array_equal(
        np.asarray(first["image"]), np.repeat(np.atleast_3d(np.asarray(next(iter(grey))["image"])), 3, axis=2)
    )
    assert colour.column_names == grey.column_names
    with pytest.raises(UnknownName, match="'CMYK'"):
        load_task("bus", mode="CMYK", **options)


def test_rgb_images_fit_the_processors_of_models(sources):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    view = load_task("bus", mode="RGB", partial=True, data_dir=sources["bus"])

    values = transformers.ViTImageProcessor()(view[0]["image"], return_tensors="np")["pixel_values"]
    assert values.shape == (1, 3, 224, 224)


def test_unknown_names_say_what_there_is(bus):
    with pytest.raises(UnknownName, match="malignancy"):
        load_task("bus", "malignant", data_dir=bus)
    with pytest.raises(UnknownName, match="bus"):
        load_task("buss")


def plain(view):
    """Return all rows, with images as pixels."""
    return [row | {"image": np.asarray(row["image"]).tolist()} for row in view]


@pytest.mark.parametrize("task", ["malignancy", ["case category", "malignancy"]])
def test_a_stream_gives_the_rows_of_the_view(bus, task):
    view = load_task("bus", task, data_dir=bus, partial=True)
    stream = load_task("bus", task, data_dir=bus, partial=True, streaming=True)

    assert isinstance(stream, IterableDataset)
    assert stream.features == view.features
    assert stream.column_names == view.column_names
    assert plain(stream) == plain(view)


def test_streamed_findings_are_vectors_and_no_image_is_looked_at():
    rows = toy(FINDINGS, [[0, 2], [], None, [1]]).cast_column("image", Image(decode=False))

    stream = views._stream(
        rows.to_iterable_dataset(num_shards=2), {"label": FINDINGS}, LeftOut((1,)), subjects=True, flags_of=None
    )

    assert stream.features["label"] == Sequence(Value("float32"), length=3)
    np.testing.assert_array_equal([row["label"] for row in stream], [[1, 0, 1], [np.nan] * 3, [0, 1, 0]])


def test_workers_share_a_stream():
    torch_data = pytest.importorskip("torch.utils.data", reason="torch is not in the environment of oldest `datasets`")
    rows = toy(FINDINGS, [[0, 2], [], None, [1]]).cast_column("image", Image(decode=False))
    stream = views._stream(
        rows.to_iterable_dataset(num_shards=2), {"label": FINDINGS}, LeftOut((1,)), subjects=True, flags_of=None
    )

    loader = torch_data.DataLoader(stream.select_columns(["label"]), batch_size=None, num_workers=2)

    assert len(list(loader)) == 3


def test_several_tasks_have_a_column_each(bus):
    view = load_task("bus", ["Case category", "malignancy"], data_dir=bus, partial=True)

    assert view.column_names == ["image", "case_category", "malignancy"]
    for name in ("case_category", "malignancy"):
        assert view[name][:] == load_task("bus", name, data_dir=bus, partial=True)["label"][:]
    with pytest.raises(MedIMetaError, match="names a task twice"):
        load_task("bus", ["malignancy", "Malignancy"], data_dir=bus, partial=True)
    with pytest.raises(MedIMetaError, match="names no task"):
        load_task("bus", [], data_dir=bus, partial=True)


def test_multilabel_becomes_a_vector():
    view = task_view(toy(FINDINGS, [[0, 2], [], None, [1]]), FINDINGS)

    assert view.features["label"] == Sequence(Value("float32"), length=3)
    assert view.column_names == ["image", "label", "subject_id"]
    vectors = view.select_columns("label").with_format("numpy")[:]["label"]
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [[1, 0, 1], [0, 0, 0], [np.nan] * 3, [0, 1, 0]])


def test_views_of_chosen_rows_keep_labels_and_subjects_together():
    rows = toy(FINDINGS, [[0], [1], [2], [0, 1]]).select([3, 0, 2])
    view = task_view(rows, FINDINGS)
    kinds = task_view(toy(KIND, [0, 1, 2, 1]).select([3, 0, 2]), KIND)

    assert view.select_columns(["label", "subject_id"])[:] == {
        "label": [[1, 1, 0], [1, 0, 0], [0, 0, 1]],
        "subject_id": ["s1", "s0", "s1"],
    }
    np.testing.assert_array_equal(label_counts(kinds, KIND), [1, 1, 1])


def test_the_room_is_still_the_function():
    assert {task.kind for task in medimeta.tasks(kind="ordinal")} == {"ordinal"}
    assert len(medimeta.tasks()) == sum(len(card.tasks) for card in medimeta.DATASETS.values())


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    """The source of bus with every image twice, in random splits, and the ledger of its audit."""
    home = tmp_path_factory.mktemp("doubled")
    raw = write_miniature("bus", home / "raw", per_class=8, packed=False)
    for image in sorted((raw / "Dataset_BUSI_with_GT").glob("*/*).png")):
        for kind in ("", "_mask"):
            twin = image.with_name(f"{image.stem[:-1]}9){kind}.png")
            twin.write_bytes(image.with_name(f"{image.stem}{kind}.png").read_bytes())
    ledger = audit([RawSource("bus", raw, Options(partial=True))])
    ledger.save(home / "ledger.parquet")
    return raw, home / "ledger.parquet", ledger


def test_rows_that_leak_into_evaluation_are_left_out(doubled):
    raw, path, ledger = doubled
    options = {"data_dir": raw, "partial": True, "split": "train"}
    leaked = leaked_indices(ledger, "bus", "train")

    kept = load_task("bus", exclude_leaks=path, **options)

    assert 0 < len(leaked) < len(load_task("bus", **options))
    assert len(kept) == len(load_task("bus", **options)) - len(leaked)
    train = {np.asarray(image).tobytes() for image in kept["image"]}
    for split in ("validation", "test"):
        evaluated = load_task("bus", **(options | {"split": split}))
        assert not train & {np.asarray(image).tobytes() for image in evaluated["image"]}


@pytest.mark.parametrize("task", ["malignancy", ["case category", "malignancy"]])
@pytest.mark.parametrize("saved", [True, False], ids=["file", "ledger"])
def test_a_stream_leaves_out_the_same_rows(doubled, task, saved):
    raw, path, ledger = doubled
    options = {"data_dir": raw, "partial": True, "exclude_leaks": path if saved else ledger}

    for split in ("train", "val", "test"):
        view = load_task("bus", task, split=split, **options)
        assert plain(load_task("bus", task, split=split, streaming=True, **options)) == plain(view)
    whole = medimeta.load_dataset("bus", split="train", data_dir=raw, partial=True, streaming=True)
    assert len(list(whole)) > len(list(load_task("bus", task, streaming=True, **options))) > 0


def test_a_stream_keeps_its_place_and_its_rows_when_shuffled(doubled):
    raw, path, _ = doubled
    stream = load_task("bus", streaming=True, exclude_leaks=path, data_dir=raw, partial=True)
    rows = plain(stream)

    shuffled = plain(stream.shuffle(seed=0, buffer_size=8))
    assert shuffled != rows
    assert sorted(map(str, shuffled)) == sorted(map(str, rows))
    seen = iter(stream)
    first = [next(seen) for _ in range(3)]
    state = stream.state_dict()
    stream.load_state_dict(state)
    assert plain(first) + plain(stream) == rows
