"""What the footer of a Parquet file says of its column chunks.

pyarrow gives the same through `RowGroupMetaData.column`, but ends the whole process there if a damaged footer has level
histograms of the wrong length: it lets a C++ exception pass. Its other functions raise.

Source: the compact protocol of Thrift, and `FileMetaData` in https://github.com/apache/parquet-format.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import SourceBroken

MOST_FOOTER = 64 << 20  # bytes
MOST_DEPTH = 16
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12


class Chunk(NamedTuple):
    """One column of one row group: its path in the schema, number of values, bytes uncompressed, and page index."""

    name: str
    values: int
    size: int
    has_index: bool


def column_chunks(path: Path) -> list[list[Chunk]]:
    """Return the column chunks of every row group.

    Raises:
        SourceBroken: If the file is not Parquet, or its footer is damaged.
    """
    try:
        file = _Compact(_footer(path)).struct()
        return [[_chunk(column) for column in group[1]] for group in file[4]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise SourceBroken(
            f"{path} is not a readable Parquet file (its footer is damaged: {error}). Build or download it again."
        ) from error


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - 8))
        length, magic = struct.unpack("<I4s", file.read(8))
        if magic != b"PAR1" or length > min(MOST_FOOTER, end - 12):
            raise ValueError("it has no end mark")
        file.seek(end - 8 - length)
        return file.read(length)


def _chunk(column: dict[int, Any]) -> Chunk:
    about = column[3]
    name = b".".join(about[3]).decode("utf-8", "replace")
    return Chunk(name, int(about[5]), int(about[6]), column.get(4) is not None)


class _Compact:
    """Values of Thrift's compact protocol; structs are dictionaries by field number."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place, self.depth = data, 0, 0

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise ValueError("nested too deep")
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)
        self.depth -= 1
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (4, 5, 6):
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct()
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            return [self._value(head & 15) for _ in range(self._bounded(count))]
        if kind in (_TRUE, _FALSE, _BYTE):  # in lists
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _MAP and (count := self._bounded(self._varint())):
            kinds = self._byte()
            return [(self._value(kinds >> 4), self._value(kinds & 15)) for _ in range(count)]
        if kind == _MAP:
            return []
        raise ValueError(f"a value of the unknown type {kind}")

    def _byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _bounded(self, count: int) -> int:
        if count > len(self.data) - self.place:
            raise ValueError("cut short")
        return count

    def _bytes(self, count: int) -> bytes:
        self.place += self._bounded(count)
        return self.data[self.place - count : self.place]
