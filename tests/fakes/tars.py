"""Unpacking our own tar archives on every supported Python."""

from __future__ import annotations

import tarfile

# Python 3.11.2, of Debian 12, has no extraction filters yet.
PLAIN = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def unpack(path, folder):
    """Unpack an archive that a test made."""
    with tarfile.open(path) as file:
        file.extractall(folder, **PLAIN)
