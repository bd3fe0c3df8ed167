"""A Hub folder has images of one size, which its record, card and Croissant file say."""

from __future__ import annotations

import shutil

import pytest

import medimeta
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options, RawSource
from medimeta.errors import MedIMetaError
from medimeta.upload.folder.record import read_records
from medimeta.upload.folder.shards import plan
from medimeta.upload.folder.writing import build, write_card
from medimeta.upload.verify.findings import clean
from medimeta.upload.verify.folder import verify_folder

SIZE = 64


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    home = tmp_path_factory.mktemp("raw")
    return {dataset: write_miniature(dataset, home / dataset, per_class=4) for dataset in ("bus", "pbc")}


def source(raw, dataset, size=None):
    return RawSource(dataset, raw[dataset], Options(partial=True, with_masks=dataset == "bus", size=size))


@pytest.fixture
def hub(raw, tmp_path):
    folder = tmp_path / "hub"
    build(source(raw, "bus", SIZE), folder, version="1")
    return folder


def test_the_folder_says_its_size(hub):
    assert read_records(hub)[0].size == SIZE
    assert "64x64 pixels (published: 224x224)" in (hub / "README.md").read_text()
    assert "images of 64x64 pixels" in (hub / "croissant.json").read_text()
    assert clean(verify_folder(hub))


def test_a_folder_gives_its_own_size(hub):
    for size in (None, SIZE):
        rows = medimeta.load_dataset("bus", data_dir=hub, partial=True, size=size, with_masks=True, split="train")
        assert rows[0]["image"].size == rows[0]["mask"].size == (SIZE, SIZE)
    with pytest.raises(MedIMetaError) as refused:
        medimeta.load_dataset("bus", data_dir=hub, partial=True, size=224)
    assert refused.value.code == "another-size"


def test_sizes_are_not_mixed(hub, raw):
    before = (hub / "README.md").read_bytes()
    with pytest.raises(MedIMetaError) as refused:
        build(source(raw, "pbc"), hub, version="1")
    assert refused.value.code == "mixed-sizes"
    assert not (hub / "pbc").exists()
    assert (hub / "README.md").read_bytes() == before
    build(source(raw, "pbc", SIZE), hub, version="1")
    assert clean(verify_folder(hub))


def test_the_only_dataset_may_change_its_size(hub, raw):
    build(source(raw, "bus"), hub, version="1")
    assert read_records(hub)[0].size == 224
    assert clean(verify_folder(hub))


def test_folders_put_together_by_hand_have_no_card(hub, raw, tmp_path):
    build(source(raw, "pbc"), tmp_path / "other", version="1")
    shutil.copytree(tmp_path / "other", hub, dirs_exist_ok=True)
    with pytest.raises(MedIMetaError) as refused:
        write_card(hub, "1")
    assert refused.value.code == "mixed-sizes"


def test_a_copy_has_the_size_of_its_original(hub, tmp_path):
    build(open_source("bus", hub, Options(partial=True, with_masks=True)), tmp_path / "copy", version="1")
    assert read_records(tmp_path / "copy")[0].size == SIZE


def test_shards_keep_their_bytes(raw, monkeypatch):
    monkeypatch.setattr("medimeta.upload.folder.shards.SHARD_BYTES", 600_000)
    manifest, card = source(raw, "bus").manifest(), source(raw, "bus").card
    rows = {side: max(shard.rows for shard in plan(manifest, card, side)) for side in (28, 224, 448)}
    assert rows[448] <= 25
    assert all(rows[side] * side * side <= max(600_000, 100 * side * side) for side in rows)
