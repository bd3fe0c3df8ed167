"""Check the columns and pictures of a Hub folder, which anyone may have written, against the catalogue.

Every command reads rows through this module. Types that other libraries write (large strings, dictionaries, floats
for integers) are converted where no value changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import Features, Image

from ...cards.facts import DatasetCard
from ...errors import SourceBroken, some
from ...files.parquet_footer import column_chunks
from ...files.unreadable import UNREADABLE_IMAGE
from ..images import SIDES
from ..pictures import form, open_picture
from ..shard_files import UNREADABLE_PARQUET, brief, open_shard, read_rows, shown
from .headers import plain

REQUIRED = ("original_split", "original_filepath", "index")  # without a value, a row is of no use
MOST_ROWS = 10  # times the published number
ROW_VALUES = 1_000  # of all columns but pictures, on average; a list has many
ROW_BYTES = 100_000  # of all columns but pictures, on average


class StoredColumns:
    """Checks the columns of one shard.

    Args:
        path: The shard.
        card: What the catalogue says of the dataset.
        features: The columns that the shard should have.
        checked: Whether values are checked, too; without, only types are.
    """

    def __init__(self, path: Path, card: DatasetCard, features: Features, *, checked: bool = True) -> None:
        self.path, self.card, self.features, self.checked = path, card, features, checked
        self.modes = {name: "1" for name, feature in features.items() if isinstance(feature, Image)}
        self.modes["image"] = card.mode
        self.labels = {task.column: len(task.labels) for task in card.tasks}

    def read(self) -> pa.Table:
        """Read all columns but the pictures, with the types of the catalogue.

        Raises:
            SourceBroken: Naming the first column, or the row and the value, that is wrong.
        """
        names = [name for name, feature in self.features.items() if not isinstance(feature, Image)]
        with open_shard(self.path) as file:
            self._check_schema(file.schema_arrow)
            self._check_size(file.metadata, names)
            try:
                table = file.read(columns=names)
            except UNREADABLE_PARQUET as error:
                raise self._broken(f"cannot be read ({shown(error)})") from error
        schema = self.features.arrow_schema
        columns = [self.converted(table[name], schema.field(name)) for name in names]
        if self.checked:
            for name, column in zip(names, columns, strict=True):
                self._check_values(name, column)
        return pa.table(columns, names)

    def unreadable(self, start: int, end: int, error: Exception) -> SourceBroken:
        """The error for a row group that cannot be read."""
        return self._broken(f"rows {start} to {end - 1} cannot be read ({shown(error)})")

    def first_side(self) -> int:
        """Return the height and width of the first picture, in pixels.

        Raises:
            SourceBroken: If it cannot be read, is not a square, or has a size that no build has.
        """
        row = next(read_rows(self.path, ["image"], [0]), None)
        picture = row and row["image"]
        data = picture["bytes"] if isinstance(picture, dict) else None
        if data is None:
            raise self._broken("image has no picture", 0)
        try:
            width, height = open_picture(data).size
        except UNREADABLE_IMAGE as error:
            raise self._broken(f"image is not a readable picture ({shown(error)})", 0) from error
        if width != height or width not in SIDES:
            raise self._broken(
                f"image is {width}x{height}, not a square of {SIDES[0]} to {SIDES[-1]:,} pixels a side", 0
            )
        return width

    def check_all(self, name: str, data: pa.Array, numbers: Sequence[int], side: int) -> None:
        """Check the encoded pictures of one column, as `check_pictures` does.

        Args:
            name: The column.
            data: The pictures; null where there is none.
            numbers: Number of each row in the shard.
            side: Height and width of all pictures.

        Raises:
            SourceBroken: Naming row and column of the first that is wrong.
        """
        for position in np.flatnonzero(~plain(data, self.modes[name], (side, side))).tolist():
            self.check_pictures(numbers[position], {name: data[position].as_py()}, side)

    def check_pictures(self, row: int, pictures: Mapping[str, Any], side: int) -> None:
        """Check the encoded pictures of one row: their format, size and mode.

        Args:
            row: Number of the row in the shard.
            pictures: Encoded pictures by column; None where there is none.
            side: Height and width of all pictures.

        Raises:
            SourceBroken: Naming row and column.
        """
        for name, data in pictures.items():
            if data is None:
                if name == "image":
                    raise self._broken(f"{name} has no picture", row)
                continue
            try:
                image = open_picture(data)
            except UNREADABLE_IMAGE as error:
                raise self._broken(f"{name} is not a readable picture ({shown(error)})", row) from error
            if (image.size, image.mode) != ((side, side), self.modes[name]):
                raise self._broken(f"{name} is {form(image)}, not {side}x{side} {self.modes[name]}", row)

    def _check_schema(self, schema: pa.Schema) -> None:
        wanted = self.features.arrow_schema
        twice = sorted({name for name in wanted.names if schema.names.count(name) > 1})
        if twice:
            raise self._broken(f"has the column(s) {some(twice)} twice")
        lacking = [name for name in wanted.names if name not in schema.names]
        if lacking:
            raise SourceBroken(
                f"{self.path} lacks the column(s) {some(lacking)}: it was built with other options or by another "
                f"version. Build it again: medimeta build {self.card.id} --out {self.path.parent.parent}",
                code="lacking-columns",
            )
        for field in wanted:
            if not _alike(schema.field(field.name).type, field.type):
                raise self._broken(f"column {field.name} is {schema.field(field.name).type}, not {field.type}")

    def _check_size(self, footer: pq.FileMetaData, names: Sequence[str]) -> None:
        most = MOST_ROWS * self.card.total
        if footer.num_rows > most:
            raise self._broken(f"has {footer.num_rows:,} rows, where {self.card.total:,} are published")
        chunks = [chunk for group in column_chunks(self.path) for chunk in group]
        chunks = [chunk for chunk in chunks if chunk.name.partition(".")[0] in names]
        if (values := sum(chunk.values for chunk in chunks)) > ROW_VALUES * (footer.num_rows + 100):
            raise self._broken(f"holds {values:,} values in {footer.num_rows:,} rows")
        size = sum(chunk.size for chunk in chunks)
        if size > ROW_BYTES * (footer.num_rows + 100):
            raise self._broken(f"holds {size:,} bytes in addition to pictures, in {footer.num_rows:,} rows")

    def converted(self, column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
        """Give a column the type of the catalogue.

        Raises:
            SourceBroken: Naming the row and the value of which that is not possible.
        """
        if column.type == field.type:
            return column
        try:
            return column.cast(field.type)
        except (pa.ArrowException, ValueError) as error:
            for row in range(len(column)):
                try:
                    column.slice(row, 1).cast(field.type)
                except (pa.ArrowException, ValueError):
                    value = brief(column[row].as_py())
                    raise self._broken(f"{field.name} is {value}, not {field.type}", row) from error
            raise self._broken(f"column {field.name} is {column.type}, not {field.type}") from error

    def _check_values(self, name: str, column: pa.ChunkedArray) -> None:
        count = self.labels.get(name)
        if name in REQUIRED or (count is not None and not pa.types.is_list(column.type)):
            self._refuse(name, column, column.is_null())
        if count is None:
            return
        if pa.types.is_list(column.type):
            flat = pc.list_flatten(column)
            if pc.any(self._strange(flat, count)).as_py():
                rows = pc.list_parent_indices(column)
                first = rows[pc.index(self._strange(flat, count), True).as_py()].as_py()
                raise self._not_a_label(name, column[first].as_py(), first)
            return
        self._refuse(name, column, self._strange(column, count))

    def _strange(self, labels: Any, count: int) -> Any:
        outside = pc.or_(pc.less(labels, 0), pc.greater_equal(labels, count))
        return pc.fill_null(outside, True)

    def _refuse(self, name: str, column: pa.ChunkedArray, bad: pa.ChunkedArray) -> None:
        if pc.any(bad).as_py():
            row = pc.index(bad, True).as_py()
            value = column[row].as_py()
            if value is None:
                raise self._broken(f"{name} has no value", row)
            raise self._not_a_label(name, value, row)

    def _not_a_label(self, name: str, value: Any, row: int) -> SourceBroken:
        return self._broken(f"{name} is {brief(value)}, where 0 to {self.labels[name] - 1} are labels", row)

    def _broken(self, problem: str, row: int | None = None) -> SourceBroken:
        place = f"{self.path}: " if row is None else f"{self.path}, row {row}: "
        folder = self.path.parent.parent
        return SourceBroken(
            f"{place}{problem}. Build or download the dataset again; all faults: medimeta verify {folder}",
            code="invalid-rows",
        )


def _alike(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type can be converted to another: text to text, numbers to numbers."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind) or kind == wanted:
        return True
    if pa.types.is_struct(wanted):
        inner = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}
        return all(field.name in inner and _alike(inner[field.name], field.type) for field in wanted)
    if pa.types.is_list(wanted):
        return any(test(kind) for test in _LISTS) and _alike(kind.value_type, wanted.value_type)
    return any(any(test(kind) for test in family) and any(test(wanted) for test in family) for family in _FAMILIES)


_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_FAMILIES = (
    (pa.types.is_integer, pa.types.is_floating),
    (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view),
)
