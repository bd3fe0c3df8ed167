"""Reading NIfTI volumes: their header, and their voxels, within bounds; compressed (`.nii.gz`) or not."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import missing_extra
from ...files.nature import nature
from .raw import Raw

MAX_VOLUME = 1 << 30  # bytes that are read as a whole
MAX_ZOOM = 100  # millimetres
GZIP = b"\x1f\x8b"


def header(raw: Raw, path: str) -> Any:
    """The NIfTI header of a volume of one number per voxel, whose file is complete if it is not compressed.

    Raises:
        SourceBroken: If it is not such a volume.
    """
    try:
        from nibabel.nifti1 import Nifti1Header
    except ImportError:
        raise missing_extra("nibabel", "build", f"Reading {path}") from None
    stored = raw.read(path, 4096)
    compressed = stored.startswith(GZIP)
    try:
        data = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(stored, 4096) if compressed else stored
        header = Nifti1Header(data[: Nifti1Header.template_dtype.itemsize], check=False)
        # As stored: the check of nibabel would replace a voxel size of 0 by 1.
        zooms = [float(zoom) for zoom in header["pixdim"][1:4]]
        shape, kind, needed = header.get_data_shape(), header.get_data_dtype(), _end(header)
        if len(shape) > 3 and set(shape[3:]) == {1}:  # as some programs write three dimensions
            header.set_data_shape(shape := shape[:3])
        header.get_slope_inter()  # refuses what cannot be used later
        if int(header["sizeof_hdr"]) != header.template_dtype.itemsize or header["magic"] != b"n+1":
            raise ValueError("not the header of a single file")
        if header.get_data_offset() < header.single_vox_offset:
            raise ValueError(f"its voxels would begin at byte {header.get_data_offset()}, in the header")
    except Exception as error:  # nibabel raises almost anything
        raise raw.broken(path, f"not a NIfTI volume ({nature(stored) or error})") from error
    if len(shape) != 3 or min(shape) < 1:
        raise raw.broken(path, f"a volume of {len(shape)} dimensions, not 3: {shape}")
    if kind.kind not in "iuf":
        raise raw.broken(path, f"voxels of type {kind}, not one number each")
    if not all(0 < zoom <= MAX_ZOOM for zoom in zooms):
        raise raw.broken(path, f"its voxel size is {zooms}; each must be a positive number of millimetres")
    if not compressed and raw.size(path) < needed:
        raise raw.broken(path, f"cut short: {raw.size(path):,} bytes instead of {needed:,}")
    return header


_read: dict[bool, tuple[Raw, str, bytes]] = {}


def voxels(raw: Raw, path: str, header: Any) -> NDArray[Any]:
    """The stored values of a volume, mapped from a folder, or read as a whole where it is compressed or in an archive.

    A process keeps the last volume, and the last segmentation, that it read: rows of a volume are adjacent.

    Raises:
        SourceBroken: If it is too large to be read as a whole, or is damaged.
    """
    layout = {"shape": header.get_data_shape(), "dtype": header.get_data_dtype(), "offset": header.get_data_offset()}
    compressed = raw.read(path, len(GZIP)) == GZIP
    if not compressed and (file := raw.unpacked(path)) is not None:
        return np.memmap(file, mode="r", order="F", **layout)
    kind = "segmentation" in path
    held = _read.pop(kind, None)
    if held is None or held[:2] != (raw, path):
        held = None  # the last one is released before the next is read
        data = raw.read(path, most=MAX_VOLUME)
        held = (raw, path, _inflated(raw, path, data, _end(header)) if compressed else data)
    _read[kind] = held
    return np.ndarray(buffer=held[2], order="F", **layout)


def _end(header: Any) -> int:
    """Length in bytes of a volume's file, uncompressed."""
    return int(header.get_data_offset() + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize)


def _inflated(raw: Raw, path: str, data: bytes, size: int) -> bytes:
    if size > MAX_VOLUME:
        raise raw.broken(path, f"it unpacks to {size:,} bytes; unpack it first")
    try:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        volume = inflater.decompress(data, size)
        inflater.decompress(inflater.unconsumed_tail, 1)  # the end, where the checksum is
    except zlib.error as error:
        raise raw.broken(path, f"damaged ({error})") from error
    if len(volume) < size or not inflater.eof:
        raise raw.broken(path, f"cut short: {len(volume):,} bytes unpacked instead of {size:,}")
    return volume
