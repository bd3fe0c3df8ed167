"""`medimeta.load_dataset`: a dataset with all its columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..cards.catalogue import DATASETS
from ..cards.facts import DatasetCard
from ..errors import unknown
from .dataset import CACHE_KEY, OPTIONS, MedIMeta, full_names
from .registration import NAME


def load_dataset(
    dataset: str | DatasetCard,
    split: str | Sequence[str] | None = None,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    streaming: bool = False,
    num_proc: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    download_mode: str | None = None,
    **options: Any,
) -> Any:
    """Load a dataset; the same as `datasets.load_dataset("medimeta", dataset, ...)`.

    Args:
        dataset: Id of the dataset, e.g. "crc", or its card; `medimeta.DATASETS` lists them.
        split: "train", "validation" (or "val"), "test", an expression such as "train[:10%]+test", or a list of these;
            all splits by default.
        data_dir: A raw source, a release folder or zip, or a Hub folder, recognised by content, or a repository on the
            Hub: "ns/medimeta", with a revision "ns/medimeta@v1.0.0". By default the folder named by MEDIMETA_DATA is
            searched, then the release is downloaded.
        streaming: Read rows as they are requested, without preparing a cache.
        num_proc: Number of processes that prepare the cache.
        cache_dir: Cache folder; that of `datasets` by default.
        download_mode: As in `datasets`, e.g. "force_redownload".
        **options: The fields of `MedIMetaConfig`: labels, partial, splits_from, with_masks, checksums, size.

    Returns:
        A `Dataset` or `IterableDataset` for one split, a list for a list of splits, or a dict of all splits.

    Raises:
        UnknownName: If the dataset, split or option does not exist.
        SourceNotFound: If there are no data.
        SourceIncomplete: If the source has other images or labels than published, and `partial` is not set.
        SourceBroken: If a file of the source cannot be read.
        MedIMetaError: If the release or Hub folder has images of another size than `size`.
    """
    known = DATASETS[dataset].id
    split = full_names(split)  # a wrong name raises here, before any work
    for option in options:
        if option not in OPTIONS:
            call = f"datasets.load_dataset({NAME!r}, {known!r}, {option}=...)"
            raise unknown("option", option, _ARGUMENTS, hint=f"Options of `datasets` itself: {call}.")
    builder = MedIMeta(
        config_name=known,
        dataset_name=NAME,
        hash=CACHE_KEY,
        cache_dir=None if cache_dir is None else os.fspath(cache_dir),
        data_dir=None if data_dir is None else os.fspath(data_dir),
        **options,
    )
    if streaming:
        return builder.as_streaming_dataset(split=split)
    builder.download_and_prepare(download_mode=download_mode, num_proc=num_proc)
    return builder.as_dataset(split=split)


_ARGUMENTS = ("split", *(load_dataset.__kwdefaults__ or ()), *OPTIONS)
