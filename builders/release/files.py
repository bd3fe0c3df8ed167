"""Read the files of a published release, from its folder or its zip archive, and the pixels in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from PIL import Image

from ...errors import SourceBroken, SourceIncomplete, SourceNotFound, missing_extra
from ...files.archives import ZipFiles, open_files
from ..images import MASKS, open_image, problem, read_image
from .hdf5 import FAULTS, Hdf5Images

TABLE = "annotations.csv"
HDF5 = "images.hdf5"


class ReleaseFiles:
    """The files of one release; paths are relative to the folder that holds annotations.csv.

    Args:
        location: The release's folder, the folder that holds it, or its zip archive.
        dataset: Id of the dataset, the name of the folder in an archive.

    Raises:
        SourceNotFound: If there is no annotations.csv.
        UnsafeArchive: If a path would leave the archive.
    """

    def __init__(self, location: Path, dataset: str) -> None:
        self.dataset = dataset
        self.root = release_root(location, dataset)
        self._files = open_files(self.root)
        inside = f"{dataset}/{TABLE}" in self._members and not self.root.is_dir()
        self._prefix = f"{dataset}/" if inside else ""
        if TABLE not in self:
            raise SourceNotFound(
                f"{location} is not a release of {dataset}: it has no {TABLE}. Give the folder {dataset} or the "
                f"archive {dataset}.zip as published."
            )

    @cached_property
    def _members(self) -> frozenset[str]:
        return frozenset(self._files.names())

    def __contains__(self, path: str) -> bool:
        return self._prefix + path in self._members

    def absent(self, paths: Sequence[str]) -> list[str]:
        """Return those of the paths that are missing."""
        return [path for path in paths if self._prefix + path not in self._members]

    def read(self, path: str) -> bytes:
        """The bytes of a file.

        Raises:
            SourceIncomplete: If it is missing.
            SourceBroken: If it cannot be read.
        """
        if path not in self:
            raise SourceIncomplete(f"{path} is missing in {self.root}. Download the release of {self.dataset} again.")
        return self._files.read(self._prefix + path)

    def broken(self, path: str, wrong: str) -> SourceBroken:
        """The error for a file that is not what it should be."""
        return SourceBroken(f"{path} in {self.root}: {wrong}. Download the release of {self.dataset} again.")

    @cached_property
    def hdf5(self) -> Hdf5Images | None:
        """The images.hdf5 to read images from, or None if the TIFF files are read instead.

        Raises:
            MissingExtra: If there is only images.hdf5 and h5py is not installed.
        """
        if HDF5 not in self:
            return None
        hdf5 = Hdf5Images(self._files, self._prefix + HDF5)
        has_tiffs = any(name.startswith(f"{self._prefix}images/") for name in self._members)
        if hdf5.installed() and not (hdf5.is_deflated and has_tiffs):
            return hdf5
        if has_tiffs:
            return None
        raise missing_extra("h5py", "build", f"Reading {HDF5} in {self.root}, which has no TIFF files next to it,")

    def missing_images(self, count: int, mode: str) -> list[str]:
        """Return the paths of the missing images.

        Args:
            count: How many there should be.
            mode: "L" or "RGB".

        Raises:
            SourceBroken: If images.hdf5 holds another number of images, or something else.
        """
        if self.hdf5 is None:
            return self.absent([image_path(number) for number in range(count)])
        if isinstance(self._files, ZipFiles):
            self._files.verify(self._prefix + HDF5)
        try:
            found = self.hdf5.count(mode)
        except FAULTS as error:
            raise self.broken(HDF5, str(error)) from error
        if found != count:
            raise self.broken(HDF5, f"holds {found:,} images, but {TABLE} has {count:,} rows")
        return []

    def images(self, numbers: Sequence[int], mode: str) -> list[Image.Image]:
        """Return the images with these numbers; ascending ones are read fastest.

        Args:
            numbers: Published image numbers.
            mode: "L" or "RGB", as the catalogue says.

        Raises:
            SourceBroken: If one is damaged, not 224x224, or of another mode.
            SourceIncomplete: If one is missing.
        """
        if self.hdf5 is None:
            return [self.tiff(image_path(number), mode) for number in numbers]
        try:
            return [Image.fromarray(pixels) for pixels in self.hdf5.read(numbers, mode)]
        except FAULTS as error:
            raise self.broken(HDF5, str(error)) from error

    def tiff(self, path: str, mode: str) -> Image.Image:
        """Read a TIFF file, an image or (mode "1") a mask.

        Raises:
            SourceBroken: If it is damaged, not 224x224, or of another mode.
            SourceIncomplete: If it is missing.
        """
        data = self.read(path)
        try:
            wrong = problem(open_image(data, ("TIFF",), modes=MASKS), mode)  # before anything is decoded
            if wrong is None:
                return read_image(data, ("TIFF",), modes=MASKS)
        except ValueError as error:
            wrong = str(error)
        raise self.broken(path, wrong)


def image_path(number: int, folder: str = "images") -> str:
    """Return the path of an image, or of a mask in another folder."""
    return f"{folder}/{number:06d}.tiff"


def release_root(location: Path, dataset: str) -> Path:
    """Return the archive, or the folder that holds annotations.csv."""
    return location / dataset if (location / dataset / TABLE).is_file() else location


@lru_cache(maxsize=2)
def _opened(process: int, location: Path, dataset: str) -> ReleaseFiles:
    return ReleaseFiles(location, dataset)


def opened(location: Path, dataset: str, *, anew: bool = False) -> ReleaseFiles:
    """Open the files of a release, or return those opened before in this process.

    A worker gets a new copy of its source with each batch of rows; listing 100,000 files every time would take longer
    than the batch.

    Args:
        location: As for `ReleaseFiles`.
        dataset: As for `ReleaseFiles`.
        anew: List the files again, as they may have changed.
    """
    if anew:
        _opened.cache_clear()
    return _opened(os.getpid(), location, dataset)
