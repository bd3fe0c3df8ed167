"""A picture of every corruption at every severity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ....files.atomic import whole_file
from ..decode import PixelArray
from .registry import SEVERITIES, corrupt, corruptions
from .tone import as_picture

_MARGIN, _HEADING, _GAP = 190, 34, 4


def draw_page(image: PixelArray, dataset: str, index: int = 0) -> Image.Image:
    """Draw an image with every corruption of a dataset, a row for each, and every severity, 0 to 5, a column for each.

    Args:
        image: uint8, shape (height, width, channels), 0 to 255.
        dataset: Id of the dataset.
        index: The published number of the image, on which random corruptions depend.

    Raises:
        MedIMetaError: If the dataset has no list of corruptions.
    """
    lists = corruptions(dataset)
    height, width = (side + _GAP for side in image.shape[:2])
    page = Image.new("RGB", (_MARGIN + width * (1 + len(SEVERITIES)), _HEADING + height * len(lists)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(16)
    for column, severity in enumerate((0, *SEVERITIES)):
        pen.text((_MARGIN + width * column, 8), f"severity {severity}", "black", font)
    for row, (name, parameters) in enumerate(lists.items()):
        top = _HEADING + height * row
        for line, text in enumerate((name, *(f"{s}: {shown(p)}" for s, p in zip(SEVERITIES, parameters, strict=True)))):
            pen.text((8, top + 4 + 22 * line), text, "black" if line == 0 else "grey", font)
        for column, severity in enumerate((0, *SEVERITIES)):
            corrupted = corrupt(image[np.newaxis], dataset, name, severity, [index])[0]
            page.paste(as_picture(corrupted), (_MARGIN + width * column, top))
    return page


def write_page(image: PixelArray, dataset: str, path: Path, index: int = 0) -> None:
    """Write the page of `draw_page` to a PNG file, atomically; the other arguments are those of `draw_page`."""
    page = draw_page(image, dataset, index)
    mark = PngInfo()
    mark.add_text("Software", "medimeta")
    with whole_file(path) as partial:
        page.save(partial, "PNG", pnginfo=mark)


def shown(parameter: object) -> str:
    """Return a corruption's parameter as text for tables: "0.3", or "9, 10" for a list."""
    return ", ".join(map(str, parameter)) if isinstance(parameter, list) else str(parameter)
