"""Rows counted, with a few examples: what comparing and verifying report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

EXAMPLES = 5


@dataclass(frozen=True)
class Tally:
    """Rows that have something in common; tallies add up.

    Attributes:
        rows: How many.
        examples: The first few, in words.
    """

    rows: int = 0
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[str]) -> Tally:
        """Count rows that are given in words."""
        words = list(rows)
        return cls(len(words), tuple(words[:EXAMPLES]))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, (*self.examples, *other.examples)[:EXAMPLES])

    def __bool__(self) -> bool:
        return self.rows > 0


NONE = Tally()


def row_name(row: Mapping[str, Any]) -> str:
    """How a row is called in messages; one path may give several rows, so the index is needed."""
    return f"{row['original_filepath']} (index {row['index']})"
