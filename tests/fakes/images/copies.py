"""Datasets of drawn pictures in memory, for the search for copies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from medimeta.builders.images import encode
from medimeta.builders.source import Options, Source

PARTIAL = Options(partial=True)


@dataclass(frozen=True)
class InMemory(Source):
    """Images in memory: (split, subject, image)."""

    kind = "memory"
    rows: tuple[Any, ...] = ()

    @property
    def stamp(self):
        return ""

    def manifest(self):
        rows = pd.DataFrame(self.rows, columns=["split", "subject_id", "picture"])
        index = np.arange(len(rows), dtype=np.int32)
        return rows.assign(index=index, original_filepath=[f"{i}.png" for i in index])

    def encode(self, rows):
        return [{"image": encode(picture)} for picture in rows["picture"]]


def pictures(dataset, *rows):
    return InMemory(dataset, Path(), rows=rows)


def picture(seed, colour=False):
    """Return noise with detail at every scale, like a photograph."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((224, 224, 3))
    for cells in (3, 7, 14, 28, 56):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        pixels += (np.asarray(noise.resize((224, 224), Image.Resampling.BICUBIC)) - 127.5) / cells**0.5
    image = Image.fromarray((120 + pixels * 0.8).clip(0, 255).astype(np.uint8))
    return image if colour else image.convert("L")


def groups(ledger, kind):
    """Return the groups of a kind, each as (dataset, index) of its members."""
    rows = ledger.rows[ledger.rows["kind"] == kind]
    return [list(zip(part["dataset"], part["index"], strict=True)) for _, part in rows.groupby("group")]
