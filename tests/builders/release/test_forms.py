"""The published release as a source: the same rows from folder, zip, HDF5 and TIFF."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
import shutil
import zipfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pandas as pd
import pytest

from fakes.errors import raises
from fakes.release import edit, read_bus, zip_release
from medimeta.builders.release import hdf5 as release_hdf5
from medimeta.builders.release.release import ReleaseSource
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import MissingExtra, SourceIncomplete, SourceNotFound

PARTIAL = Options(partial=True)
WITH_MASKS = Options(partial=True, with_masks=True)
CARD_OF_12 = dataclasses.replace(
    DATASETS["bus"],
    splits=dataclasses.replace(DATASETS["bus"].splits, counts={"train": 8, "validation": 1, "test": 3}),
)


@pytest.mark.parametrize("form", ["both", "hdf5", "tiff", "parent", "stored", "deflated", "no root", "deflated hdf5"])
def test_every_form_gives_the_rows_and_pixels_of_the_raw_source(form, home, copy, rows, tmp_path):
    if form == "hdf5":
        shutil.rmtree(copy / "images")
    if form == "tiff":
        (copy / "images.hdf5").unlink()
    location = {
        "parent": lambda: home.parent,
        "stored": lambda: zip_release(home, tmp_path / "a.zip", without="images/"),
        "deflated": lambda: zip_release(home, tmp_path / "a.zip", compression=zipfile.ZIP_DEFLATED),
        "no root": lambda: zip_release(home, tmp_path / "a.zip", root=""),
        "deflated hdf5": lambda: zip_release(
            home, tmp_path / "a.zip", compression=zipfile.ZIP_DEFLATED, without="images/"
        ),
    }.get(form, lambda: copy)()
    assert read_bus(location).equals(rows)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_rows_in_any_order_and_number(home, rows, tmp_path, compression):
    location = zip_release(home, tmp_path / "a.zip", compression=compression, without="images/")
    source = ReleaseSource("bus", location, PARTIAL)
    manifest = source.manifest()
    images = [cell["bytes"] for cell in rows["image"].to_pylist()]
    for picked in ([11, 0, 1, 2, 7, 7], [5], [], [0, 1, 2, 10, 11]):
        assert [row["image"] for row in source.encode(manifest.iloc[picked])] == [images[i] for i in picked]


def test_without_h5py_tiff_files_serve_and_hdf5_alone_says_what_to_install(home, copy, rows, monkeypatch):
    monkeypatch.setattr(release_hdf5, "find_spec", lambda name: None)
    assert read_bus(home).equals(rows)
    shutil.rmtree(copy / "images")
    with raises(MissingExtra, None, "h5py", "pip install"):
        read_bus(copy)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.slow
def test_two_processes_read_one_archive(home, rows, tmp_path, method):
    location = zip_release(home, tmp_path / "a.zip", compression=zipfile.ZIP_DEFLATED, without="images/")
    source = ReleaseSource("bus", location, WITH_MASKS)
    manifest = source.manifest()
    source.encode(manifest[:3])  # so that a forked worker inherits open files
    batches = [manifest[start : start + 3] for start in range(0, 12, 3)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        tables = list(pool.map(partial(to_table, source), batches))
    assert [row for table in tables for row in table.to_pylist()] == rows.to_pylist()


def test_a_pickled_source_is_small(home, tmp_path):
    source = ReleaseSource("bus", zip_release(home, tmp_path / "a.zip"), PARTIAL)
    source.encode(source.manifest())
    assert len(pickle.dumps(source)) < 1000


def test_stamp_changes_with_a_file(copy):
    before = ReleaseSource("bus", copy).stamp
    (copy / "LICENSE").write_text("other")
    assert ReleaseSource("bus", copy).stamp != before


def test_splits_from_another_release(home, tmp_path):
    table = pd.read_csv(home / "annotations.csv").assign(split="test")
    table.to_csv(tmp_path / "annotations.csv", index=False)
    options = Options(partial=True, splits_from=str(tmp_path / "annotations.csv"))
    assert set(ReleaseSource("bus", home, options).manifest()["split"]) == {"test"}


# What is missing


def test_fewer_rows_than_published_need_partial(home):
    with pytest.raises(SourceIncomplete, match=r"bus expects 780 images.*lists 12.*train: 8 of 546.*\n.*--partial"):
        read_bus(home, Options())


def test_a_complete_release_needs_no_partial(home, monkeypatch):
    monkeypatch.setattr(ReleaseSource, "card", CARD_OF_12)
    assert read_bus(home, Options()).num_rows == 12


def test_missing_images_are_listed_or_left_out_with_their_numbers_kept(copy, rows, monkeypatch):
    monkeypatch.setattr(ReleaseSource, "card", CARD_OF_12)
    (copy / "images.hdf5").unlink()
    (copy / "images" / "000003.tiff").unlink()
    with pytest.raises(SourceIncomplete, match=r"12 images of bus, but 1 file\(s\) are missing: images/000003.tiff"):
        read_bus(copy, Options())
    kept = read_bus(copy)
    assert kept["index"].to_pylist() == [0, 1, 2, *range(4, 12)]
    assert kept["image"].to_pylist() == [cell for i, cell in enumerate(rows["image"].to_pylist()) if i != 3]


def test_a_missing_mask_is_listed_unless_the_release_says_that_there_is_none(copy, monkeypatch):
    monkeypatch.setattr(ReleaseSource, "card", CARD_OF_12)
    options = Options(with_masks=True)
    (copy / "masks" / "000003.tiff").unlink()
    with pytest.raises(SourceIncomplete, match=r"masks/000003.tiff"):
        read_bus(copy, options)
    edit(copy, "annotations.csv", lambda text: text.replace("masks/000003.tiff", ""))
    assert [i for i, cell in enumerate(read_bus(copy, options)["mask"].to_pylist()) if cell is None] == [3]


def test_a_file_put_in_place_later_is_found(copy, rows):
    picture = copy / "images" / "000003.tiff"
    (copy / "images.hdf5").unlink()
    data = picture.read_bytes()
    picture.unlink()
    assert read_bus(copy).num_rows == 11
    picture.write_bytes(data)
    assert read_bus(copy).equals(rows)


def test_no_images_at_all(copy):
    shutil.rmtree(copy / "images")
    (copy / "images.hdf5").unlink()
    with pytest.raises(SourceIncomplete, match="no images of bus"):
        read_bus(copy)


def test_no_release_at_all(tmp_path, home):
    with pytest.raises(SourceNotFound, match=r"not a release of bus.*annotations.csv"):
        read_bus(tmp_path)
    with pytest.raises(SourceNotFound, match="not a release of bus"):
        read_bus(zip_release(home, tmp_path / "a.zip", root="elsewhere"))
