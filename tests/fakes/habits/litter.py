"""Litter and copies next to the files of a source."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from PIL import Image

from .base import PICTURES, TABLES, files, kind, picture, scribble


@kind("litter of systems", equal=True)
def _(folder: Path) -> str:
    for place in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._x.png", "._x.csv", ".x.nii"):
            (place / name).write_bytes(b"\0\5\x16\7litter")
    return "*"


@kind("hidden copies", equal=True)
def _(folder: Path) -> str:
    for name in (".Trash-1000/files", "__MACOSX", ".AppleDouble", "@eaDir"):
        shutil.copytree(folder, folder / name, ignore=shutil.ignore_patterns(".*", "__MACOSX", "@eaDir"))
        scribble(folder / name)
    return "*"


@kind("owner files", equal=True)
def _(folder: Path) -> str:
    for path in files(folder, *TABLES):
        path.with_name(f"~${path.name}").write_bytes(b"\5User" + bytes(160))
        path.with_name(f".~lock.{path.name}#").write_bytes(b",user,host")
    return "*"


@kind("heat maps next to images", equal=True)
def _(folder: Path) -> str:
    for place in {p.parent for p in files(folder, *PICTURES, ".nii", ".dcm")}:
        other = place / "gradcam"
        other.mkdir()
        for path in list(place.iterdir()):
            if path.suffix.lower() in PICTURES:
                Image.new("L", (300, 300), 128).save(other / path.name, "PNG")
            elif path.is_file():
                (other / path.name).write_bytes(b"not this one")
    return "*"


@kind("pipe, device and loop", equal=True)
def _(folder: Path) -> str:
    inside = next(p for p in sorted(folder.rglob("*")) if p.is_dir())
    os.mkfifo(inside / "pipe.png")
    (inside / "zero.png").symlink_to("/dev/zero")
    (inside / "loop").symlink_to(folder)
    (inside / "round.png").symlink_to("round.png")
    deep = inside
    for _ in range(60):
        deep = deep / "d"
        deep.mkdir()
    return "*"


@kind("names that are not UTF-8")
def _(folder: Path) -> str:
    path = picture(folder)
    if path is None:
        return ""
    shutil.copy(path, os.path.join(os.fsencode(path.parent), b"caf\xe9" + os.fsencode(path.suffix)))  # noqa: PTH118
    return "caf"


def copies(folder: Path, form: str, *suffixes: str) -> str:
    paths = files(folder, *suffixes)
    for path in paths:
        shutil.copy(path, path.with_name(form.format(path.stem, path.suffix)))
    return "*" if paths else ""


@kind("copies of browsers", equal=True)
def _(folder: Path) -> str:
    return copies(folder, "{} (1){}", *PICTURES, *TABLES, ".nii", ".dcm")


@kind("copies of file managers", equal=True)
def _(folder: Path) -> str:
    return copies(folder, "{} - Copy{}", *PICTURES, *TABLES, ".nii", ".dcm")


@kind("conflicted copies", equal=True)
def _(folder: Path) -> str:
    return copies(folder, "{} (Anna's conflicted copy 2024-02-03){}", *PICTURES, *TABLES, ".nii", ".dcm")


for _form in (
    "Copy of {}{}",
    "{}(1){}",
    "{}_1{}",
    "{}-1{}",
    "{} 2{}",
    "{}~{}",
):  # each may be a name of the source, too

    @kind(f"copies {_form.format('x', '.y')}")
    def _(folder: Path, form: str = _form) -> str:
        return copies(folder, form, *PICTURES, *TABLES, ".nii", ".dcm")


@kind("a copy of the whole")
def _(folder: Path) -> str:
    own = folder / "source"
    own.mkdir()
    for path in [p for p in folder.iterdir() if p != own]:
        path.rename(own / path.name)
    shutil.copytree(own, folder / "backup")
    scribble(folder / "backup")
    return "backup"


@kind("an unrelated folder with a marker", equal=True)
def _(folder: Path) -> str:
    tops = [p for p in sorted(folder.rglob("*")) if p.is_dir()]
    for name in ("benign", "ig", "meta", "images", "Train"):
        if any(p.name == name for p in tops):
            place = folder / "AAA" / "Archive" / name
            place.mkdir(parents=True)
            Image.new("RGB", (300, 300)).save(place / "1.png")
            return "*"
    return ""
