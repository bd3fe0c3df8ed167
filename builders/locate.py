"""Find a dataset's source and recognise it: raw archives, published release, or Hub folder."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from ..cards.catalogue import DATASETS
from ..cards.facts import DatasetCard
from ..errors import SourceNotFound
from ..files.archives import ZipFiles
from ..files.tar_members import SUFFIXES
from .hub.folder import HubSource
from .hub.repository import fetch, repository
from .release.release import ReleaseSource
from .shard_files import SHARD
from .source import Options, RawSource, Source

DATA_VARIABLE = "MEDIMETA_DATA"


def find_local(dataset: str, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Return where a dataset is on this machine, or None if its release has to be downloaded.

    `data_dir` comes first; if it names a repository on the Hub ("ns/name", "ns/name@revision",
    "hf://datasets/ns/name"), the dataset is downloaded from there. Then the folder that the environment variable
    MEDIMETA_DATA names is searched: its subfolder or archive named after the dataset or the dataset's source module
    (`derm7pt` serves both skinl_derm and skinl_photo), or the dataset's Parquet folder in it.

    Raises:
        SourceNotFound: If `data_dir` or MEDIMETA_DATA does not exist.
        DownloadFailed: If `data_dir` names a repository, and the Hub cannot be reached.
        UnknownName: If the dataset does not exist.
    """
    card = DATASETS[dataset]
    if data_dir is not None:
        if (named := repository(data_dir)) is not None:
            return fetch(named, dataset)
        path = _home_of("data_dir", data_dir)
        if not path.exists():
            raise SourceNotFound(
                f"{path} does not exist. Give (--source, data_dir=) the folder that holds {', '.join(card.archives)}, "
                f"packed or unpacked, a release of {dataset}, a Hub folder, or a repository on the Hub (ns/name)."
            )
        return path
    if not (variable := os.environ.get(DATA_VARIABLE)):
        return None
    home = _home_of(DATA_VARIABLE, variable)
    if not home.is_dir():
        raise SourceNotFound(f"{DATA_VARIABLE}={variable} is not a folder. Set it to a folder of datasets by id.")
    names = [f"{name}{suffix}" for name in (dataset, card.builder) for suffix in ("", ".zip", *SUFFIXES)]
    return next((home / name for name in names if (home / name).exists()), None)


def _home_of(what: str, given: str | os.PathLike[str]) -> Path:
    """Return a path given by the user as an absolute one.

    Raises:
        SourceNotFound: If it is empty, or names the home of a user who does not exist.
    """
    if not os.fspath(given).strip():
        raise SourceNotFound(f"{what} is empty. Give a folder or an archive, or leave it out.")
    try:
        return Path(given).expanduser().absolute()
    except RuntimeError as error:
        raise SourceNotFound(f"{what} {given} does not exist: {error} Give the path in full.") from None


def where_to_get(card: DatasetCard) -> str:
    """Say where to get a dataset's archives and how to build it."""
    lines = []
    for source in card.sources:
        lines += [f"  {page}" for page in (source.url, *source.links)]
        lines += [f"    {archive}" for archive in source.archives]
    return "\n".join(
        [
            f"Get the archives of {card.id} from their source:",
            *lines,
            "Put them into one folder, packed or unpacked, and run:",
            f"  medimeta build {card.id} --source FOLDER",
        ]
    )


def open_source(dataset: str, location: Path, options: Options | None = None) -> Source:
    """Open the source at a place, recognised by its content.

    Args:
        dataset: Id of the dataset.
        location: A folder or zip archive that exists.
        options: How to read it.
    """
    options = options or Options()
    if location.is_dir() and _is_hub(location, dataset):
        return HubSource(dataset, location, options)
    listing = _listing(location)
    if any(listing(f"{prefix}annotations.csv") and listing(f"{prefix}info.yaml") for prefix in (f"{dataset}/", "")):
        return ReleaseSource(dataset, location, options)
    return RawSource(dataset, location, options)


def _is_hub(location: Path, dataset: str) -> bool:
    return any(
        SHARD.fullmatch(path.name)
        for folder in (location / dataset, location)
        if folder.is_dir()
        for path in folder.glob("*.parquet")
    )


def _listing(location: Path) -> Callable[[str], bool]:
    if location.is_dir():
        return lambda name: (location / name).exists()
    if location.is_file() and zipfile.is_zipfile(location):  # a pipe would never end
        return set(ZipFiles(location).names()).__contains__
    return lambda name: False
