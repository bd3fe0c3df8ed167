"""No file of a source needs more than 3 GB of memory: too large ones are refused by name."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from fakes.habits import mass, picture, volume
from medimeta.builders.phantoms import write_miniature

LIMIT = 3 << 30
SCRIPT = """
import resource, sys
from pathlib import Path
from medimeta.builders.locate import open_source
from medimeta.builders.source import Options
from medimeta.errors import MedIMetaError
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
try:
    source = open_source({dataset!r}, Path({folder!r}), Options(partial=True))
    source.encode(source.manifest()[:3])
except MedIMetaError as error:
    print("refused", error)
else:
    print("read")
"""


def _png(width: int, height: int) -> bytes:
    """A PNG of zeros, written row by row."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    compressor = zlib.compressobj(9)
    row = bytes(1 + width)
    data = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _sparse(path: Path, size: int) -> str:
    with path.open("wb") as file:
        file.truncate(size)
    return path.name


def _long(folder: Path) -> str:
    path = picture(folder)
    path.write_bytes(_png(60_000, 1))
    return path.name


def _longest(folder: Path) -> str:
    path = picture(folder)
    path.write_bytes(_png(170_000_000, 1))
    return path.name


def _flat(folder: Path) -> str:
    path = picture(folder)
    path.write_bytes(_png(13_000, 13_000))
    return path.name


def _sparse_picture(folder: Path) -> str:
    return _sparse(picture(folder), 10 << 30)


def _in_a_zip(folder: Path) -> str:
    path = picture(folder)
    archive = folder / "Dataset_BUSI.zip"
    name = str(path.relative_to(folder))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file, file.open(name, "w") as member:
        for _ in range(1800):
            member.write(bytes(1 << 20))
    path.unlink()
    return path.name


def _table(folder: Path) -> str:
    path = next(folder.rglob("meta.csv"))
    path.write_bytes(b"," * (31 << 20))
    return path.name


def _long_table(folder: Path) -> str:
    return _sparse(next(folder.rglob("meta.csv")), 5 << 30)


def _deflated(folder: Path) -> str:
    from pydicom import dcmread
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    path = mass(folder)
    image = dcmread(path)
    image.add_new(0x00091001, "OB", b"")
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    image.save_as(path)
    data = path.read_bytes()
    start = data.index(DeflatedExplicitVRLittleEndian.encode()) + len(DeflatedExplicitVRLittleEndian)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:])
    bomb = compressor.compress(plain) + b"".join(compressor.compress(bytes(1 << 20)) for _ in range(2900))
    path.write_bytes(data[:start] + bomb + compressor.flush())
    return path.name


def _rows(folder: Path) -> str:
    from pydicom import dcmread

    path = mass(folder)
    image = dcmread(path)
    image.Rows = image.Columns = 65_000
    image.save_as(path)
    return path.name


def _far_cell(folder: Path) -> str:
    path = next(p for p in folder.rglob("*.xlsx") if "Challenge1" in p.name)
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    parts[sheet] = parts[sheet].replace(b"</sheetData>", far)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in parts.items():
            file.writestr(name, data)
    return path.name


def _wide_workbook(folder: Path) -> str:
    path = next(p for p in folder.rglob("*.xlsx") if "Challenge1" in p.name)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file, file.open("xl/sharedStrings.xml", "w") as member:
        for _ in range(1500):
            member.write(b" " * (1 << 20))
    return path.name


def _dimensions(folder: Path) -> str:
    path = volume(folder)
    data = bytearray(path.read_bytes())
    data[42:48] = struct.pack("<3h", 32_000, 32_000, 32_000)
    path.write_bytes(data)
    return path.name


def _gzip_bomb(folder: Path) -> str:
    path = volume(folder)
    data = bytearray(path.read_bytes())
    data[42:48] = struct.pack("<3h", 2_000, 1_000, 1_500)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        file.write(data)
        for _ in range(6_000):
            file.write(bytes(1 << 20))
    path.with_name("volume-0.nii.gz").write_bytes(buffer.getvalue())
    path.unlink()
    return "volume-0.nii"


CASES = {
    "a long image": ("bus", _long),
    "the longest image": ("bus", _longest),
    "a large flat image": ("bus", _flat),
    "a sparse image": ("bus", _sparse_picture),
    "an image of 1.8 GB in a zip": ("bus", _in_a_zip),
    "a table of commas": ("skinl_derm", _table),
    "a sparse table": ("skinl_derm", _long_table),
    "a deflated DICOM file": ("mammo_mass", _deflated),
    "a DICOM header": ("mammo_mass", _rows),
    "a workbook with one cell far away": ("dr_regular", _far_cell),
    "a workbook that unpacks to 1.5 GB": ("dr_regular", _wide_workbook),
    "a NIfTI header": ("organs_axial", _dimensions),
    "a compressed volume of 6 GB": ("organs_axial", _gzip_bomb),
}
QUICK = ("a long image", "a workbook with one cell far away", "a NIfTI header")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux does")
@pytest.mark.parametrize("case", [pytest.param(c, marks=[] if c in QUICK else pytest.mark.slow) for c in CASES])
def test_too_large_files_are_refused_by_name(case, tmp_path):
    dataset, change = CASES[case]
    name = change(write_miniature(dataset, tmp_path, per_class=1, packed=False))
    script = SCRIPT.format(limit=LIMIT, dataset=dataset, folder=str(tmp_path))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, env=environment, check=False
    )

    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.startswith("refused"), run.stdout
    assert name in run.stdout
