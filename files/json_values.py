"""JSON: plain values for it, one form of each for hashes, and files of a schema."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import MedIMetaError

Content = TypeVar("Content")


def plain(value: Any) -> Any:
    """The same in values that JSON has: arrays as lists, paths as text, None for what is not a finite number.

    Args:
        value: Mappings, lists, arrays, numbers, paths and texts, within each other; anything else stays as it is.
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
    """JSON in its only form: keys sorted, no blanks, ASCII."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def read_as(kind: type[Content], path: str | os.PathLike[str], name: str) -> Content:
    """Read a JSON file whose content is that of a dataclass.

    Args:
        kind: The dataclass.
        path: The file.
        name: What the file should be, for messages.

    Raises:
        MedIMetaError: Naming the file and the keys that are missing, unknown or wrong.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MedIMetaError(f"{path} cannot be read: {error}.") from error
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise MedIMetaError("\n".join([f"{path} is no {name}; {len(lines)} key(s) do not fit:", *lines])) from None
