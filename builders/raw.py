"""Reading a source's images and tables from its files."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any, cast

import pandas as pd
from PIL import Image

from ..errors import SourceBroken, some
from ..files.unreadable import UNREADABLE_IMAGE
from .images import ORIGINAL_SIZE
from .tree import Tree

Row = Mapping[str, Any]  # of a manifest

MAX_PIXELS = 200_000_000  # the largest source image (a scanned film) has about 30 million


class Raw(Tree):
    """The files of one source, with what source modules need to read them."""

    def image(self, path: str) -> Image.Image:
        """Open an image; its stored size travels in `info["original_image_size"]`.

        Raises:
            SourceBroken: If the file is no image, is damaged, or is larger than any image of the sources.
        """
        data = self.read(path)
        try:
            image = Image.open(io.BytesIO(data))
        except UNREADABLE_IMAGE as error:
            raise self.broken(path, f"no readable image ({error})") from error
        if image.width * image.height > MAX_PIXELS:
            raise self.broken(path, f"{image.width}x{image.height} pixels are more than any image of the source has")
        image.info[ORIGINAL_SIZE] = list(image.size)
        return image

    def table(self, path: str, *, columns: Collection[str] = (), **options: Any) -> pd.DataFrame:
        """Read a CSV table.

        Args:
            path: Its path.
            columns: Columns that it must have; it may have more.
            **options: For `pandas.read_csv`; the encoding defaults to UTF-8, with or without byte-order mark.

        Raises:
            SourceNotFound: If there is no such file.
            SourceBroken: If it is no such table.
        """
        part, name = self.place(path)  # no table is in a tar archive: those are not searched
        content = part.read(name)
        try:
            table = cast(pd.DataFrame, pd.read_csv(io.BytesIO(content), **({"encoding": "utf-8-sig"} | options)))
        except ValueError as error:
            raise self.broken(path, f"no readable table ({error})") from error
        if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much for row names
            raise self.broken(path, f"the rows have more fields than the {len(table.columns)} columns have names")
        if lacking := [column for column in columns if column not in table]:
            found = [str(column) for column in table]
            raise self.broken(path, f"lacks the column(s) {some(lacking, 20)}; it has {some(found, 20)}")
        return table

    def broken(self, path: str, problem: str) -> SourceBroken:
        """The error for a file that is not what it should be."""
        return SourceBroken(f"{path} in {self.root}: {problem}. Get {some(self.archives)} again, or repair the file.")
