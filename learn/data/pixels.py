"""Pixels of a view by row number: from the store, or decoded each time.

For example, two images of a training split:

    pixels(load_task("pbc", split="train")).take([5, 3])  # uint8, shape (2, 224, 224, 3)

This module needs no torch; `batches` makes tensors for training of it.
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

from ...errors import MedIMetaError
from .decode import Pictures, decode_images, encoded_images, image_shape
from .store import THREADS, find_or_build

RowNumbers = Sequence[int] | NDArray[np.integer[Any]]


class PixelProvider(Protocol):
    """Images by row number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, height, width, channels (1 or 3)."""

    def take(self, rows: RowNumbers) -> Pictures:
        """Images of some rows: uint8, shape (len(rows), height, width, channels), 0 to 255, a new array."""


def pixels(rows: Dataset, *, column: str = "image", store: bool = True) -> PixelProvider:
    """The images of a view.

    Args:
        rows: What `load_task` gives, or any rows with embedded images, all of one size and mode.
        column: The column of images.
        store: Decode all images once into a file that lives in the cache of `datasets` and is found again by the next
            process (150 kB for an RGB image of 224x224, 50 kB for a grey one). False decodes images each time they
            are asked for: that takes no disk, and 30 to 60 times longer.

    Raises:
        MedIMetaError: If an image is damaged or unlike the others, or the disk has no room for the store.
    """
    images = rows.select_columns([column]).with_format("arrow")
    return PixelStore(find_or_build(images)) if store else DecodedPixels(images)


@dataclass(frozen=True)
class PixelStore:
    """Images in a memory-mapped file; pickled it is a path, and each process opens the file for itself.

    Attributes:
        path: The file.
    """

    path: Path

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    @cached_property
    def array(self) -> Pictures:
        """All images, read-only, shape (rows, height, width, channels); only what is used comes into memory.

        Raises:
            MedIMetaError: If the file was deleted.
        """
        try:
            # The subclass of ndarray that `load` gives would make each small operation slower.
            array: Pictures = np.load(self.path, mmap_mode="r").view(np.ndarray)
        except FileNotFoundError:
            raise MedIMetaError(f"{self.path} was deleted from the cache. Call `pixels` again.") from None
        return array

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, height, width, channels."""
        return self.array.shape

    def take(self, rows: RowNumbers) -> Pictures:
        """Copy the images of some rows; see `PixelProvider`."""
        return np.take(self.array, rows, axis=0)


@dataclass(frozen=True)
class DecodedPixels:
    """Images decoded each time; in several threads, but in the caller's where workers or threads share the work.

    Attributes:
        images: One column of images, in the format "arrow".
    """

    images: Dataset

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Rows, height, width, channels."""
        return len(self.images), *image_shape(self.images)

    def take(self, rows: RowNumbers) -> Pictures:
        """Decode the images of some rows; see `PixelProvider`."""
        numbers = np.asarray(rows, np.int64).tolist()
        data = encoded_images(self.images, numbers)
        pictures = np.empty((len(numbers), *self.shape[1:]), np.uint8)

        def decode(start: int) -> None:
            part = slice(start, start + 8)
            decode_images(data[part], numbers[part], pictures[part])

        starts = range(0, len(numbers), 8)
        shared = parent_process() is not None or current_thread() is not main_thread()
        if shared or THREADS == 1:
            list(map(decode, starts))
        else:
            with ThreadPoolExecutor(THREADS) as executor:  # a new one: threads do not survive a fork
                list(executor.map(decode, starts))
        return pictures
