"""Archives as people pack them, or as downloads leave them."""

from __future__ import annotations

import gzip
import io
import shutil
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

from .base import kind


def zipped(folder: Path, archive: Path, method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(archive, "w", method, strict_timestamps=False) as file:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p != archive):
            file.write(path, path.relative_to(folder))


def only(folder: Path, archive: Path) -> None:
    for path in folder.iterdir():
        if path != archive:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@kind("archive.zip", equal=True)
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip")
    only(folder, folder / "archive.zip")
    return "*"


@kind("a zip in a zip", equal=True)
def _(folder: Path) -> str:
    zipped(folder, folder / "source.zip")
    only(folder, folder / "source.zip")
    zipped(folder, folder / "all.zip")
    only(folder, folder / "all.zip")
    return "*"


@kind("a zip stored in a zip", equal=True)
def _(folder: Path) -> str:
    zipped(folder, folder / "source.zip")
    only(folder, folder / "source.zip")
    zipped(folder, folder / "all.zip", zipfile.ZIP_STORED)
    only(folder, folder / "all.zip")
    return "*"


@kind("a zip that is cut")
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip")
    only(folder, folder / "archive.zip")
    data = (folder / "archive.zip").read_bytes()
    (folder / "archive.zip").write_bytes(data[: len(data) // 2])
    return "archive.zip"


@kind("a download that is not complete")
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip.crdownload")
    only(folder, folder / "archive.zip.crdownload")
    return "archive.zip.crdownload: a download that is not complete"


@kind("an archive of another kind")
def _(folder: Path) -> str:
    only(folder, folder)
    (folder / "archive.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    return "archive.7z: archives of this kind are not read"


def members(folder: Path) -> list[tuple[str, bytes]]:
    """Names and contents of all files, which are removed."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    listed = [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in paths]
    only(folder, folder)
    return listed


def rewritten(folder: Path, form: str) -> str:
    """A zip archive whose members have other names."""
    listed = members(folder)
    with zipfile.ZipFile(folder / "archive.zip", "w") as file:
        for name, data in listed:
            info = zipfile.ZipInfo("x")
            info.filename = form.format(name) if "{" in form else name.replace("/", form)
            file.writestr(info, data, zipfile.ZIP_DEFLATED)
    return "*"


@kind("a zip made by Windows, with backslashes", equal=True)
def _(folder: Path) -> str:
    return rewritten(folder, "\\")


@kind("a zip with ./ before all names", equal=True)
def _(folder: Path) -> str:
    return rewritten(folder, "./{}")


@kind("a zip with absolute names")
def _(folder: Path) -> str:
    return rewritten(folder, "/home/anna/{}") and "archive.zip"


@kind("a zip with names above its folder")
def _(folder: Path) -> str:
    return rewritten(folder, "../../{}") and "archive.zip"


@kind("a zip made by macOS", equal=True)
def _(folder: Path) -> str:
    listed = members(folder)
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for number, (name, data) in enumerate(listed):
            file.writestr(name, data)
            parent, _, last = name.rpartition("/")
            parent += "/" if parent else ""
            file.writestr(f"__MACOSX/{parent}._{last}", b"\0\5\x16\7" + bytes(50))
            file.writestr(f"{parent}.DS_Store{number}", b"\0\0\0\1Bud1")
    return "*"


@kind("a zip64", equal=True)
def _(folder: Path) -> str:
    listed = members(folder)
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in listed:
            with file.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return "*"


for _name in ("BZIP2", "LZMA"):

    @kind(f"a zip with {_name}", equal=True)
    def _(folder: Path, name: str = _name) -> str:
        zipped(folder, folder / "archive.zip", getattr(zipfile, f"ZIP_{name}"))
        only(folder, folder / "archive.zip")
        return "*"


@kind("a zip that extracts itself", equal=True)
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip")
    only(folder, folder / "archive.zip")
    path = folder / "archive.zip"
    path.write_bytes(b"MZ" + bytes(5000) + path.read_bytes())
    return "*"


@kind("a zip with a password")
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip")
    only(folder, folder / "archive.zip")
    data, place = bytearray((folder / "archive.zip").read_bytes()), 0
    for sign, offset in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        place = data.find(sign)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(sign, place + 4)
    (folder / "archive.zip").write_bytes(data)
    return "archive.zip"


@kind("a zip with a method that is not known")
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip")
    only(folder, folder / "archive.zip")
    data = bytearray((folder / "archive.zip").read_bytes())
    for sign, offset in ((b"PK\1\2", 10), (b"PK\3\4", 8)):
        place = data.find(sign)
        while place >= 0:
            data[place + offset : place + offset + 2] = struct.pack("<H", 9)  # Deflate64
            place = data.find(sign, place + 4)
    (folder / "archive.zip").write_bytes(data)
    return "archive.zip"


@kind("a zip with a link in it")
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip")
    only(folder, folder / "archive.zip")
    with zipfile.ZipFile(folder / "archive.zip", "a") as file:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    return "link.png"


@kind("a zip with a member twice")
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip")
    only(folder, folder / "archive.zip")
    import warnings

    with zipfile.ZipFile(folder / "archive.zip", "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name = next(n for n in file.namelist() if "Thumbs" not in n)
        file.writestr(name, b"other")
    return name.rpartition("/")[2]


@kind("three archives in one another")
def _(folder: Path) -> str:
    for name in ("source.zip", "all.zip", "download.zip"):
        zipped(folder, folder / name)
        only(folder, folder / name)
    return "all.zip"


@kind("the archive and a folder that it was unpacked to", equal=True)
def _(folder: Path) -> str:
    zipped(folder, folder.with_suffix(".zip"))
    folder.with_suffix(".zip").rename(folder / "archive.zip")
    return "*"


def tar(folder: Path, name: str, form: str = "{}", how: str = "w:gz", **options: object) -> str:
    listed = members(folder)
    with tarfile.open(folder / name, how, **options) as file:
        for path, data in listed:
            info = tarfile.TarInfo(form.format(path))
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return name


@kind("archive.tar.gz")
def _(folder: Path) -> str:
    return tar(folder, "archive.tar.gz")


@kind("archive.tgz")
def _(folder: Path) -> str:
    return tar(folder, "archive.tgz")


@kind("archive.tar")
def _(folder: Path) -> str:
    return tar(folder, "archive.tar", how="w")


@kind("a tar.gz with absolute names")
def _(folder: Path) -> str:
    return tar(folder, "archive.tar.gz", "/data/{}")


@kind("a tar.gz that is cut")
def _(folder: Path) -> str:
    path = folder / tar(folder, "archive.tar.gz")
    path.write_bytes(path.read_bytes()[:-500])
    return path.name


@kind("a bomb named as an archive")
def _(folder: Path) -> str:
    only(folder, folder)
    (folder / "archive.tar.gz").write_bytes(gzip.compress(bytes(200_000_000), 1))
    return "archive.tar.gz"


@kind("an archive in parts")
def _(folder: Path) -> str:
    zipped(folder, folder / "archive.zip")
    only(folder, folder / "archive.zip")
    data = (folder / "archive.zip").read_bytes()
    (folder / "archive.zip").unlink()
    for number in (1, 2):
        (folder / f"archive.zip.{number:03d}").write_bytes(
            data[(number - 1) * len(data) // 2 : number * len(data) // 2]
        )
    return "archive.zip.001"
