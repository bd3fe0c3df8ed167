"""Cache keys: versions of card and rendering, options and the stamp of the source, never source code or wording."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..cards.facts import DatasetCard
from ..files.stamp import stamp
from .source import Options, Source

# Raise it when the rows of several datasets change for a shared reason: rendering, encoding, names of columns.
# When the rows of one dataset change, raise `version` in its card instead and say there what changed for a user.
PIPELINE = 1


def cache_key(card: DatasetCard, options: Options, source: str) -> str:
    """Return the name under which the rows of a dataset are cached.

    Args:
        card: The dataset's card; only its id and version count.
        options: How the dataset is read; options at their defaults do not count.
        source: Stamp of the source, or the address of a download.

    Returns:
        16 hexadecimal digits.
    """
    given: dict[str, Any] = {
        option.name: value for option in fields(options) if (value := getattr(options, option.name)) != option.default
    }
    for name in ("splits_from", "checksums"):
        if name in given:
            given[name] = stamp(Path(given[name]))
    parts = [card.id, card.version, PIPELINE, given, source]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def source_key(source: Source) -> str:
    """Return the cache key of the rows of a source."""
    return cache_key(source.card, source.options, source.stamp)
