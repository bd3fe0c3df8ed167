"""Mistakes and broken files, through `medimeta.load_dataset`, `load_task` and `datasets.load_dataset` alike."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from datasets import load_dataset

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.errors import SourceBroken, SourceIncomplete, SourceNotFound, UnknownName

BROKEN = "basophil"


@contextmanager
def raises(kind, *names):
    """Expect an error of exactly this class, whose message names some things."""
    with pytest.raises(kind) as caught:
        yield
    assert type(caught.value) is kind
    assert [name for name in names if name not in str(caught.value)] == [], caught.value


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=6)


FAULTS = {
    "cut": lambda data: data[:500],
    "empty": lambda data: b"",
    "a web page": lambda data: b"<!DOCTYPE html>quota exceeded",
    "a git-lfs pointer": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in FAULTS if name != "cut"]


@pytest.fixture(scope="module", params=["cut", *SLOW])
def broken(request, tmp_path_factory):
    """A source in which one image is damaged; its name is in the second value."""
    folder = write_miniature("pbc", tmp_path_factory.mktemp("broken"), per_class=30, packed=False)
    image = sorted(folder.rglob(f"{BROKEN}/*.jpg"))[0]
    image.write_bytes(FAULTS[request.param](image.read_bytes()))
    return folder, image.name


def by_face(dataset, **options):
    return medimeta.load_dataset(dataset, **options)


def by_task(dataset, **options):
    return medimeta.load_task(dataset, **options)


def by_datasets(dataset, data_dir=None, **options):
    return load_dataset("medimeta", dataset, data_dir=None if data_dir is None else str(data_dir), **options)


doors = pytest.mark.parametrize("door", [by_face, by_task, by_datasets])


@doors
@pytest.mark.parametrize("num_proc", [None, 2])
def test_a_broken_file_is_named(broken, door, num_proc):
    folder, name = broken
    with raises(SourceBroken, name):
        door("pbc", data_dir=folder, partial=True, num_proc=num_proc)


def test_a_broken_file_is_named_where_tracebacks_are_pickled(broken):
    """Dask installs tblib, which sends an error with its causes and their frames from process to process."""
    pytest.importorskip("tblib.pickling_support", reason="Dask is not in the oldest environment").install()
    folder, name = broken
    with raises(SourceBroken, name):
        by_face("pbc", data_dir=folder, partial=True, num_proc=2)


@doors
def test_a_broken_file_is_named_in_a_stream(broken, door):
    folder, name = broken
    with raises(SourceBroken, name):
        for split in ("train", "validation", "test"):
            list(door("pbc", data_dir=folder, partial=True, streaming=True, split=split))


@doors
def test_a_source_that_goes_away_is_named(tmp_path, door, monkeypatch):
    """`datasets` turns errors of the system into "Cannot find data file"."""
    folder = write_miniature("pbc", tmp_path, per_class=2, packed=False)
    image = sorted(folder.rglob(f"{BROKEN}/*.jpg"))[0]
    from medimeta.builders.sources import pbc

    manifest = pbc.manifest

    def then_delete(raw):
        rows = manifest(raw)
        image.unlink()
        return rows

    monkeypatch.setattr(
        "medimeta.builders.source.find_reader", lambda card: pbc.Reader(pbc.MARKERS, then_delete, pbc.render)
    )
    with raises(SourceNotFound, image.name):
        door("pbc", data_dir=folder, partial=True)


@doors
def test_other_errors_stay_as_they_are(raw, door, monkeypatch):
    def fault(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("medimeta.builders.dataset.to_table", fault)
    with pytest.raises(Exception, match="An error occurred while generating the dataset") as caught:
        door("bus", data_dir=raw, partial=True, download_mode="force_redownload")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@doors
def test_names_are_checked_first(raw, door):
    with raises(UnknownName, "'bsu'", "Did you mean 'bus'"):
        door("bsu")
    with raises(UnknownName, "'with_mask'", "Did you mean 'with_masks'"):
        door("bus", data_dir=raw, with_mask=True)
    with raises(UnknownName, "'right'", "released, corrected"):
        door("bus", data_dir=raw, labels="right")
    with raises(UnknownName, "'dev'", "train, validation, test"):
        door("bus", data_dir=raw, partial=True, split="dev")
    with raises(UnknownName, "'dev'"):
        door("bus", data_dir=raw, partial=True, split=["train", "dev"])


@doors
def test_places_are_checked_first(raw, tmp_path, door):
    with raises(SourceIncomplete, "expects 780 images", "--partial"):
        door("bus", data_dir=raw)
    with raises(SourceNotFound, "nowhere", "Dataset_BUSI.zip"):
        door("bus", data_dir=tmp_path / "nowhere")
    with raises(SourceNotFound, "medimeta info pbc"):
        door("pbc", data_dir=raw, partial=True)
    with raises(SourceNotFound, "data_dir is empty"):
        door("bus", data_dir="")
    with raises(SourceNotFound, "~nobody_of_that_name/x"):
        door("bus", data_dir="~nobody_of_that_name/x")


def test_what_others_accept_is_refused_with_a_suggestion(raw):
    for option in ("features", "revision", "token", "data_files", "name", "keep_in_memory"):
        with raises(UnknownName, option, "download_mode", "datasets.load_dataset('medimeta', 'bus'"):
            medimeta.load_dataset("bus", data_dir=raw, **{option: "x"})
    for several in (["bus"], ("bus", "pbc"), {"bus"}, None, 3):
        with raises(UnknownName, "named by its id"):
            medimeta.load_dataset(several, data_dir=raw)


def test_datasets_needs_a_dataset_and_no_revision():
    with raises(UnknownName, '"bus"', "crc"):
        load_dataset("medimeta")
    with raises(UnknownName, '"bus"', "crc"):
        load_dataset("medimeta", partial=True)
    with raises(UnknownName, "revision='main'", "<namespace>/medimeta"):
        load_dataset("medimeta", "bus", revision="main")


def test_lists_of_splits_and_what_datasets_itself_takes(raw):
    options = {"data_dir": str(raw), "partial": True}
    one = medimeta.load_dataset("bus", split=["train", "val"], **options)
    other = load_dataset("medimeta", "bus", split=["train", "val"], **options)
    copied = load_dataset("medimeta", "bus", split="test", keep_in_memory=True, **options)

    assert [len(rows) for rows in one] == [len(rows) for rows in other] == [12, 1]
    assert not copied.cache_files
    streams = medimeta.load_dataset("bus", split=["train", "val"], streaming=True, **options)
    assert [len(list(stream)) for stream in streams] == [12, 1]
    with raises(UnknownName, "train[:3]", "take"):
        medimeta.load_dataset("bus", split="train[:3]", streaming=True, **options)
