"""Pixels of a view by row number, read from the pixel store or decoded each time.

For example, two images of a training split:

    pixels(load_task("pbc", split="train")).take([5, 3])  # uint8, shape (2, 224, 224, 3)

This module does not need torch; `pixel_dataset` turns pixels into tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import parent_process
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any, Protocol

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from ...errors import MedIMetaError, unknown
from .corruptions.images import CorruptedImage, CorruptedPixels
from .decode import PixelArray, decode_images, encoded_images, image_shape
from .store import THREADS, find_or_build

RowNumbers = Sequence[int] | NDArray[np.integer[Any]]


class PixelProvider(Protocol):
    """Images by row number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, height, width, channels (1 or 3)."""
        ...

    def take(self, rows: RowNumbers) -> PixelArray:
        """Return the images of some rows: uint8, shape (len(rows), height, width, channels), 0 to 255, a new array."""
        ...


def pixels(rows: Dataset, *, column: str = "image", store: bool = True) -> PixelProvider:
    """Provide the images of a view as they are stored; a `mode` of the view is not applied, a corruption is.

    Args:
        rows: A view from `load_task`, or any rows with embedded images of one size and mode.
        column: The column of images.
        store: Decode all images once into a file in the cache of `datasets`, which later processes find again (150 kB
            per RGB image of 224x224, 50 kB per greyscale one). False decodes images each time they are asked for,
            which takes no disk space, but 30 to 60 times longer.

    Raises:
        UnknownName: If the column does not exist.
        MedIMetaError: If an image is damaged or unlike the others, or the store cannot be written.
    """
    if column not in rows.column_names:
        raise unknown("column", column, rows.column_names, hint="Give the column of images.")
    images = rows.select_columns([column]).with_format("arrow")
    provider: PixelProvider = PixelStore(find_or_build(images)) if store else DecodedPixels(images)
    corrupted = isinstance(rows.features[column], CorruptedImage)
    return CorruptedPixels.of(provider, images) if corrupted else provider


@dataclass(frozen=True)
class PixelStore:
    """Images in a memory-mapped file. Its pickle holds only the path; each process opens the file itself.

    Attributes:
        path: The file.
    """

    path: Path

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    @cached_property
    def array(self) -> PixelArray:
        """All images, read-only, shape (rows, height, width, channels). Only the images used are read into memory.

        Raises:
            MedIMetaError: If the file was deleted.
        """
        try:
            # A plain array: each small operation on the subclass of ndarray that `load` returns would be slower.
            array: PixelArray = np.load(self.path, mmap_mode="r").view(np.ndarray)
        except FileNotFoundError:
            raise MedIMetaError(f"{self.path} was deleted from the cache. Call `pixels` again.") from None
        return array

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, height, width, channels."""
        return self.array.shape

    def take(self, rows: RowNumbers) -> PixelArray:
        """Copy the images of some rows; see `PixelProvider`."""
        return np.take(self.array, rows, axis=0)


@dataclass(frozen=True)
class DecodedPixels:
    """Images that are decoded each time, in several threads; in worker processes and threads, in the caller's alone.

    Attributes:
        images: One column of images, in the format "arrow".
    """

    images: Dataset

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, height, width, channels."""
        return self._shape

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        return len(self.images), *image_shape(self.images)

    def take(self, rows: RowNumbers) -> PixelArray:
        """Decode the images of some rows; see `PixelProvider`."""
        numbers = np.asarray(rows, np.int64).tolist()
        encoded = encoded_images(self.images, numbers)
        images = np.empty((len(numbers), *self.shape[1:]), np.uint8)

        def decode(start: int) -> None:
            part = slice(start, start + 8)
            decode_images(encoded[part], numbers[part], images[part])

        starts = range(0, len(numbers), 8)
        in_worker = parent_process() is not None or current_thread() is not main_thread()
        if in_worker or THREADS == 1:
            list(map(decode, starts))
        else:
            with ThreadPoolExecutor(THREADS) as executor:  # a new pool each time: threads do not survive a fork
                list(executor.map(decode, starts))
        return images
