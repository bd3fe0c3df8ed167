"""The pixel store: correct pixels, one file per content, written atomically, and little memory."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value
from filelock import FileLock
from PIL import Image as Pillow

from fakes.release import write_release
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options, RawSource
from medimeta.errors import MedIMetaError
from medimeta.learn.data import store
from medimeta.learn.data.pixels import DecodedPixels, PixelStore, pixels
from medimeta.learn.data.store import cache_entries, clean_cache
from medimeta.learn.data.views import load_task
from medimeta.upload.folder.writing import build

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Miniature sources by dataset id."""
    home = tmp_path_factory.mktemp("raw")
    return {id: write_miniature(id, home / id, per_class=4) for id in ("bus", "pbc")}


@pytest.fixture
def load(raw, tmp_path):
    def view(dataset, task=None, split="train+val+test", data_dir=None):
        cache = str(tmp_path / "prepared")
        return load_task(dataset, task, split=split, data_dir=data_dir or raw[dataset], partial=True, cache_dir=cache)

    return view


def encoded(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return buffer.getvalue()


def rows(pictures):
    """Return rows that hold only encoded images."""
    cells = [None if data is None else {"bytes": data, "path": None} for data in pictures]
    return Dataset.from_dict({"image": cells}, features=Features({"image": Image()}))


def noise(count, shape=(24, 16, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def start(code, *arguments):
    """Start a Python process with this package and the cache of the test."""
    script = "import os, sys, time, datasets; from pathlib import Path\n"
    script += "datasets.config.HF_DATASETS_CACHE = Path(sys.argv[1])\n" + textwrap.dedent(code)
    command = [sys.executable, "-c", script, str(store.folder().parent), *map(str, arguments)]
    return subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")}, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


@pytest.mark.parametrize(("dataset", "channels"), [("bus", 1), ("pbc", 3)])
@pytest.mark.parametrize("stored", [True, False])
def test_pixels_are_those_of_the_images(load, dataset, channels, stored):
    view = load(dataset)

    found = pixels(view, store=stored)

    assert isinstance(found, PixelStore if stored else DecodedPixels)
    assert found.shape == (len(view), 224, 224, channels)
    wanted = np.stack([np.asarray(row["image"]).reshape(224, 224, channels) for row in view])
    np.testing.assert_array_equal(found.take(range(len(view))), wanted)
    np.testing.assert_array_equal(found.take([5, 0, 5]), wanted[[5, 0, 5]])
    assert found.take(np.array([2])).flags.writeable
    with pytest.raises(IndexError):
        found.take([len(view)])


@pytest.mark.parametrize("dataset", ["bus", "pbc"])
def test_parquet_raw_source_and_release_share_one_file(load, raw, tmp_path, dataset):
    source = RawSource(dataset, raw[dataset], Options(partial=True))
    build(source, tmp_path / "hub", version="0")
    places = [raw[dataset], tmp_path / "hub", write_release(source, tmp_path / "release")]

    files = {pixels(load(dataset, data_dir=place)).path for place in places}

    assert len(files) == len(cache_entries()) == 1


def test_the_file_depends_on_pixels_not_on_their_compression():
    images = noise(5)

    files = {pixels(rows([encoded(image, kind) for image in images])).path for kind in ("PNG", "WEBP")}

    assert len(files) == len(cache_entries()) == 1
    np.testing.assert_array_equal(np.load(files.pop()), images)
    assert len({pixels(rows(map(encoded, part))).path for part in (images[::-1], images[:4], images)}) == 3


def test_a_store_is_found_again_without_reading(load, monkeypatch):
    first = pixels(load("bus"))
    monkeypatch.setattr(store, "encoded_images", lambda *_: pytest.fail("images were read"))

    assert pixels(load("bus")) == first


def test_another_task_finds_it_without_decoding(load, monkeypatch):
    first = pixels(load("bus", "case category"))
    monkeypatch.setattr(store, "decode_images", lambda *_: pytest.fail("images were decoded"))

    assert pixels(load("bus", "malignancy")) == first
    assert pixels(load("bus", "malignancy").with_format("numpy")) == first


def test_selected_rows_have_their_own_store(load):
    view = load("pbc")
    whole, part = pixels(view), pixels(view.select([7, 3]))

    assert part.path != whole.path
    np.testing.assert_array_equal(part.take([0, 1]), whole.take([7, 3]))


def test_no_rows():
    found = pixels(rows([]))

    assert found.shape == (0, 0, 0, 0)
    assert clean_cache() == 128  # bytes of the header


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (b"no image", "row 1 is damaged"),
        (encoded(noise(1)[0])[:-200], "row 1 is damaged"),
        (encoded(noise(1, (8, 16, 3))[0]), r"row 1 has shape \(8, 16, 3\), but others have \(24, 16, 3\)"),
        (encoded(noise(1, (24, 16))[0]), r"row 1 has shape \(24, 16, 1\)"),
        (encoded(noise(1, (24, 16, 4))[0]), r"row 1 has shape \(24, 16, 4\)"),
        (None, "Row 1 has no image"),
    ],
)
def test_unfit_images_are_named_and_leave_nothing(picture, message):
    good = encoded(noise(1)[0])
    view = rows([good, picture, good])

    for stored in (True, False):
        with pytest.raises(MedIMetaError, match=message):
            pixels(view, store=stored).take([0, 1])
    assert not list(store.folder().glob("*.part"))
    assert not cache_entries()


def test_a_full_disk_is_reported_before_work(load, monkeypatch):
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))

    with pytest.raises(MedIMetaError, match=r"12 images take 0.0 GB.*has only 0.0 GB free.*store=False"):
        pixels(load("bus"))


