"""The pixel store: correct pixels, one file per content, written atomically, and little memory."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value

from fakes.images.pixels import encoded, noise, rows, start
from fakes.release import write_release
from medimeta.builders.source import Options, RawSource
from medimeta.errors import MedIMetaError
from medimeta.learn.data import store
from medimeta.learn.data.pixels import DecodedPixels, PixelStore, pixels
from medimeta.learn.data.store import cache_entries, clean_cache
from medimeta.upload.folder.writing import build

ROOT = Path(__file__).parents[3]


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
