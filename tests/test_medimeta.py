"""The builder and the `load_dataset("medimeta", ...)` hook, on a miniature of bus, with every `datasets` supported."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import datasets
import pytest
from datasets import get_dataset_config_names, get_dataset_split_names, load_dataset, load_dataset_builder

import medimeta
from fakes.processes.workers import indices
from fakes.tiers import quick
from medimeta.builders import dataset, registration
from medimeta.builders.phantoms import write_miniature

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=40)


def load(raw, **options):
    return load_dataset("medimeta", "bus", data_dir=str(raw), partial=True, **options)


def test_loads_all_splits(raw):
    loaded = load(raw)

    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 84, "validation": 12, "test": 24}
    assert loaded["train"][0]["image"].size == (224, 224)
    assert loaded["train"][0]["image"].mode == "L"
    assert loaded["train"].features["case_category"].names == ["normal", "benign", "malignant"]
    assert sorted(i for rows in loaded.values() for i in rows["index"]) == list(range(120))


def test_second_call_comes_from_the_cache(raw, monkeypatch):
    first = load(raw)

    def never(*_):
        pytest.fail("rendered again")

    monkeypatch.setattr(dataset, "to_table", never)
    assert load(raw)["test"]["index"][:] == first["test"]["index"][:]


def test_a_changed_source_is_read_again(tmp_path):
    folder = write_miniature("bus", tmp_path / "raw", per_class=4, packed=False)
    assert sum(map(len, load(folder).values())) == 12

    (folder / "Dataset_BUSI_with_GT" / "normal" / "normal (1).png").unlink()
    assert sum(map(len, load(folder).values())) == 11

    image = folder / "Dataset_BUSI_with_GT" / "benign" / "benign (1).png"
    before = load(folder)["train"].cache_files
    os.utime(image, (1, 1))  # another time alone is not a change
    assert load(folder)["train"].cache_files == before
    shutil.copy(folder / "Dataset_BUSI_with_GT" / "benign" / "benign (2).png", image)
    assert load(folder)["train"].cache_files != before


def test_a_copy_of_the_source_shares_the_cache(raw, tmp_path):
    copy = shutil.copytree(raw, tmp_path / "copy", copy_function=shutil.copyfile)
    assert load(copy, split="test").cache_files == load(raw, split="test").cache_files


def test_streaming_gives_the_same_rows(raw):
    plain, streamed = load(raw), load(raw, streaming=True)

    assert set(streamed) == set(plain)
    for split in plain:
        rows = list(streamed[split])
        assert [row["index"] for row in rows] == plain[split]["index"][:]
        assert rows[0]["image"].tobytes() == plain[split][0]["image"].tobytes()


@pytest.mark.parametrize(
    ("split", "rows"), [("train+validation", 96), ("train+val", 96), ("train[:10]", 10), ("val[50%:]", 6), ("val", 12)]
)
def test_split_expressions(raw, split, rows):
    assert len(load(raw, split=split)) == rows
    assert len(medimeta.load_dataset("bus", data_dir=raw, partial=True, split=split)) == rows


@pytest.mark.slow
def test_two_processes_give_the_same_rows(tmp_path):
    folder = write_miniature("pbc", tmp_path / "raw", per_class=30)  # 168 rows in train: two batches
    one = medimeta.load_dataset("pbc", data_dir=folder, partial=True)
    two = medimeta.load_dataset("pbc", data_dir=folder, partial=True, num_proc=2, download_mode="force_redownload")

    for split in one:
        assert two[split]["index"][:] == one[split]["index"][:]
        assert two[split][-1]["image"].tobytes() == one[split][-1]["image"].tobytes()


def test_force_redownload_renders_again(raw, monkeypatch):
    load(raw)
    rendered = []
    original = dataset.to_table
    monkeypatch.setattr(dataset, "to_table", lambda *work: rendered.append(1) or original(*work))

    load(raw, download_mode="force_redownload")

    assert len(rendered) == 3  # one batch per split


def test_found_under_the_environment_variable(raw, tmp_path, monkeypatch):
    write_miniature("bus", tmp_path / "data" / "bus", per_class=4)
    monkeypatch.setenv("MEDIMETA_DATA", str(tmp_path / "data"))

    assert sum(map(len, load_dataset("medimeta", "bus", partial=True).values())) == 12
    assert get_dataset_split_names("medimeta", "bus", partial=True) == ["train", "validation", "test"]


def test_inspection_needs_no_data():
    assert get_dataset_config_names("medimeta") == sorted(medimeta.DATASETS)
    assert get_dataset_split_names("medimeta", "crc") == ["train", "validation", "test"]
    builder = load_dataset_builder("medimeta", "skinl_derm")
    assert builder.info.features["diagnosis"].names[8] == "melanoma"
    assert "@article" in builder.info.citation
    for name in medimeta.DATASETS:
        assert load_dataset_builder("medimeta", name).info.splits["train"].num_examples > 0


def test_both_doors_share_the_cache(raw):
    by_hook = load(raw, split="train")
    by_face = medimeta.load_dataset("bus", split="train", data_dir=raw, partial=True)

    assert by_face.cache_files == by_hook.cache_files


@pytest.mark.slow
def test_pickles_into_spawned_workers(raw):
    builder = load_dataset_builder("medimeta", "bus", data_dir=str(raw), partial=True)
    assert pickle.loads(pickle.dumps(builder)).config == builder.config
    stream = load(raw, streaming=True)["test"]

    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(indices, (stream,)) == indices(stream)


@pytest.mark.slow
def test_torch_dataloader_with_spawned_workers(raw):
    torch_data = pytest.importorskip("torch.utils.data", reason="torch is not in the environment of oldest `datasets`")
    stream = load(raw, streaming=True)["train"].remove_columns(["image", "subject_id", "original_image_size"])
    loader = torch_data.DataLoader(stream, batch_size=None, num_workers=1, multiprocessing_context="spawn")

    assert [row["index"] for row in loader] == indices(load(raw, streaming=True)["train"])


def test_corrected_labels_masks_and_defaults_are_cached_apart(raw):
    plain = load(raw, split="test")
    masked = load(raw, split="test", with_masks=True)

    assert "mask" not in plain.features
    assert masked[0]["mask"].mode == "1"
    assert load(raw, split="test", labels="released").cache_files == plain.cache_files


LOADING = """
import sys
import medimeta
from datasets import load_dataset, load_dataset_builder
if sys.argv[2] == "hook":
    load_dataset_builder("medimeta", "bus")
    rows = load_dataset("medimeta", "bus", data_dir=sys.argv[1], partial=True, split="train")
