"""Pictures of the dataset card: example images per class, and a chart of class balance.

Drawn with Pillow and its built-in font, so that the same input gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

COLUMNS = 6  # example images per class

_INK, _PALE, _RULE = "#202020", "#6a6a6a", "#d8d8d8"
_COLOURS = {"train": "#0072b2", "validation": "#c77700", "test": "#00785a"}  # distinguishable by colour-blind readers
_TYPESET = str.maketrans({"–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"'})  # the font is mostly ASCII

_TILE, _GAP = 112, 4  # half the published size of an image, to keep the page small
_SIDE = 200  # maximum width of a class name

_WIDTH, _MARGIN, _BAR, _LINE = 1600, 24, 12, 32  # the chart is drawn at twice its display size
_NAMES, _BARS, _COUNT = 540, 560, 140  # widths of label names, bars and one number


@dataclass(frozen=True)
class Panel:
    """One task of the chart.

    Attributes:
        title: Heading.
        rows: Label name, and its number of rows per split.
    """

    title: str
    rows: Sequence[tuple[str, Mapping[str, int]]]


def montage(classes: Sequence[tuple[str, Sequence[bytes]]]) -> bytes:
    """Draw example images, one row per class with its name on the left.

    Args:
        classes: Names of the classes and a few encoded square images of each.

    Returns:
        A PNG file.
    """
    font = ImageFont.load_default(15)
    tiles = [[Image.open(io.BytesIO(data)) for data in images] for _, images in classes]
    names = [_wrapped(name, font, _SIDE, 5) for name, _ in classes]
    mode = "L" if all(tile.mode == "L" for row in tiles for tile in row) else "RGB"
    side = 24 + max(round(font.getlength(line)) for name in names for line in name)
    step = _TILE + _GAP
    canvas = Image.new(mode, (side + COLUMNS * step, len(classes) * step), "white")
    draw = ImageDraw.Draw(canvas)
    for number, (name, row) in enumerate(zip(names, tiles, strict=True)):
        top = number * step
        draw.multiline_text((8, top + _TILE // 2), "\n".join(name), _INK, font, anchor="lm", spacing=5)
        for column, tile in enumerate(row[:COLUMNS]):
            canvas.paste(tile.convert(mode).resize((_TILE, _TILE), Image.Resampling.BOX), (side + column * step, top))
    return _png(canvas)


def balance_chart(panels: Sequence[Panel], totals: Mapping[str, int]) -> bytes:
    """Draw a bar per task, label and split: the share of the split's rows with that label.

    Args:
        panels: The tasks.
        totals: Rows per split; the order of the bars.

    Returns:
        A PNG file.
    """
    font, large, small = (ImageFont.load_default(size) for size in (25, 31, 22))
    lines = [[_wrapped(name, font, _NAMES - 40, 2) for name, _ in panel.rows] for panel in panels]
    heights = [[_row_height(len(wrapped), len(totals)) for wrapped in panel] for panel in lines]
    height = 2 * _MARGIN + sum(4 * _LINE + sum(panel) for panel in heights) - _LINE
    canvas = Image.new("RGB", (_WIDTH, height), "white")
    draw = ImageDraw.Draw(canvas)
    top = _MARGIN
    for panel, wrapped, row_heights in zip(panels, lines, heights, strict=True):
        longest = max(_share(count, totals[split]) for _, counts in panel.rows for split, count in counts.items())
        draw.text((_MARGIN, top), _typeset(panel.title), _INK, large)
        draw.text(
            (_MARGIN + _NAMES, top + 45),
            f"share of the split's images (full width: {longest:.{0 if longest >= 0.1 else 1}%})",
            _PALE,
            small,
        )
        for column, split in enumerate(totals):
            draw.text((_count_right(column), top + 45), split, _COLOURS[split], small, anchor="ra")
        top += 2 * _LINE + 16
        draw.line((_MARGIN, top, _WIDTH - _MARGIN, top), _RULE, 2)
        top += 8
        for (_, counts), name, row_height in zip(panel.rows, wrapped, row_heights, strict=True):
            middle = top + row_height // 2
            draw.multiline_text((_MARGIN, middle), "\n".join(name), _INK, font, anchor="lm", spacing=6)
            bar = middle - len(totals) * _BAR // 2
            for column, (split, total) in enumerate(totals.items()):
                count, colour = counts.get(split, 0), _COLOURS[split]
                length = round((_BARS - 20) * _share(count, total) / longest) if longest else 0
                if count:
                    left = _MARGIN + _NAMES
                    draw.rectangle((left, bar, left + max(length, 2), bar + _BAR - 3), colour)
                bar += _BAR
                draw.text((_count_right(column), middle), f"{count:,}", colour if count else _PALE, font, anchor="rm")
            top += row_height
        top += 2 * _LINE - 24
    return _png(canvas.quantize(64, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0


def _count_right(column: int) -> int:
    """Return the right edge of a column of numbers."""
    return _MARGIN + _NAMES + _BARS + (column + 1) * _COUNT


def _row_height(lines: int, bars: int) -> int:
    return max(lines * _LINE, bars * _BAR) + 12


def _typeset(text: str) -> str:
    """Replace characters that the font lacks."""
    return text.translate(_TYPESET).encode("ascii", "replace").decode()


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int, limit: int) -> list[str]:
    """Break a text into at most `limit` lines of at most `width` pixels, where it can be broken."""
    lines = [""]
    for word in _typeset(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines if len(lines) <= limit else [*lines[: limit - 1], f"{lines[limit - 1]} ..."]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
