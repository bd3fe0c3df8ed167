"""Tables that were saved by other programs, or damaged; files with other content."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from .base import FORMATS, files, kind, mass, picture, volume
from .pictures import first_picture


def tables(folder: Path, change: Callable[[bytes], bytes]) -> str:
    paths = files(folder, ".csv", ".dat")
    for path in paths:
        path.write_bytes(change(path.read_bytes()))
    return "*" if paths else ""


@kind("tables from Windows", equal=True)
def _(folder: Path) -> str:
    return tables(folder, lambda data: b"\xef\xbb\xbf" + b"\r\n".join(data.removeprefix(b"\xef\xbb\xbf").splitlines()))


@kind("tables that end in zeros")
def _(folder: Path) -> str:
    return tables(folder, lambda data: data + bytes(9)) and "zero bytes"


@kind("tables in UTF-16")
def _(folder: Path) -> str:
    return tables(folder, lambda data: data.decode("utf-8-sig").encode("utf-16")) and "UTF-16"


@kind("tables with a column twice")
def _(folder: Path) -> str:
    def change(data: bytes) -> bytes:
        return b"\n".join(line + b"," + line.split(b",")[-1] for line in data.rstrip().splitlines())

    return tables(folder, change) and "*"


@kind("a last line that is cut")
def _(folder: Path) -> str:
    return tables(folder, lambda data: re.sub(rb"[\s,]+[^\s,]*[\s,]*$", b"", data)) and "*"


def content(folder: Path, change: Callable[[bytes], bytes]) -> str:
    path = picture(folder) or mass(folder) or volume(folder)
    path.write_bytes(change(path.read_bytes()))
    return path.stem


@kind("an empty file")
def _(folder: Path) -> str:
    return content(folder, lambda data: b"")


@kind("a file that is cut")
def _(folder: Path) -> str:
    return content(folder, lambda data: data[: len(data) * 2 // 3])


@kind("a mask that is cut")
def _(folder: Path) -> str:
    path = mass(folder, "mask")
    if path is None:
        return ""
    path.write_bytes(path.read_bytes()[:3000])
    return path.parent.name


@kind("a crop that is cut")
def _(folder: Path) -> str:
    path = mass(folder, "crop")
    if path is None:
        return ""
    path.write_bytes(path.read_bytes()[:1500])
    return path.parent.name


@kind("zeros")
def _(folder: Path) -> str:
    return content(folder, lambda data: bytes(len(data)))


@kind("a web page")
def _(folder: Path) -> str:
    return content(folder, lambda data: b"<!DOCTYPE html><html>quota exceeded</html>")


@kind("a git-lfs pointer")
def _(folder: Path) -> str:
    return content(folder, lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


@kind("1 pixel high and 60,000 wide")
def _(folder: Path) -> str:
    return first_picture(
        folder,
        lambda path: Image.new("L", (60_000, 1)).save(path, FORMATS[path.suffix.lower()]),
    )
