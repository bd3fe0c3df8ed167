"""Exceptions that libraries raise for damaged files."""

from __future__ import annotations

import struct
import tarfile
import zipfile
import zlib

from PIL import Image

# Pillow and the decoders that it calls.
UNREADABLE_IMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    EOFError,
    ArithmeticError,
    AttributeError,
    TypeError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
# zipfile, gzip and tarfile; RuntimeError is also raised for encrypted members.
UNREADABLE_ARCHIVE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError)
