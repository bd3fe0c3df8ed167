"""JSON: conversion to plain values, a canonical form for hashes, and files that follow a schema."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import MedIMetaError

Content = TypeVar("Content")
MOST_BYTES = 16 << 20  # of a file


def plain(value: Any) -> Any:
    """Convert a value to JSON types: arrays to lists, paths to strings, NaN and infinity to None.

    Args:
        value: Nested mappings, lists, arrays, numbers, paths and strings; other values are returned unchanged.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def canonical(content: Any) -> bytes:
    """Encode as canonical JSON: sorted keys, no spaces, ASCII."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def read_as(kind: type[Content], path: str | os.PathLike[str], name: str) -> Content:
    """Read a JSON file into a dataclass.

    Args:
        kind: The dataclass.
        path: The file.
        name: What the file should be, for messages.

    Raises:
        MedIMetaError: With the file and the keys that are missing, unknown or invalid.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        with Path(path).open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MedIMetaError(f"{path} cannot be read: {error}.", code="unreadable-file") from error
    if len(text) > MOST_BYTES:
        raise MedIMetaError(f"{path} has over {MOST_BYTES:,} bytes; {name} is never as large.")
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise MedIMetaError(
            "\n".join([f"{path}: not a {name}; {len(lines)} invalid key(s):", *lines]), code="invalid-file"
        ) from None
