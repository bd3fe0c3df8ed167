"""Reading DICOM images: their size from the header, and their pixels, without loss and within bounds."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SourceBroken, missing_extra
from ...files.nature import nature
from ..images import MAX_SIDE
from .raw import Raw

HEADER = 1 << 16  # bytes; those of CBIS-DDSM have about 1,500
MAX_INFLATED = 256 << 20  # bytes of a deflated file
# Transfer syntaxes: implicit and explicit little endian, explicit big endian.
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
_JPEG = "1.2.840.10008.1.2.4."  # lossless: JPEG (57, 70), JPEG-LS (80), JPEG 2000 (90), HTJ2K (201, 202)
LOSSLESS = (*UNCOMPRESSED, DEFLATED, RLE, *(_JPEG + number for number in ("57", "70", "80", "90", "201", "202")))


def bits(raw: Raw, path: str) -> int:
    """Rows x columns x bits of an image, which no recompression changes, as it would the size of its file.

    Raises:
        SourceBroken: If it is not a DICOM image of the kind that the source has, or is cut short.
    """
    header = _read(raw, path, raw.read(path, HEADER))
    size = int(header.Rows) * int(header.Columns) * int(header.BitsAllocated)
    if header.file_meta.TransferSyntaxUID in UNCOMPRESSED and raw.size(path) < size // 8:
        raise raw.broken(path, f"cut short: {raw.size(path):,} bytes, where the pixels alone have {size // 8:,}")
    return size


def pixels(raw: Raw, path: str) -> NDArray[np.integer[Any]]:
    """The values of an image, 8 or 16 bits, shape (rows, columns).

    Raises:
        SourceBroken: If it is not a DICOM image of the kind that the source has, or is damaged.
    """
    image = _read(raw, path, raw.read(path))
    try:
        values: NDArray[np.integer[Any]] = image.pixel_array
    except Exception as error:  # decoders raise almost anything
        raise raw.broken(path, f"not a readable DICOM image ({type(error).__name__}: {error})") from error
    if values.shape != (image.Rows, image.Columns):
        raise raw.broken(path, f"its pixels have the shape {values.shape}, not {(image.Rows, image.Columns)}")
    return values


def _read(raw: Raw, path: str, data: bytes) -> Any:
    """The elements of a file, all or those in the given beginning; checked to be an image as the source has them."""
    try:
        from pydicom import dcmread
    except ImportError:
        raise missing_extra("pydicom", "build", f"Reading {path}") from None
    if DEFLATED.encode() in data[:1024] and len(data) < raw.size(path):
        data = raw.read(path)  # deflated elements can only be read as a whole
    try:
        if DEFLATED.encode() in data[:1024]:
            _check_inflated(data)
        image = dcmread(io.BytesIO(data))
        if "Rows" not in image and len(data) < raw.size(path):  # a long header
            image = dcmread(io.BytesIO(raw.read(path)))
        problem = _problem(image)
    except SourceBroken:
        raise
    except Exception as error:  # pydicom raises almost anything
        problem = f"not a readable DICOM image ({nature(data) or f'{type(error).__name__}: {error}'})"
    if problem:
        raise raw.broken(path, problem)
    return image


def _problem(image: Any) -> str:
    """Why an image is not one that the source has; "" if it is."""
    syntax = str(image.file_meta.TransferSyntaxUID)
    if syntax not in LOSSLESS:
        return f"its transfer syntax {syntax} is lossy or unknown, so its values may not be those of the source"
    if image.PhotometricInterpretation != "MONOCHROME2":
        return f"photometric interpretation {image.PhotometricInterpretation}, not MONOCHROME2 (0 is black)"
    if not (0 < image.Rows <= MAX_SIDE and 0 < image.Columns <= MAX_SIDE):
        return f"{image.Columns}x{image.Rows} pixels; no image of this kind has a side over {MAX_SIDE:,}"
    expected = {"BitsAllocated": (8, 16), "SamplesPerPixel": (1,), "PixelRepresentation": (0,), "NumberOfFrames": (1,)}
    for name, values in expected.items():
        if (value := image.get(name, 1 if name == "NumberOfFrames" else None)) not in values:
            return f"{name} is {value}, not {' or '.join(map(str, values))}"
    if str(image.get("LossyImageCompression", "")) == "01":
        return "it was compressed with loss before, so its values may not be those of the source"
    scale = image.get("RescaleSlope", 1), image.get("RescaleIntercept", 0)
    if scale != (1, 0) or "ModalityLUTSequence" in image:
        return f"its values are to be rescaled (RescaleSlope, RescaleIntercept: {scale}), which the source's are not"
    if image.BitsStored != image.BitsAllocated:
        return f"BitsStored is {image.BitsStored}, not {image.BitsAllocated} as BitsAllocated, so values would be cut"
    return ""


def _check_inflated(data: bytes) -> None:
    """Check that a deflated file is not larger than memory allows.

    Raises:
        ValueError: If it is.
    """
    start = 132
    while data[start : start + 2] == b"\2\0":  # the elements of group 2 are not deflated
        if data[start + 4 : start + 6] in (b"OB", b"UN", b"UT"):
            start += 12 + struct.unpack("<I", data[start + 8 : start + 12])[0]
        else:
            start += 8 + struct.unpack("<H", data[start + 6 : start + 8])[0]
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    chunk, size = data[start:], 0
    while chunk and not inflater.eof:
        size += len(inflater.decompress(chunk, 1 << 20))
        chunk = inflater.unconsumed_tail
        if size > MAX_INFLATED:
            raise ValueError(f"it inflates to more than {MAX_INFLATED:,} bytes")
