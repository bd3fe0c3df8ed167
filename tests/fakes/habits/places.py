"""Where the files of a source are: folders and links."""

from __future__ import annotations

import os
from pathlib import Path

from .base import PICTURES, TABLES, files, kind, mass, picture, volume


@kind("suffixes in upper case")
def _(folder: Path) -> str:
    for path in files(folder, *PICTURES, *TABLES, ".nii", ".dcm"):
        path.rename(path.with_suffix(path.suffix.swapcase()))
    return "*"


@kind("folders in lower case")
def _(folder: Path) -> str:
    for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
        path.rename(path.with_name(path.name.lower()))
    return "*"


@kind("folders doubled by Extract All", equal=True)
def _(folder: Path) -> str:
    for path in [p for p in folder.iterdir() if p.is_dir()]:
        moved = path.rename(folder / "moved")
        path.mkdir()
        moved.rename(path / path.name)
    return "*"


@kind("three folders above", equal=True)
def _(folder: Path) -> str:
    own = folder / "moved"
    own.mkdir()
    for path in [p for p in folder.iterdir() if p != own]:
        path.rename(own / path.name)
    (folder / "a" / "b").mkdir(parents=True)
    own.rename(folder / "a" / "b" / "c")
    return "*"


@kind("folders that are links", equal=True)
def _(folder: Path) -> str:
    for number, path in enumerate([p for p in sorted(folder.iterdir()) if p.is_dir()]):
        other = path.rename(folder.with_name(f"{folder.name}-disk-{number}"))
        path.symlink_to(other)
    return "*"


@kind("files that are links into blobs", equal=True)
def _(folder: Path) -> str:
    blobs = folder.with_name(f"{folder.name}-blobs")
    blobs.mkdir()
    for number, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        blob = path.rename(blobs / str(number))
        path.symlink_to(os.path.relpath(blob, path.parent))
    return "*"


@kind("a link to a file that is gone")
def _(folder: Path) -> str:
    path = picture(folder) or mass(folder) or volume(folder)
    path.unlink()
    path.symlink_to("gone")
    return path.stem
