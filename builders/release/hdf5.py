"""The images.hdf5 of a release, in a folder or inside its zip archive."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...files.archives import StoredMember, ZipFiles
from ...files.folders import FolderFiles
from ...files.unreadable import UNREADABLE_ARCHIVE
from ..images import SIDE

MAX_CHUNK = 256 << 20  # bytes; the published files are not chunked
FAULTS = (*UNREADABLE_ARCHIVE, RuntimeError, ValueError)  # of a damaged file


class Hdf5Images:
    """Dataset "images" of an HDF5 file, row i the image with number i.

    Args:
        files: Folder or archive of the file.
        name: Its name there.
    """

    def __init__(self, files: FolderFiles | ZipFiles, name: str) -> None:
        self._files = files
        self._name = name

    @staticmethod
    def installed() -> bool:
        """Return whether h5py is installed."""
        return find_spec("h5py") is not None

    @property
    def is_deflated(self) -> bool:
        """Whether it is compressed in an archive, and can only be read from front to back."""
        return isinstance(self._files, ZipFiles) and self._files.info(self._name).compress_type != zipfile.ZIP_STORED

    def count(self, mode: str) -> int:
        """Number of images.

        Raises:
            OSError, ValueError and the other `FAULTS`: If the file is damaged or holds no images of this mode.
        """
        with self._dataset(mode) as dataset:
            return int(dataset.shape[0])

    def read(self, numbers: Sequence[int], mode: str) -> list[np.ndarray[Any, Any]]:
        """Return the pixels of the images with these numbers; neighbours are read at once.

        Raises:
            OSError, ValueError and the other `FAULTS`: As for `count`, or if it holds fewer images.
        """
        runs = np.split(np.asarray(numbers, dtype=np.int64), np.flatnonzero(np.diff(numbers) != 1) + 1)
        with self._dataset(mode) as dataset:
            if len(numbers) and max(numbers) >= len(dataset):
                raise ValueError(f"it holds {len(dataset):,} images, but number {max(numbers):,} is asked for")
            return [pixels for run in runs if len(run) for pixels in dataset[run[0] : run[-1] + 1]]

    @contextmanager
    def _dataset(self, mode: str) -> Iterator[Any]:
        import h5py

        if isinstance(self._files, FolderFiles):
            with h5py.File(self._files.folder / self._name, "r") as file:
                yield _checked(file, mode)
        elif self.is_deflated:
            yield _checked(self._stream, mode)
        else:
            member = StoredMember(self._files.archive, self._files.info(self._name))
            with member, h5py.File(member, "r") as file:
                yield _checked(file, mode)

    @cached_property
    def _stream(self) -> Any:
        # Stays open: each new start would decompress everything before the row again.
        import h5py

        if not isinstance(self._files, ZipFiles):
            raise TypeError("Only members of archives are streams.")
        return h5py.File(self._files.open(self._name), "r")


def _checked(file: Any, mode: str) -> Any:
    import h5py

    try:
        linked = file.get("images", getlink=True)
        dataset = file["images"] if isinstance(linked, h5py.HardLink) else None
    except KeyError as error:  # of a damaged header
        raise ValueError(f'"images" cannot be opened: {error}') from error
    # Other links and outside storage could make it read any file of this machine.
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError('there is no dataset "images" in it')
    shape = (SIDE, SIDE, 3) if mode == "RGB" else (SIDE, SIDE)
    if dataset.dtype != np.uint8 or dataset.shape[1:] != shape:
        raise ValueError(f"images are {dataset.dtype} of shape {dataset.shape[1:]}, not uint8 of {shape}")
    if dataset.chunks is not None and math.prod(dataset.chunks) > MAX_CHUNK:
        raise ValueError(f"its chunks of {dataset.chunks} bytes are too large to be read one at a time")
    return dataset
