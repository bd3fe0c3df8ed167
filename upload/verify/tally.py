"""A count of rows with a few examples, as reported by comparing and verifying."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

EXAMPLES = 5


@dataclass(frozen=True)
class Tally:
    """A count of rows with examples; tallies can be added.

    Attributes:
        rows: Number of rows.
        examples: Descriptions of the first few.
    """

    rows: int = 0
    examples: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[str]) -> Tally:
        """Count described rows."""
        words = list(rows)
        return cls(len(words), tuple(words[:EXAMPLES]))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.rows + other.rows, (*self.examples, *other.examples)[:EXAMPLES])

    def __bool__(self) -> bool:
        return self.rows > 0


NONE = Tally()


def row_name(row: Mapping[str, Any]) -> str:
    """Return the name of a row for messages; it includes the index, as one path may give several rows."""
    return f"{row['original_filepath']} (index {row['index']})"
