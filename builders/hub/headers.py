"""Whether encoded pictures are of the form that builds write, by their headers, many at a time."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_PNG, _END = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\0\0\0\0IEND\xaeB`\x82"
_DEPTH = {"L": b"\x08\0", "1": b"\x01\0"}  # bits per channel, and kind of colour
_HEADER = 26  # bytes of PNG that hold size and colour; WebP takes 25


def plain(data: pa.Array, mode: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether pictures are complete lossless WebP (mode "RGB") or PNG ("L", "1") of one size.

    A picture of another form is not necessarily wrong; decide with `builders.pictures.open_picture`.

    Args:
        data: Encoded pictures, of type binary; null counts as another form.
        mode: "RGB", "L" or "1".
        size: Width and height in pixels.

    Returns:
        One value per picture.
    """
    shown = np.zeros(len(data), bool)
    offsets = np.frombuffer(data.buffers()[1], np.int32, len(data) + 1, data.offset * 4).astype(np.int64)
    starts, lengths = offsets[:-1], np.diff(offsets)
    rows = np.flatnonzero((lengths > _HEADER + len(_END)) & ~data.is_null().to_numpy(zero_copy_only=False))
    if not len(rows):
        return shown
    content = np.frombuffer(data.buffers()[2], np.uint8)
    starts, lengths = starts[rows], lengths[rows]
    heads = content[starts[:, None] + np.arange(_HEADER)]
    if mode == "RGB":
        width, height = size
        bits = (width - 1) | (height - 1) << 14  # alpha and version, the highest bits, are 0
        known = {0: b"RIFF", 8: b"WEBPVP8L", 20: b"\x2f" + struct.pack("<I", bits)}
        sizes = heads[:, 4:8].copy().view("<u4").ravel()
        good = sizes.astype(np.int64) + 8 == lengths
    else:
        known = {0: _PNG + struct.pack(">II", *size) + _DEPTH[mode]}
        ends = content[(starts + lengths)[:, None] - len(_END) + np.arange(len(_END))]
        good = (ends == np.frombuffer(_END, np.uint8)).all(axis=1)
    for place, text in known.items():
        good &= (heads[:, place : place + len(text)] == np.frombuffer(text, np.uint8)).all(axis=1)
    shown[rows] = good
    return shown
