"""Images of other sizes than 224x224: the same picture, masks in the same place, and folders of one size."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import medimeta
from fakes.tiers import quick
from medimeta.builders.images import SIDE
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import rows_per_group
from medimeta.builders.source import Options, RawSource
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import MedIMetaError

MEAN = 3.0  # grey levels: mean difference of an image built at 448 and reduced by area, and of the image built at 224


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float32)


def halved(pixels):
    return pixels.reshape(SIDE, 2, SIDE, 2, -1).mean(axis=(1, 3))


def difference(one, other):
    """Mean difference, without the border that shifted images lack."""
    return float(np.abs(one - other)[2:-2, 2:-2].mean())


@pytest.fixture(scope="module", params=quick("bus", "cxr", "dr_regular", "mammo_mass", "organs_axial", of=DATASETS))
def rows(request, tmp_path_factory):
    """A few rows of each dataset, encoded at 224 and at 448."""
    folder = write_miniature(request.param, tmp_path_factory.mktemp("raw"), per_class=2, packed=False)
    options = Options(partial=True, with_masks=bool(DATASETS[request.param].masks))
    source = RawSource(request.param, folder, options)
    manifest = source.manifest().iloc[::5].head(6)
    return [replace(source, options=replace(options, size=size)).encode(manifest) for size in (SIDE, 2 * SIDE)]


def test_geometry(rows):
    for published, larger in zip(*rows, strict=True):
        here, there = decoded(published["image"]), decoded(larger["image"])
        assert there.shape == (2 * SIDE, 2 * SIDE, 3)
        reduced = halved(there)
        assert difference(here, reduced) <= MEAN
        if here.std() > 1:  # a shift by one pixel, half a pixel of the larger image, would be seen
            moved = [np.roll(there, step, axis) for step in (-1, 1) for axis in (0, 1)]
            assert all(difference(here, halved(pixels)) > difference(here, reduced) for pixels in moved)


def test_masks_follow(rows):
    for published, larger in zip(*rows, strict=True):
        for name in set(published) - {"image", "original_image_size", "original_image_ratio"}:
            if published[name] is None:
                assert larger[name] is None
                continue
            here, there = decoded(published[name]) > 0, halved(decoded(larger[name])) > 127
            assert (here != there).mean() < 0.01


def test_the_published_size_is_the_default(tmp_path):
    folder = write_miniature("pbc", tmp_path, per_class=1)
    plain, named = (RawSource("pbc", folder, Options(partial=True, size=size)) for size in (None, SIDE))
    assert plain.encode(plain.manifest()) == named.encode(named.manifest())


@pytest.mark.parametrize("size", [28, 225, 1024])
def test_any_size(size, tmp_path):
    folder = write_miniature("bus", tmp_path, per_class=1)
    rows = medimeta.load_dataset("bus", data_dir=folder, partial=True, with_masks=True, size=size, split="train")
    assert {row[column].size for row in rows for column in ("image", "mask")} == {(size, size)}
    view = medimeta.load_task("bus", data_dir=folder, partial=True, size=size)
    assert view[0]["image"].size == (size, size)


@pytest.mark.parametrize("size", [27, 1025, 0, 224.0, "224", True])
def test_refused_sizes(size):
    with pytest.raises(MedIMetaError) as refused:
        Options(size=size)
    assert refused.value.code == "invalid-size"


def test_small_sources_are_refused_at_every_size(tmp_path):
    """An image of fewer than 224 pixels a side is not one of the published ones."""
    folder = write_miniature("pbc", tmp_path, per_class=1, packed=False)
    for path in folder.rglob("[!.]*.jpg"):
        Image.open(path).resize((200, 200)).save(path)
    for size in (SIDE, 448):
        source = RawSource("pbc", folder, Options(partial=True, size=size))
        with pytest.raises(MedIMetaError, match=f"rendered to 200x200, not {size}x{size}"):
            source.encode(source.manifest())


def test_row_groups_keep_their_bytes():
    assert [rows_per_group(side) for side in (28, 224, 448, 1024)] == [100, 100, 25, 4]


def test_a_release_has_one_size(tmp_path):
    from fakes.release import write_release

    raw = write_miniature("bus", tmp_path / "raw", per_class=2)
    folder = write_release(RawSource("bus", raw, Options(partial=True)), tmp_path / "release")
    with pytest.raises(MedIMetaError) as refused:
        open_source("bus", folder, Options(size=448, partial=True)).manifest()
    assert refused.value.code == "another-size"


def test_nothing_is_downloaded_for_another_size(monkeypatch):
    monkeypatch.delenv("MEDIMETA_DATA", raising=False)
    monkeypatch.setattr("medimeta.builders.dataset.download_release", pytest.fail)
    with pytest.raises(MedIMetaError) as refused:
        medimeta.load_dataset("bus", size=448)
    assert refused.value.code == "another-size"
