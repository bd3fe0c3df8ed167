"""NCT-CRC-HE: two archives, classes from folders, three compressions, and what is wrong with bad input."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource
from medimeta.builders.sources.nct_crc import CODES
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import SourceBroken, SourceIncomplete, SourceNotFound


def source(folder, *, partial: bool = True) -> RawSource:
    return RawSource("crc", folder, Options(partial=partial))


@pytest.fixture
def folder(tmp_path):
    return write_miniature("crc", tmp_path / "raw", per_class=3, packed=False)


def test_codes_stand_in_the_labels_parentheses():
    assert [label.partition("(")[2].rstrip(")") for label in DATASETS["crc"].tasks[0].labels] == list(CODES)


def test_zips_and_folder_give_equal_rows_with_all_labels(folder, tmp_path):
    packed = source(write_miniature("crc", tmp_path / "zip", per_class=3))

    rows = to_table(source(folder), source(folder).manifest())

    assert rows.equals(to_table(packed, packed.manifest()))
    assert set(rows["tissue_class"].to_pylist()) == set(range(9))


def test_the_large_part_comes_first_and_the_small_one_is_the_test_split(folder):
    rows = source(folder).manifest()

    parts = rows["original_filepath"].str.partition("/")[0]
    assert parts.to_list() == ["NCT-CRC-HE-100K"] * 18 + ["CRC-VAL-HE-7K"] * 9
    assert rows["original_split"].to_list() == ["train"] * 18 + ["val"] * 9
    assert (rows["split"][:18] != "test").all()
    assert (rows["split"][18:] == "test").all()
    assert all(part["original_filepath"].is_monotonic_increasing for _, part in rows.groupby("original_split"))


def test_pixels_stay_as_they_are_in_every_compression(folder):
    rows = source(folder).manifest()
    kinds = set()
    for row, made in zip(rows["path"], source(folder).encode(rows), strict=True):
        with Image.open(folder / row) as tile:
            kinds.add(tile.info["compression"])
            assert np.array_equal(tile, Image.open(io.BytesIO(made["image"])))

    assert kinds == {"raw", "packbits", "tiff_lzw"}


def test_one_part_alone_is_incomplete_or_partial(folder, tmp_path):
    (folder / "NCT-CRC-HE-100K").rename(tmp_path / "elsewhere")

    with pytest.raises(SourceIncomplete, match=r"expects 107,180 images, found 9 .*\n  missing: NCT-CRC-HE-100K"):
        source(folder, partial=False).manifest()
    assert len(source(folder).manifest()) == 9


def test_the_archive_without_normalised_colours_is_not_taken(tmp_path):
    folder = write_miniature("crc", tmp_path / "raw", per_class=1, packed=False)
    for part in ("NCT-CRC-HE-100K", "CRC-VAL-HE-7K"):
        (folder / part).rename(folder / f"{part}-NONORM")

    with pytest.raises(SourceNotFound, match="found none of NCT-CRC-HE-100K, CRC-VAL-HE-7K"):
        source(folder).manifest()


def test_an_unknown_folder_is_named(folder):
    (folder / "NCT-CRC-HE-100K" / "ADI").rename(folder / "NCT-CRC-HE-100K" / "FAT")

    with pytest.raises(
        SourceBroken, match=r"'FAT' is not a label of task 'tissue class', in row \d+ \(NCT-CRC-HE-100K/FAT/"
    ):
        source(folder).manifest()


@pytest.mark.filterwarnings("ignore:Truncated File Read")  # Pillow says so too
@pytest.mark.parametrize(
    ("kept", "problem"),
    [(0, "not a readable"), (100, "not a readable"), (90_000, "cannot be rendered")],
)
def test_a_broken_image_is_named(folder, kept, problem):
    file = sorted((folder / "NCT-CRC-HE-100K" / "MUS").iterdir())[0]
    Image.new("RGB", (224, 224)).save(file)  # uncompressed: the directory precedes the pixels
    file.write_bytes(file.read_bytes()[:kept])

    with pytest.raises(SourceBroken, match=rf"NCT-CRC-HE-100K/MUS/{file.name} in .*{problem}"):
        source(folder).encode(source(folder).manifest())


def test_a_tile_of_another_size_is_named(folder):
    file = sorted((folder / "NCT-CRC-HE-100K" / "MUS").iterdir())[0]
    Image.new("RGB", (230, 224)).save(file)

    with pytest.raises(SourceBroken, match=rf"{file.name} in .*rendered to 230x224, not 224x224"):
        source(folder).encode(source(folder).manifest())
