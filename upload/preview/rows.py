"""Rows of a Hub folder as the preview page shows them: facts, labels, and images for browsers."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from ...builders.hub.folder import HubSource
from ...builders.images import own_settings
from ...builders.pictures import open_picture
from ...builders.source import Options
from ...builders.table.balance import labels_of
from ...cards.facts import SPLITS, DatasetCard, Task
from ...errors import MedIMetaError
from ...files.unreadable import UNREADABLE_IMAGE
from ..folder.record import BuildRecord

QUALITY = 82  # lossy; the folder holds the exact pixels
_HIDDEN = {"image", "split", "shard", "shard_row", "index", "position"}


def read(
    folder: Path, record: BuildRecord, card: DatasetCard
) -> tuple[HubSource, pd.DataFrame, dict[str, list[list[str]]]]:
    """Read everything but the images of a dataset, with the position of each row in its split.

    Args:
        folder: The Hub folder.
        record: Record of the build.
        card: The dataset.

    Returns:
        Where images come from, the rows, and the labels of each row by task column.
    """
    source = HubSource(card.id, folder / card.id, Options(with_masks=record.masks))
    rows = source.stored()
    rows["position"] = rows.groupby("split").cumcount()
    return source, rows, {task.column: names_of(rows, task) for task in card.tasks}


def names_of(rows: pd.DataFrame, task: Task) -> list[list[str]]:
    """Return the labels that each row counts under, including "none of these" and "unknown"."""
    return [labels_of(value, task) for value in rows[task.column]]


def row_entries(
    source: HubSource, picked: pd.DataFrame, names: dict[str, list[list[str]]], limit: int | None = None
) -> list[dict[str, Any]]:
    """Return rows as the page shows them, in the order of the folder.

    Args:
        source: Where their images come from.
        picked: The rows.
        names: The labels of each row, by task column.
        limit: Largest size of all images together, in bytes; later rows are left out.
    """
    found: list[dict[str, Any]] = []
    size = 0
    for (place, row), pictures in zip(picked.iterrows(), source.encode(picked) if len(picked) else (), strict=True):
        where = f"{row['shard']}, row {row['shard_row']}"
        images = {name: _shown(data, where) for name, data in pictures.items() if data is not None or name == "image"}
        size += sum(map(len, images.values()))
        if limit is not None and size > limit:
            break
        uris = {name: f"data:image/webp;base64,{base64.b64encode(data).decode()}" for name, data in images.items()}
        found.append(
            {
                "split": row["split"],
                "position": int(row["position"]),
                "index": int(row["index"]),
                "labels": [names[column][cast("int", place)] for column in names],
                "facts": {key: _plain(row[key]) for key in row.index if key not in _HIDDEN and key not in names},
                "images": uris,
            }
        )
    return sorted(found, key=lambda row: (SPLITS.index(row["split"]), row["position"]))


def _shown(data: bytes | None, where: str) -> bytes:
    """Encode an image for browsers."""
    try:
        with own_settings(), open_picture(data or b"") as image:
            buffer = io.BytesIO()
            image.convert("L" if image.mode in ("1", "L") else "RGB").save(buffer, "WEBP", quality=QUALITY, method=2)
    except UNREADABLE_IMAGE as error:
        raise MedIMetaError(f"The image in {where} cannot be read ({error}). Build the dataset again.") from error
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    """Convert a value to JSON types; NaN becomes None."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
