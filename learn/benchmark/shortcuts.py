"""Shortcut encoders, which see only one non-medical property of an image, as baselines.

On NCT-CRC, three colour means exceed 50 % accuracy, and a colour histogram 82 % (arXiv 2409.11546).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from ...cards.catalogue import DATASETS
from ..encoders.features import pixels_of
from .data import Encoded
from .plan import SHORTCUTS, SIZE

__all__ = ["SHORTCUTS", "Shortcut", "ShortcutEncoded"]

BLOCK = 256  # images read at once


@dataclass(frozen=True)
class Shortcut:
    """An encoder of one property of an image.

    Attributes:
        name: One of `SHORTCUTS`: the mean of each channel; a histogram of 8 levels per channel (grey: 64 levels); the
            width, height and aspect ratio before resizing; or the extension of the file's name.
    """

    name: str
    device = torch.device("cpu")

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the features, ready for JSON."""
        return {"shortcut": self.name, "transform": {}}

    def suits(self, dataset: str) -> bool:
        """Return whether the property is known for a dataset."""
        return self.name != "shortcut: size" or SIZE in {column.column for column in DATASETS[dataset].annotations}

    def features(self, rows: Dataset) -> np.ndarray:
        """Return the features of rows: float32, shape (N, width)."""
        if self.name == "shortcut: size":
            known = np.array([size or (0, 0) for size in rows.with_format(None)[SIZE]], np.float32).reshape(-1, 2)
            return np.column_stack([known, known[:, 0] / np.maximum(known[:, 1], 1)])
        if self.name == "shortcut: file type":
            endings = [PurePosixPath(path).suffix for path in rows.with_format(None)["original_filepath"]]
            return np.array([[ending == one for one in ENDINGS] for ending in endings], np.float32)
        pixels = pixels_of(rows)
        blocks = (pixels.take(range(start, min(start + BLOCK, len(rows)))) for start in range(0, len(rows), BLOCK))
        function = _means if self.name == "shortcut: mean colour" else _histograms
        return np.concatenate([function(block) for block in blocks])


ENDINGS = (".jpg", ".JPG", ".jpeg", ".jpe", ".png", ".PNG", ".tif", ".tiff", ".bmp", ".dcm")


class ShortcutEncoded(Encoded):
    """All splits of a dataset with the features of a shortcut, which are computed each time."""

    corruptible = False

    @cached_property
    def features(self) -> dict[str, torch.Tensor]:
        """The features of each split, float32, shape (N, width)."""
        shortcut: Any = self.encoder
        return {split: torch.from_numpy(shortcut.features(rows)) for split, rows in self.rows.items()}


def _means(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(pixels.mean(axis=(1, 2)) / 255, np.float32)


def _histograms(pixels: np.ndarray) -> np.ndarray:
    channels = pixels.shape[-1]
    levels = 8 if channels == 3 else 64
    cells = (pixels.reshape(len(pixels), -1, channels).astype(np.int64) * levels) // 256
    cells = cells @ (levels ** np.arange(channels))
    size = levels**channels
    counts = np.stack([np.bincount(one, minlength=size) for one in cells])
    return np.asarray(counts / cells.shape[1], np.float32)
