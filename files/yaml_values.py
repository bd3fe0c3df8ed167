"""YAML from anyone, read safely and within bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

MOST_TEXT = 5_000_000  # characters
MOST_NESTING = 100
MOST_VALUES = 1_000_000  # with every alias written out
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times faster, but not in every wheel


def read_yaml(text: str | bytes) -> Any:
    """Parse a YAML document.

    Args:
        text: The document; bytes are UTF-8.

    Raises:
        ValueError: If it is not valid YAML, or is too long, nested too deep, or grows beyond bounds by its aliases.
    """
    text = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    if len(text) > MOST_TEXT or (depth := _nesting(text)) > MOST_NESTING:
        depth = _nesting(text[:MOST_TEXT])
        raise ValueError(f"{len(text):,} characters, nested {depth:,} deep; YAML of this kind is shorter")
    try:
        content = yaml.load(text, Loader=_LOADER)  # noqa: S506  a safe loader
        if _count(content, {}) > MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {MOST_VALUES:,} values")
    except (yaml.YAMLError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return content


def _nesting(text: str) -> int:
    """Return how deep brackets and indentation nest at most, without parsing."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return max(deepest, *(len(indent) for indent in re.findall(r"^[ \-?:]*", text, re.MULTILINE)))


def _count(value: Any, known: dict[int, int]) -> int:
    """Count the values in a value; one that contains itself has too many."""
    if not isinstance(value, dict | list | set | tuple):
        return 1
    if id(value) not in known:
        known[id(value)] = MOST_VALUES + 1  # while it is being counted
        inner: Iterable[Any] = (*value, *value.values()) if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(item, known) for item in inner)
    return known[id(value)]
