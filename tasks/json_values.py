"""What goes into JSON: plain values, and one form of each for hashes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np


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
