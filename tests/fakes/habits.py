"""What people have instead of a source's own archives: each kind changes an unpacked miniature in place."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
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
    return next((p for p in files(folder, *PICTURES) if "mask" not in p.name and "STAPLE" not in p.parts), None)


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


# Litter


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
        _scribble(folder / name)
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


# Copies


def _copies(folder: Path, form: str, *suffixes: str) -> str:
    paths = files(folder, *suffixes)
    for path in paths:
        shutil.copy(path, path.with_name(form.format(path.stem, path.suffix)))
    return "*" if paths else ""


@kind("copies of browsers", equal=True)
def _(folder: Path) -> str:
    return _copies(folder, "{} (1){}", *PICTURES, *TABLES, ".nii", ".dcm")


@kind("copies of file managers", equal=True)
def _(folder: Path) -> str:
    return _copies(folder, "{} - Copy{}", *PICTURES, *TABLES, ".nii", ".dcm")


@kind("conflicted copies", equal=True)
def _(folder: Path) -> str:
    return _copies(folder, "{} (Anna's conflicted copy 2024-02-03){}", *PICTURES, *TABLES, ".nii", ".dcm")


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
        return _copies(folder, form, *PICTURES, *TABLES, ".nii", ".dcm")


@kind("a copy of the whole")
def _(folder: Path) -> str:
    own = folder / "source"
    own.mkdir()
    for path in [p for p in folder.iterdir() if p != own]:
        path.rename(own / path.name)
    shutil.copytree(own, folder / "backup")
    _scribble(folder / "backup")
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


# Places


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


def _zip(folder: Path, archive: Path, method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(archive, "w", method, strict_timestamps=False) as file:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p != archive):
            file.write(path, path.relative_to(folder))


def _only(folder: Path, archive: Path) -> None:
    for path in folder.iterdir():
        if path != archive:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@kind("archive.zip", equal=True)
def _(folder: Path) -> str:
    _zip(folder, folder / "archive.zip")
    _only(folder, folder / "archive.zip")
    return "*"


@kind("a zip in a zip", equal=True)
def _(folder: Path) -> str:
    _zip(folder, folder / "source.zip")
    _only(folder, folder / "source.zip")
    _zip(folder, folder / "all.zip")
    _only(folder, folder / "all.zip")
    return "*"


@kind("a zip stored in a zip", equal=True)
def _(folder: Path) -> str:
    _zip(folder, folder / "source.zip")
    _only(folder, folder / "source.zip")
    _zip(folder, folder / "all.zip", zipfile.ZIP_STORED)
    _only(folder, folder / "all.zip")
    return "*"


@kind("a zip that is cut")
def _(folder: Path) -> str:
    _zip(folder, folder / "archive.zip")
    _only(folder, folder / "archive.zip")
    data = (folder / "archive.zip").read_bytes()
    (folder / "archive.zip").write_bytes(data[: len(data) // 2])
    return "archive.zip"


@kind("a download that is not complete")
def _(folder: Path) -> str:
    _zip(folder, folder / "archive.zip.crdownload")
    _only(folder, folder / "archive.zip.crdownload")
    return "archive.zip.crdownload: a download that is not complete"


@kind("an archive of another kind")
def _(folder: Path) -> str:
    _only(folder, folder)
    (folder / "archive.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    return "archive.7z: archives of this kind are not read"


# Compression without loss


@kind("recompressed without loss", equal=True)
def _(folder: Path) -> str:
    changed = False
    for path in files(folder, ".png", ".tif", ".tiff"):
        with Image.open(path) as image:
            image.load()
        if path.suffix.lower() == ".png":
            image.save(path, compress_level=9, optimize=True)
        else:
            image.save(path, compression="tiff_lzw")
        changed = True
    return "*" if changed else ""


@kind(".nii.gz", equal=True)
def _(folder: Path) -> str:
    paths = files(folder, ".nii")
    for path in paths:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()
    return "*" if paths else ""


def _dicoms(folder: Path, change: Callable[..., None]) -> str:
    from pydicom import dcmread

    paths = list(dicom(folder))
    for path in paths:
        image = dcmread(path)
        change(image)
        image.save_as(path)
    return "*" if paths else ""


@kind("RLE", equal=True)
def _(folder: Path) -> str:
    from pydicom.uid import RLELossless

    return _dicoms(folder, lambda image: image.compress(RLELossless))


@kind("deflated", equal=True)
def _(folder: Path) -> str:
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    return _dicoms(folder, lambda image: setattr(image.file_meta, "TransferSyntaxUID", DeflatedExplicitVRLittleEndian))


@kind("JPEG 2000", equal=True)
def _(folder: Path) -> str:
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    def change(image):
        buffer = io.BytesIO()
        Image.fromarray(image.pixel_array).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
        image.PixelData = encapsulate([buffer.getvalue()])
        image["PixelData"].VR = "OB"
        image["PixelData"].is_undefined_length = True
        image.file_meta.TransferSyntaxUID = JPEG2000Lossless

    return _dicoms(folder, change)


# Pixels and headers that the source does not have


def _first_picture(folder: Path, change: Callable[[Path], None], *suffixes: str) -> str:
    path = picture(folder)
    if path is None or (suffixes and path.suffix.lower() not in suffixes):
        return ""
    change(path)
    return path.stem


def _grey(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def _png16(path: Path) -> None:
    Image.fromarray(_grey(path).astype(np.uint16) * 257).save(path, "PNG")


@kind("16 bits per pixel")
def _(folder: Path) -> str:
    return _first_picture(folder, _png16, ".png")


@kind("16 bits per pixel, TIFF")
def _(folder: Path) -> str:
    return _first_picture(
        folder, lambda path: Image.fromarray(_grey(path).astype(np.uint16)).save(path, "TIFF"), ".tif", ".tiff"
    )


@kind("32 bits per pixel, TIFF")
def _(folder: Path) -> str:
    return _first_picture(
        folder, lambda path: Image.fromarray(_grey(path).astype(np.int32)).save(path, "TIFF"), ".tif", ".tiff"
    )


@kind("floats, TIFF")
def _(folder: Path) -> str:
    return _first_picture(
        folder, lambda path: Image.fromarray(_grey(path).astype(np.float32)).save(path, "TIFF"), ".tif", ".tiff"
    )


@kind("one bit per pixel")
def _(folder: Path) -> str:
    return _first_picture(folder, lambda path: Image.fromarray(_grey(path) > 100).save(path, "PNG"), ".png")


@kind("another format under the name")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            image.convert("RGB").save(path, "PNG" if path.suffix.lower() in (".jpg", ".jpeg") else "JPEG")

    return _first_picture(folder, change)


@kind("PostScript under the name")
def _(folder: Path) -> str:
    return _first_picture(folder, lambda path: Image.new("RGB", (300, 300)).save(path, "EPS"))


@kind("two frames or pages")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            Image.new(image.mode, image.size).save(
                path, FORMATS[path.suffix.lower()], save_all=True, append_images=[image.copy()]
            )

    return _first_picture(folder, change, ".png", ".tif", ".tiff")


@kind("turned by a TIFF tag")
def _(folder: Path) -> str:
    def change(path: Path) -> None:
        with Image.open(path) as image:
            image.save(path, "TIFF", tiffinfo={274: 6})

    return _first_picture(folder, change, ".tif", ".tiff")


# Tables


def _tables(folder: Path, change: Callable[[bytes], bytes]) -> str:
    paths = files(folder, ".csv", ".dat")
    for path in paths:
        path.write_bytes(change(path.read_bytes()))
    return "*" if paths else ""


@kind("tables from Windows", equal=True)
def _(folder: Path) -> str:
    return _tables(folder, lambda data: b"\xef\xbb\xbf" + b"\r\n".join(data.removeprefix(b"\xef\xbb\xbf").splitlines()))


@kind("tables that end in zeros")
def _(folder: Path) -> str:
    return _tables(folder, lambda data: data + bytes(9)) and "zero bytes"


@kind("tables in UTF-16")
def _(folder: Path) -> str:
    return _tables(folder, lambda data: data.decode("utf-8-sig").encode("utf-16")) and "UTF-16"


@kind("tables with a column twice")
def _(folder: Path) -> str:
    def change(data: bytes) -> bytes:
        return b"\n".join(line + b"," + line.split(b",")[-1] for line in data.rstrip().splitlines())

    return _tables(folder, change) and "*"


@kind("a last line that is cut")
def _(folder: Path) -> str:
    return _tables(folder, lambda data: re.sub(rb"[\s,]+[^\s,]*[\s,]*$", b"", data)) and "*"


def _content(folder: Path, change: Callable[[bytes], bytes]) -> str:
    path = picture(folder) or mass(folder) or volume(folder)
    path.write_bytes(change(path.read_bytes()))
    return path.stem


@kind("an empty file")
def _(folder: Path) -> str:
    return _content(folder, lambda data: b"")


@kind("a file that is cut")
def _(folder: Path) -> str:
    return _content(folder, lambda data: data[: len(data) * 2 // 3])


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
    return _content(folder, lambda data: bytes(len(data)))


@kind("a web page")
def _(folder: Path) -> str:
    return _content(folder, lambda data: b"<!DOCTYPE html><html>quota exceeded</html>")


@kind("a git-lfs pointer")
def _(folder: Path) -> str:
    return _content(folder, lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


@kind("1 pixel high and 60,000 wide")
def _(folder: Path) -> str:
    return _first_picture(
        folder,
        lambda path: Image.new("L", (60_000, 1)).save(path, FORMATS[path.suffix.lower()]),
    )


@kind("MONOCHROME1")
def _(folder: Path) -> str:
    return _dicoms(folder, lambda image: setattr(image, "PhotometricInterpretation", "MONOCHROME1")) and ".dcm"


@kind("BitsAllocated 1")
def _(folder: Path) -> str:
    def change(image):
        image.BitsAllocated = image.BitsStored = 1
        image.HighBit = 0

    return _dicoms(folder, change) and ".dcm"


@kind("DICOM of 60,000 rows")
def _(folder: Path) -> str:
    return _dicoms(folder, lambda image: setattr(image, "Rows", 60_000)) and ".dcm"


@kind("BitsStored 12")
def _(folder: Path) -> str:
    def change(image):
        if image.BitsAllocated == 16:
            image.BitsStored, image.HighBit = 12, 11

    return _dicoms(folder, change) and "BitsStored is 12"


def _nifti(folder: Path, change: Callable[..., object]) -> str:
    path = volume(folder)
    if path is None:
        return ""
    import nibabel as nib

    image = nib.Nifti1Image.from_bytes(path.read_bytes())
    changed = change(image)
    path.write_bytes(changed if isinstance(changed, bytes) else changed.to_bytes())
    return path.stem


@kind("NaN voxels")
def _(folder: Path) -> str:
    import nibabel as nib

    def change(image):
        values = image.get_fdata().astype(np.float32)
        values[::2] = np.nan
        header = image.header.copy()
        header.set_data_dtype(np.float32)
        return nib.Nifti1Image(values, image.affine, header)

    return _nifti(folder, change)


@kind("RGB voxels")
def _(folder: Path) -> str:
    import nibabel as nib

    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    return _nifti(folder, lambda image: nib.Nifti1Image(np.zeros(image.shape, kind), image.affine))


@kind("voxel size 0")
def _(folder: Path) -> str:
    path = volume(folder)
    if path is None:
        return ""
    data = bytearray(path.read_bytes())
    data[80:92] = bytes(12)  # pixdim[1:4]
    path.write_bytes(data)
    return path.stem


@kind("voxel size NaN")
def _(folder: Path) -> str:
    path = volume(folder)
    if path is None:
        return ""
    data = bytearray(path.read_bytes())
    data[80:84] = np.float32(np.nan).tobytes()
    path.write_bytes(data)
    return path.stem


def _scribble(folder: Path) -> None:
    """Change what a copy holds, so that it is noticed when it is read."""
    for path in files(folder, *PICTURES):
        with Image.open(path) as image:
            size, mode, name = image.size, image.mode, image.format
        Image.new(mode, size).save(path, name)


@kind("infinite voxels")
def _(folder: Path) -> str:
    import nibabel as nib

    def change(image):
        header = image.header.copy()
        header.set_data_dtype(np.float32)
        return nib.Nifti1Image(np.full(image.shape, np.inf, np.float32), image.affine, header)

    return _nifti(folder, change)


@kind("voxels that begin in the header")
def _(folder: Path) -> str:
    def change(image):
        data = bytearray(image.to_bytes())
        data[108:112] = bytes(4)
        return bytes(data)

    return _nifti(folder, change)