else:
    rows = medimeta.load_dataset("bus", data_dir=sys.argv[1], partial=True, split="train")
assert next(iter(rows))["image"].size == (224, 224)
heavy = ("torch", "transformers", "evaluate", "sklearn", "accelerate", "matplotlib", "jinja2")
print([name for name in heavy if name in sys.modules], [n for n in sys.modules if n.startswith("medimeta.learn")])
"""


@pytest.mark.parametrize("door", ["hook", "face"])
def test_loading_imports_nothing_that_only_learning_needs(raw, tmp_path, door):
    """`datasets` takes every name that a builder's module lists; none may bring torch or the rooms of others along."""
    places = os.environ | {
        "PYTHONPATH": str(ROOT / ".editable"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-P", "-c", LOADING, str(raw), door]

    done = subprocess.run(command, env=places, capture_output=True, text=True)

    assert done.stdout == "[] []\n", done.stderr


SCRIPT = """
import os, sys
here = os.getcwd()
listed = []
def hook(event, args):
    if event in ("os.listdir", "os.scandir", "glob.glob") and args and args[0] in (".", "", None, here):
        listed.append(event)
import datasets, medimeta
sys.addaudithook(hook)
from datasets import load_dataset
data = load_dataset("medimeta", "bus", data_dir=sys.argv[1], partial=True)
assert sum(map(len, data.values())) == 120, data
assert not listed, listed
print("loaded", medimeta.__file__)
"""


@pytest.mark.parametrize("surroundings", quick("full", of=["empty", "full", "next to a folder of that name"]))
def test_the_working_directory_is_never_scanned(raw, tmp_path, surroundings):
    here = tmp_path / "here"
    here.mkdir()
    if surroundings == "full":
        for number in range(200):
            (here / f"{number}.png").touch()
        (here / "data.csv").write_text("a,b\n1,2\n")
    elif surroundings != "empty":
        (here / "medimeta").mkdir()
        (here / "medimeta" / "README.md").write_text("# a checkout\n")
        (here / "medimeta" / "train.csv").write_text("a\n1\n")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / ".editable"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "1",
    }

    done = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT, str(raw)], cwd=here, env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert "loaded" in done.stdout


@pytest.mark.filterwarnings("ignore")  # `datasets` 3.6 leaves the CSV file open
def test_other_names_pass_through_and_registering_twice_changes_nothing(tmp_path):
    (tmp_path / "table.csv").write_text("a\n1\n")
    assert load_dataset("csv", data_files=str(tmp_path / "table.csv"))["train"]["a"][:] == [1]

    factory = datasets.load.dataset_module_factory
    registration.register()
    assert datasets.load.dataset_module_factory is factory is datasets.inspect.dataset_module_factory
