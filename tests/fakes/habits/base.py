"""The kinds by name, and how they choose files of a miniature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
FORMATS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG"}
TABLES = (".csv", ".xlsx", ".txt", ".dat")

Kind = Callable[[Path], str]
"""Changes a folder; returns part of the name of the file that a refusal has to name, "*" if no file is meant, or "" if
the kind does not apply."""

KINDS: dict[str, Kind] = {}
EQUAL: set[str] = set()  # kinds that may not be refused


def kind(name: str, *, equal: bool = False) -> Callable[[Kind], Kind]:
    """Register a kind under a name; `equal` if the source can be read without doubt."""

    def register(function: Kind) -> Kind:
        KINDS[name] = function
        if equal:
            EQUAL.add(name)
        return function

    return register


def files(folder: Path, *suffixes: str) -> list[Path]:
    """The files of a miniature with some suffixes, in sorted order; hidden ones are left out."""
    paths = (p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    return sorted(p for p in paths if p.name[0] not in ".~")


def picture(folder: Path) -> Path | None:
    """The first image of a miniature that is not a mask."""
    paths = (p for p in files(folder, *PICTURES) if "mask" not in p.name and "STAPLE" not in p.parts)
    if (folder / "release_v0").exists():  # of the two of a case, the one of skinl_derm
        paths = (p for p in paths if p.stem.endswith("d"))
    return next(paths, None)


def dicom(folder: Path) -> Iterator[Path]:
    """The DICOM files of a miniature."""
    yield from files(folder, ".dcm")


def mass(folder: Path, role: str = "") -> Path | None:
    """The film of the first mass in a miniature of CBIS-DDSM, its "crop" or its "mask"."""
    case = "Mass-Training_P_00001_LEFT_CC" + ("_1" if role else "")
    paths = [p for p in dicom(folder) if case in p.parts]
    return (min if role == "crop" else max)(paths, key=lambda path: path.stat().st_size, default=None)


def volume(folder: Path) -> Path | None:
    """The first volume of a miniature."""
    return next((p for p in files(folder, ".nii") if p.name == "volume-0.nii"), None)


def scribble(folder: Path) -> None:
    """Change what a copy holds, so that it is noticed when it is read."""
    for path in files(folder, *PICTURES):
        with Image.open(path) as image:
            size, mode, name = image.size, image.mode, image.format
        Image.new(mode, size).save(path, name)