def test_a_deleted_store_says_what_to_do(load):
    found = pixels(load("bus"))
    clean_cache()

    with pytest.raises(MedIMetaError, match=r"deleted from the cache\. Call `pixels` again"):
        pickle.loads(pickle.dumps(found)).take([0])
    assert pixels(load("bus")).take([0]).shape == (1, 224, 224, 1)


def test_pickled_it_is_a_path(load):
    found = pixels(load("pbc"))
    found.take([0])

    data = pickle.dumps(found)

    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data).take([1]), found.take([1]))


BUILD_SLOWLY = """
from medimeta.learn.data import store, pixels
real = store.decode_images
def slow(data, rows, out):
    os.write(1, b"%d\\n" % len(rows))  # in one piece: threads do this at once
    time.sleep(float(sys.argv[3]))
    real(data, rows, out)
store.decode_images, store.BLOCK = slow, 4
print(pixels.pixels(datasets.Dataset.from_file(sys.argv[2])).path)
"""


@pytest.fixture
def on_disk(tmp_path):
    """An Arrow file of 40 images, to be read by other processes."""
    folder = tmp_path / "rows"
    rows([encoded(image) for image in noise(40)]).save_to_disk(folder)
    return folder / "data-00000-of-00001.arrow"


def test_a_killed_build_leaves_no_store(on_disk):
    process = start(BUILD_SLOWLY, on_disk, 0.3)
    deadline = time.monotonic() + 60
    while not list(store.folder().glob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert list(store.folder().glob("*.part"))
    assert not cache_entries()
    assert not list(store.folder().glob("*.key"))
    found = pixels(Dataset.from_file(str(on_disk)))
    np.testing.assert_array_equal(found.take(range(40)), noise(40))
    assert not list(store.folder().glob("*.part"))


def test_two_processes_build_it_once(on_disk):
    answers = [
        process.communicate(timeout=120)[0].split() for process in [start(BUILD_SLOWLY, on_disk, 0.1) for _ in "12"]
    ]

    assert len({answer[-1] for answer in answers}) == len(cache_entries()) == 1
    assert sorted(sum(map(int, answer[:-1])) for answer in answers) == [0, 40]
    np.testing.assert_array_equal(np.load(answers[0][-1]), noise(40))


def test_entries_and_cleaning(load):
    bus, pbc = pixels(load("bus")), pixels(load("pbc"))
    os.utime(bus.path, (time.time() - 3 * 86400,) * 2)

    entries = cache_entries()
    assert [(entry.path, entry.images, entry.bytes) for entry in entries] == [
        (pbc.path, 32, 32 * 224 * 224 * 3 + 128),
        (bus.path, 12, 12 * 224 * 224 + 128),
    ]
    assert clean_cache(unused_days=4) == 0
    assert clean_cache(unused_days=2) == entries[1].bytes
    assert [entry.path for entry in cache_entries()] == [pbc.path]
    assert pbc.take([0]).shape == (1, 224, 224, 3)
    assert clean_cache() == entries[0].bytes
    assert {path.suffix for path in store.folder().iterdir()} <= {".lock"}
    assert pbc.take([0]).shape == (1, 224, 224, 3)  # who has it open keeps it
    assert clean_cache() == 0


def test_asking_for_a_store_renews_its_time_of_use(load):
    found = pixels(load("bus"))
    os.utime(found.path, (0, 0))

    pixels(load("bus"))

    assert cache_entries()[0].used > time.time() - 60


def test_cleaning_spares_a_running_build():
    store.folder().mkdir(parents=True)
    part = store.folder() / "abc.0123.part"
    part.write_bytes(bytes(10))

    with FileLock(store.folder() / "abc.lock"):
        assert clean_cache() == 0
    assert clean_cache() == 10
    assert not part.exists()


def test_there_may_be_no_cache_yet():
    assert cache_entries() == []
    assert clean_cache() == 0


def test_many_threads_decode_in_order(monkeypatch):
    monkeypatch.setattr(store, "BLOCK", 3)
    monkeypatch.setattr(store, "THREADS", 8)
    images = noise(100)

    np.testing.assert_array_equal(np.load(pixels(rows(map(encoded, images))).path), images)


SERVE = """
import numpy as np, torch
from medimeta.learn.data.normalise import normalise
from medimeta.learn.data.pixels import PixelStore
def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) * 1024
found = PixelStore(Path(sys.argv[2]))
before, most = private(), 0
order = np.random.default_rng(0).permutation(found.shape[0])
for start in range(0, len(order), 64):
    batch = found.take(order[start : start + 64])
    if start % 1024 == 0:
        values = normalise(torch.from_numpy(batch))
        most = max(most, private())
print(start + len(batch), most - before)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells private memory")
@pytest.mark.slow
def test_serving_takes_little_private_memory(tmp_path):
    """As many images as `pbc` has, 2.6 GB, in a sparse file of zeros."""
    path = tmp_path / "zeros.npy"
    with path.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (17_000, 224, 224, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 17_000 * 224 * 224 * 3)

    served, added = map(int, start(SERVE, path).communicate(timeout=300)[0].split())

    assert served == 17_000
    assert added < 300e6


def test_features_of_other_columns_do_not_matter():
    images = noise(3)
    features = Features({"mask": Image(), "image": Image(), "n": Value("int32")})
    cells = [{"bytes": encoded(image), "path": None} for image in images]
    view = Dataset.from_dict({"mask": cells[::-1], "image": cells, "n": [0, 1, 2]}, features=features)

    np.testing.assert_array_equal(pixels(view).take([0, 1, 2]), images)
    np.testing.assert_array_equal(pixels(view, column="mask").take([0, 1, 2]), images[::-1])


def test_many_threads_ask_for_one_store():
    images = noise(40)
    views = [rows(map(encoded, images)) for _ in range(8)]
    for count in range(36, 41):
        parts = [view.select(range(count)) for view in views]
        with ThreadPoolExecutor(8) as threads:
            stores = {found.path for found in threads.map(pixels, parts)}
        assert len(stores) == 1
        np.testing.assert_array_equal(np.load(stores.pop()), images[:count])
    assert len(cache_entries()) == 5
    assert not list(store.folder().glob("*.part"))


def test_a_store_of_another_user_is_used(monkeypatch):
    first = pixels(rows(map(encoded, noise(3))))

    def denied(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(store.os, "utime", denied)
    monkeypatch.setattr(store, "whole_file", denied)  # the folder cannot be written, either
    monkeypatch.setattr(store, "FileLock", denied)
    again = pixels(rows(map(encoded, noise(3))))

    assert again == first
    np.testing.assert_array_equal(again.take([2]), noise(3)[2:])
    with pytest.raises(MedIMetaError, match=r"medimeta-pixels cannot be written: .*HF_DATASETS_CACHE.*store=False"):
        pixels(rows(map(encoded, noise(4))))


def test_stores_that_may_not_be_deleted_are_kept(monkeypatch):
    kept, deleted = (pixels(rows(map(encoded, noise(count)))).path for count in (3, 4))
    unlink = Path.unlink

    def denied(path, *arguments, **options):
        if path == kept:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", denied)

    assert clean_cache() == 4 * 24 * 16 * 3 + 128
    assert [entry.path for entry in cache_entries()] == [kept]
    assert not deleted.exists()
