"""Convert the text of a release's annotations.csv to typed values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ...errors import SourceBroken


def read_column(texts: Iterable[str], read: Callable[[str], Any], column: str) -> list[Any]:
    """Read a column; each distinct text is read once, and empty text is None.

    Args:
        texts: One text per row.
        read: Reads one, raises ValueError where it cannot; `READERS` has one per type of annotation.
        column: Name in annotations.csv, for the message.

    Raises:
        SourceBroken: Naming the first row that cannot be read.
    """
    known: dict[str, Any] = {"": None}
    values = []
    for row, text in enumerate(texts):
        if text not in known:
            try:
                known[text] = read(text)
            # Beyond ValueError: what `ast.literal_eval` raises for text that is not a literal, or nested too deeply.
            except (ValueError, SyntaxError, TypeError, OverflowError, MemoryError, RecursionError) as error:
                raise SourceBroken(
                    f"annotations.csv, row {row}, column {column!r}: cannot read {text!r:.80} ({error}). "
                    "Download the release again."
                ) from None
        values.append(known[text])
    return values


def whole_number(text: str) -> int:
    """Read an integer, also if the table was written with floats ("4.0")."""
    try:
        return int(text)
    except ValueError:
        return _whole(float(text))


def flags(text: str) -> tuple[int, ...]:
    """Read the 0/1 list of a multilabel task."""
    found = tuple(_whole(number) for number in _numbers(text))
    if not set(found) <= {0, 1}:
        raise ValueError("expected a list of 0 and 1")
    return found


def _whole(number: float) -> int:
    if number != int(number):
        raise ValueError(f"{number} is not a whole number")
    return int(number)


def _numbers(text: str) -> Iterator[float]:
    """Yield the numbers of a list or tuple in order, however nested: "((31, 47), (16, 47))" gives 31, 47, 16, 47."""
    pending = [ast.literal_eval(text)]
    if not isinstance(pending[0], list | tuple):
        raise ValueError("expected a list")
    while pending:
        item = pending.pop()
        if isinstance(item, list | tuple):
            pending += reversed(item)
        elif isinstance(item, int | float):
            yield item
        else:
            raise ValueError(f"{item!r} is not a number")


def _boxes(text: str) -> list[Any]:
    raise ValueError("the dataset's reader does not say how boxes are written")


READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "int32": whole_number,
    "int64": whole_number,
    "float64": float,
    "list<int32>": lambda text: [_whole(number) for number in _numbers(text)],
    "list<float64>": lambda text: [float(number) for number in _numbers(text)],
    "boxes": _boxes,
}
