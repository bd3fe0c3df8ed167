"""A dataset repository on the Hub as a source: its files are downloaded into the cache of the Hub's client."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ...errors import DownloadFailed, PushFailed, SourceNotFound
from ...files.remote.network import offline_variable
from ...files.remote.retry import clean, patiently

TRIES = 3  # the client itself retries each file
_NAME = r"[\w][\w.-]*"
_SHORT = re.compile(rf"(?P<repo>{_NAME}/{_NAME})(@(?P<revision>\S+))?")
_LONG = re.compile(rf"hf:/{{1,2}}datasets/(?P<repo>{_NAME}/{_NAME})(@(?P<revision>[^\s@]+))?/?")  # Path joins slashes


class Repository(NamedTuple):
    """A dataset repository.

    Attributes:
        repo: Its name, "<namespace>/<name>".
        revision: A branch, tag or commit; None for `main`.
    """

    repo: str
    revision: str | None

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"


def repository(place: str | os.PathLike[str]) -> Repository | None:
    """Return the repository that "ns/name", "ns/name@revision" or "hf://datasets/ns/name[@revision]" names, or None.

    A file or folder of the same name comes first, except for "hf://".
    """
    text = os.fspath(place)
    if (match := _LONG.fullmatch(text)) is None:
        match = None if os.path.exists(text) else _SHORT.fullmatch(text)  # noqa: PTH110  never raises
    return None if match is None else Repository(match["repo"], match["revision"])


def hub_folder(place: str | os.PathLike[str]) -> Path:
    """Return a Hub folder that is named by its path or by its repository, which is then downloaded.

    Raises:
        SourceNotFound, DownloadFailed: As for `fetch`.
    """
    named = repository(place)
    return Path(place) if named is None else fetch(named)


@lru_cache
def fetch(place: Repository, dataset: str | None = None) -> Path:
    """Download the files of a dataset, unless they are in the cache, and return the folder of the snapshot.

    A branch is looked up once per process.

    Args:
        place: The repository.
        dataset: Id of the dataset; None for the whole repository.

    Raises:
        SourceNotFound: If the repository, revision or dataset does not exist, or it may not be read.
        DownloadFailed: If the Hub cannot be reached, and the cache does not have the files.
    """
    wanted = None if dataset is None else [f"{dataset}/*.parquet", f"records/{dataset}/*", "README.md"]
    known = (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError, HFValidationError)
    try:
        folder = patiently(
            lambda: snapshot_download(
                place.repo, repo_type="dataset", revision=place.revision, allow_patterns=wanted, token=None
            ),
            known,
            tries=TRIES,
        )
    except LocalEntryNotFoundError as error:
        offline = f" {offline_variable()} is set." if constants.HF_HUB_OFFLINE else ""
        raise DownloadFailed(
            f"{place} is not in the cache, nor a folder in {Path.cwd()}, and the Hub cannot be reached.{offline}"
        ) from error
    except GatedRepoError as error:
        raise SourceNotFound(
            f"{place} asks readers for consent. Ask for access at {constants.ENDPOINT}/datasets/{place.repo}, and log "
            "in: hf auth login, or HF_TOKEN."
        ) from error
    except RevisionNotFoundError as error:
        raise SourceNotFound(
            f"{place.repo} has no branch, tag or commit {place.revision}. See its tags at "
            f"{constants.ENDPOINT}/datasets/{place.repo}, or leave it out."
        ) from error
    except known as error:
        raise SourceNotFound(
            f"{place} is neither a folder nor a dataset repository that you may read. Check the name; a private "
            "repository needs a token (hf auth login, or HF_TOKEN)."
        ) from error
    except PushFailed as error:
        raise DownloadFailed(f"{place} cannot be downloaded: {clean(str(error))}") from None
    if dataset is not None and not Path(folder, dataset).is_dir():
        raise SourceNotFound(
            f"{place} holds no dataset {dataset}. Its datasets are listed at "
            f"{constants.ENDPOINT}/datasets/{place.repo}."
        )
    return Path(folder)
