"""Draw docs/picture.png, the picture of README.md: four miniatures of each of the 19 datasets, by domain.

    python docs/picture.py [HUBDIR]

Without a Hub folder of miniatures (`medimeta demo --all` makes one) one is built first. Miniatures are drawn by a
seeded generator: no patient's image is in the picture, and the same code gives the same picture.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

import medimeta
from medimeta.upload.folder.miniatures import build_miniatures

COLUMNS, TILE, GAP, BETWEEN, MARGIN, CAPTION = 10, 64, 3, 22, 30, 62
CELL = 2 * TILE + GAP
INK, PALE, PAPER = "#16202a", "#5b6b79", "#ffffff"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0568a", "#9a7200", "#2f86b8", "#6f4fa8", "#8c564b", "#3a7d44", "#a61c3c")


def examples(hub: Path, card: medimeta.DatasetCard, count: int = 4) -> list[Image.Image]:
    """Images of as many different labels of the main task as there are, in the order of the rows."""
    rows = pd.concat(map(pd.read_parquet, sorted((hub / card.id).glob("*.parquet"))), ignore_index=True)
    again = rows[card.tasks[0].column].map(str).duplicated()
    chosen = pd.concat([rows[~again], rows[again]]).head(count)
    return [Image.open(io.BytesIO(cell["bytes"])).convert("RGB") for cell in chosen["image"]]


def picture(hub: Path) -> Image.Image:
    """Draw the datasets of a Hub folder, four tiles each with id, domain and number of images, and the totals last."""
    bold, plain, huge = (ImageFont.load_default(size) for size in (17, 13, 21))
    cards = sorted((card for card in medimeta.DATASETS.values() if (hub / card.id).is_dir()), key=lambda c: c.domain)
    colours = dict(zip(medimeta.DATASETS.domains, COLOURS, strict=True))
    lines = -(-(len(cards) + 1) // COLUMNS)
    width = 2 * MARGIN + COLUMNS * (CELL + BETWEEN) - BETWEEN
    canvas = Image.new("RGB", (width, 2 * MARGIN + lines * (CELL + CAPTION + 12) - 12), PAPER)
    draw = ImageDraw.Draw(canvas)
    for place, card in enumerate(cards):
        left, top = _corner(place)
        for number, tile in enumerate(examples(hub, card)):
            small = tile.resize((TILE, TILE), Image.Resampling.LANCZOS)
            canvas.paste(small, (left + number % 2 * (TILE + GAP), top + number // 2 * (TILE + GAP)))
        draw.rectangle((left, top + CELL + 6, left + CELL - 1, top + CELL + 9), colours[card.domain])
        draw.text((left, top + CELL + 14), card.id, INK, bold)
        font = plain if plain.getlength(card.domain) <= CELL else ImageFont.load_default(10)
        draw.text((left, top + CELL + 34), card.domain, colours[card.domain], font)
        draw.text((left, top + CELL + 49), f"{card.total:,} images", PALE, plain)
    left, top = _corner(len(cards))
    totals = (
        f"{len(cards)} datasets",
        f"{len({card.domain for card in cards})} domains",
        f"{sum(len(card.tasks) for card in cards)} tasks",
        f"{sum(card.total for card in cards):,} images",
    )
    for number, line in enumerate(totals):
        draw.text((left, top + 6 + 34 * number), line, INK, huge if number < 3 else bold)
    return canvas


def _corner(place: int) -> tuple[int, int]:
    line, column = divmod(place, COLUMNS)
    return MARGIN + column * (CELL + BETWEEN), MARGIN + line * (CELL + CAPTION + 12)


def main(hub: Path | None = None) -> None:
    """Draw the picture, with few colours so that it stays small."""
    with tempfile.TemporaryDirectory() as temporary:
        if hub is None:
            hub = build_miniatures(list(medimeta.DATASETS), Path(temporary), version=medimeta.__version__)
        drawn = picture(hub)
    path = Path(__file__).with_suffix(".png")
    drawn.quantize(128, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
