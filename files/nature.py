"""What some bytes are, by how they begin: for messages about files that are not what their names say."""

from __future__ import annotations

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"%!PS", "a PostScript file"),
    (b"%PDF", "a PDF file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"PAR1", "a Parquet file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
)


def is_lfs_pointer(data: bytes) -> bool:
    """Whether some bytes are the pointer that git leaves in place of a file when git-lfs is not installed."""
    return data.startswith(LFS_POINTER)


def nature(data: bytes) -> str:
    """What a file is, from its first 512 bytes, with what to do about the cases that downloads leave.

    Returns:
        Words such as "a PNG image"; "" if nothing is known.
    """
    if not data:
        return "an empty file"
    if is_lfs_pointer(data):
        return "a git-lfs pointer, not the file itself; run: git lfs pull"
    if not data.strip(b"\0"):
        return "filled with zeros, as an interrupted download leaves it"
    if data[:512].lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "an HTML page, as a refused download leaves it"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP image"
    return next((name for beginning, name in _BEGINNINGS if data.startswith(beginning)), "")
