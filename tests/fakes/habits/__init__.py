"""What people have instead of a source's own archives: each kind changes an unpacked miniature in place."""

from __future__ import annotations

from . import archives, litter, pictures, places, rows, tables, volumes
from .base import EQUAL, KINDS, mass, picture, volume

__all__ = [
    "EQUAL",
    "KINDS",
    "archives",
    "litter",
    "mass",
    "picture",
    "pictures",
    "places",
    "rows",
    "tables",
    "volume",
    "volumes",
]
