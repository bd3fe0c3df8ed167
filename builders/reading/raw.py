"""Reading a source's images and tables from its files."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, cast

import pandas as pd
from PIL import Image

from ...errors import SourceBroken, some
from ...files.nature import nature
from ..images import ORIGINAL_SIZE, PICTURES, open_image, read_image
from .tree import Tree

Row = Mapping[str, Any]  # of a manifest

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}  # by file name
MAX_TABLE = 32 << 20  # bytes; the main table of ChestX-ray14 has 8 MB
MAX_HEADER = 1 << 16
SAMPLE = 1 << 14  # bytes of an image in which line feeds are counted
FEW = 8  # line feeds that follow a carriage return by chance
MAX_WHOLE = 1 << 53  # beyond, spreadsheets round


class Raw(Tree):
    """The files of one source, with what source modules need to read them."""

    def image(self, path: str, modes: Sequence[str] = PICTURES) -> Image.Image:
        """Open an image of the format that its name says; its stored size is kept in `info["original_image_size"]`.

        Args:
            path: Its path.
            modes: The modes of Pillow that it may have; palettes become RGB.

        Raises:
            SourceBroken: If the file is not such an image, is damaged, or is larger than any image of the sources.
        """
        data = self.read(path)
        head = data[:SAMPLE]
        if (lines := head.count(b"\n")) > FEW and lines == head.count(b"\r\n"):
            raise self.broken(
                path, "all its line feeds follow carriage returns: it was transferred as text, not as data"
            )
        named = FORMATS.get(PurePosixPath(path).suffix.lower())
        formats = (named,) if named else tuple(sorted(set(FORMATS.values())))
        try:
            image = open_image(data, formats, modes=modes)
            if image.mode == "P":
                image = read_image(data, formats, modes=modes).convert("RGB")
        except ValueError as error:
            raise self.broken(path, str(error)) from error
        image.info[ORIGINAL_SIZE] = list(image.size)
        return image

    def table(
        self,
        path: str,
        *,
        columns: Collection[str] = (),
        whole: Collection[str] = (),
        files: Collection[str] = (),
        **options: Any,
    ) -> pd.DataFrame:
        """Read a CSV table. Rows without any value, which spreadsheets leave, are dropped.

        Args:
            path: Its path.
            columns: Columns that it must have; it may have more.
            whole: Those of them that hold whole numbers, also where a spreadsheet saved them as 1.0.
            files: Those of them that hold a name (of a file) in every row; blanks around the names are dropped.
            **options: For `pandas.read_csv`; the encoding defaults to UTF-8, with or without byte-order mark.

        Raises:
            SourceNotFound: If the file does not exist.
            SourceBroken: If it is not such a table.
        """
        self.place(path)  # tar archives are not searched for tables
        content = self.read(path, most=MAX_TABLE)
        if actual := nature(content):
            raise self.broken(path, f"not a readable table ({actual})")
        if b"\0" in content:
            raise self.broken(path, "has zero bytes: it was cut by a crash, or saved as UTF-16; tables are UTF-8 text")
        if len(content[: MAX_HEADER + 1].splitlines()[0]) > MAX_HEADER:
            raise self.broken(path, f"not a readable table: its first line has more than {MAX_HEADER:,} bytes")
        if (other := _separator(content)) and "sep" not in options and len(columns) > 1:
            raise self.broken(path, f"its fields are separated by {other!r}, not by a comma")
        options = {"encoding": "utf-8-sig"} | ({} if "sep" in options else {"low_memory": False}) | options
        try:
            table = cast(pd.DataFrame, pd.read_csv(io.BytesIO(content), **options))
        except (ValueError, ArithmeticError, TypeError, LookupError, MemoryError) as error:
            raise self.broken(path, f"not a readable table ({error})") from error
        if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much for row names
            raise self.broken(path, f"the rows have more fields than the {len(table.columns)} columns have names")
        head = [str(column) for column in table]
        if twice := [name[:-2] for name in head if name.endswith(".1") and name[:-2] in head]:
            raise self.broken(path, f"has the column(s) {some(twice)} twice")
        if lacking := [column for column in columns if column not in table]:
            raise self.broken(path, f"lacks the column(s) {some(lacking, 20)}; it has {some(head, 20)}")
        if (blank := (table.isna() | (table == "")).all(axis=1)).any():
            table = table[~blank].reset_index(drop=True)
        stripped = {column: table[column].str.strip() for column in files}
        if unnamed := [column for column, texts in stripped.items() if (texts.isna() | (texts == "")).any()]:
            raise self.broken(path, f"a row has no {' or '.join(unnamed)}")
        return table.assign(**stripped, **{column: self._whole(path, table[column]) for column in whole})

    def _whole(self, path: str, column: pd.Series) -> pd.Series:
        numbers = pd.to_numeric(column, errors="coerce")
        if (wrong := numbers.isna() | (numbers.abs() > MAX_WHOLE) | (numbers % 1 != 0)).any():
            raise self.broken(path, f"column {column.name!r} has {some([*column[wrong]])}, not whole numbers")
        return numbers.astype("int64")

    def broken(self, path: str, problem: str) -> SourceBroken:
        """The error for a file that is not what it should be."""
        known = f" {self.variant}" if self.variant else ""
        return SourceBroken(
            f"{path} in {self.root}: {problem}.{known} Get {some(self.archives)} again, or repair the file."
        )


def _separator(content: bytes) -> str:
    """The other character that separates the fields of the first line, where it has no comma; "" if none does."""
    first = content.split(b"\n", 1)[0]
    return next((sign for sign in (";", "\t") if sign.encode() in first and b"," not in first), "")
