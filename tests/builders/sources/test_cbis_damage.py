"""CBIS-DDSM with tables, images or masks that are wrong or missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from medimeta.builders.phantoms.cbis_ddsm import MANIFEST
from medimeta.builders.source import Options, RawSource
from medimeta.errors import MissingExtra, SourceBroken, SourceIncomplete, SourceNotFound

PARTIAL = Options(partial=True)


def edit(folder: Path, old: str, new: str) -> None:
    """Change a word in the train table of masses, once."""
    table = folder / MANIFEST / "mass_case_description_train_set.csv"
    text = table.read_bytes().decode()
    assert old in text
    table.write_bytes(text.replace(old, new, 1).encode())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mass shape", "shape", r"train_set.csv in .*lacks the column\(s\) mass shape; it has .*shape"),
        ("patient_id", "patient", r"lacks the column\(s\) patient_id"),
        ("ROI mask file path", "mask", r"lacks the column\(s\) ROI mask file path"),
        (
            ",CIRCUMSCRIBED,",
            ",CIRCUMSCRIBED-WOOLLY,",
            "'WOOLLY' is not a label of task 'mass margins', in row 0 .*SPICULATED",
        ),
        ("BENIGN", "PERHAPS", "'PERHAPS' is not a label of task 'pathology', in row 0 .*benign, malignant"),
    ],
)
def test_a_table_with_something_wrong(mass, old, new, message):
    edit(mass, old, new)

    with pytest.raises(SourceBroken, match=f"(?s){message}"):
        RawSource("mammo_mass", mass, PARTIAL).manifest()


def test_a_missing_table(mass):
    (mass / MANIFEST / "mass_case_description_test_set.csv").unlink()

    with pytest.raises(SourceNotFound, match=r"mass_case_description_test_set.csv is missing in "):
        RawSource("mammo_mass", mass, PARTIAL).manifest()


def test_a_file_that_the_table_names_but_that_is_absent(mass):
    lost = next((mass / MANIFEST / "CBIS-DDSM").glob("Mass-Training_P_00001_LEFT_MLO_1/*/*/1-2.dcm"))
    lost.unlink()

    with pytest.raises(
        SourceIncomplete, match=r"(?s)expects 1,696 images, found 7 .*missing files \(1\): .*000001.dcm"
    ):
        RawSource("mammo_mass", mass).manifest()
    manifest = RawSource("mammo_mass", mass, PARTIAL).manifest()
    assert len(manifest) == 7
    assert not manifest["original_filepath"].str.contains("P_00001_LEFT_MLO").any()


@pytest.mark.parametrize("content", [b"", b"no DICOM at all", None])
def test_a_file_that_is_no_dicom_image(mass, content):
    film = next((mass / MANIFEST / "CBIS-DDSM").glob("Mass-Training_P_00001_LEFT_CC/*/*/1-1.dcm"))
    size = film.stat().st_size
    # The sizes tell which file is which: the broken one must stay the largest. None: cut short.
    film.write_bytes(film.read_bytes()[: size - 1000] if content is None else content.ljust(size, b"\0"))
    source = RawSource("mammo_mass", mass, PARTIAL)

    with pytest.raises(SourceBroken, match=r"P_00001_LEFT_CC/.*1-1.dcm in .*: (not a readable|cut short).* Get"):
        source.encode(source.manifest()[:1])


def test_a_mask_that_marks_nothing(mass):
    from pydicom import dcmread

    series = next((mass / MANIFEST / "CBIS-DDSM").glob("Mass-Training_P_00001_LEFT_CC_1/*/*"))
    mask = max(series.iterdir(), key=lambda path: path.stat().st_size)
    film = next((mass / MANIFEST / "CBIS-DDSM").glob("Mass-Training_P_00001_LEFT_CC/*/*/1-1.dcm"))
    for path in (mask, film):
        picture = dcmread(path)
        picture.PixelData = bytes(len(picture.PixelData))
        picture.save_as(path)
    source = RawSource("mammo_mass", mass, PARTIAL)

    with pytest.raises(SourceBroken, match=r"neither this nor CBIS-DDSM/.* marks the lesion"):
        source.encode(source.manifest()[:1])


def test_without_pydicom(mass, monkeypatch):
    source = RawSource("mammo_mass", mass, PARTIAL)
    manifest = source.manifest()
    monkeypatch.setitem(sys.modules, "pydicom", None)

    with pytest.raises(MissingExtra, match=r"Reading .* needs pydicom"):
        source.encode(manifest[:1])
