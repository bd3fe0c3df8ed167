"""Where a command reads a dataset from; a release is only downloaded with `--release`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SourceNotFound
from .console import print_text

if TYPE_CHECKING:
    from ...builders.dataset import MedIMeta
    from ...cards.facts import DatasetCard


def check_source(
    card: DatasetCard, source: Path | None, *, release: bool, command: str, downloaded: bool = True
) -> None:
    """Check that a dataset can be read without a download, or that the user has asked for one.

    Args:
        card: The dataset.
        source: Where the user says it is.
        release: Whether the release may be downloaded.
        command: The command, for messages.
        downloaded: Whether a release that was downloaded before counts as a source.

    Raises:
        SourceNotFound: If no source is found and `release` is False.
    """
    from ...builders.locate import find_local, where_to_get

    if release or find_local(card.id, source) is not None or (downloaded and _is_downloaded(card.id)):
        return
    raise SourceNotFound(
        f"There is no source of {card.id}: neither --source nor MEDIMETA_DATA names one.\n{where_to_get(card)}\n"
        f"Or download the published release: medimeta {command} {card.id} --release\n"
        f"How large it is: medimeta download {card.id} --dry-run"
    )


def chosen_ids(ids: Sequence[str]) -> list[str]:
    """Return the ids of datasets without repetition; "all" stands for all of them.

    Raises:
        UnknownName: If the dataset does not exist.
    """
    from ...cards.catalogue import DATASETS

    return list(dict.fromkeys(name for given in ids for name in (DATASETS if given == "all" else [DATASETS[given].id])))


def with_source(ids: Sequence[str], source: Path | None, *, release: bool) -> tuple[list[str], Path | None]:
    """Return the ids of datasets to build, and where their source is.

    "all" stands for the datasets with a source; the others are named. The source is then a folder of sources by id,
    like MEDIMETA_DATA.

    Args:
        ids: Ids, or "all".
        source: Where the user says the source is.
        release: Whether releases may be downloaded, so that every dataset has a source.

    Raises:
        UnknownName: If the dataset does not exist.
        SourceNotFound: If no dataset has a source.
    """
    from ...builders.locate import DATA_VARIABLE, find_local

    names = chosen_ids(ids)
    if "all" not in ids:
        return names, source
    if source is not None:
        os.environ[DATA_VARIABLE] = str(source)
    there = [name for name in names if release or find_local(name) is not None]
    if not there:
        raise SourceNotFound(
            "There is no source of any dataset. Put sources into folders named by id below one folder, and name that "
            f"with --source or {DATA_VARIABLE}; where to get them: medimeta info ID"
        )
    if missing := [name for name in names if name not in there]:
        print_text(f"Not built, because there is no source: {', '.join(missing)}")
    return there, None


def _is_downloaded(dataset: str) -> bool:
    import datasets.config

    from ...builders.release.download import cached_release

    return cached_release(dataset, cache_dir=datasets.config.DOWNLOADED_DATASETS_PATH).is_file()


def open_builder(
    card: DatasetCard, source: Path | None, *, release: bool, command: str, options: dict[str, Any]
) -> MedIMeta:
    """Return the reader of a dataset.

    Args:
        card: The dataset.
        source: Where the user says it is.
        release: Whether the release may be downloaded.
        command: The command, for messages.
        options: Fields of `MedIMetaConfig`.

    Raises:
        SourceNotFound: As for `check_source`.
    """
    from ...builders.dataset import MedIMeta

    check_source(card, source, release=release, command=command, downloaded=False)
    return MedIMeta(config_name=card.id, data_dir=None if source is None else str(source), **options)
