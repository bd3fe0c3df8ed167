"""The `datasets` builder: one config per dataset, one column per task.

`datasets` takes every name of the module that holds a builder, so this one holds nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets

from ..cards.catalogue import DATASETS
from ..cards.facts import DatasetCard, split_name
from ..files.stamp import stamp
from ..files.transfer import shown
from .keys import PIPELINE, cache_key
from .locate import find_local, open_source
from .registration import NAME
from .release.download import BASE_URL, RELEASE_VARIABLE, download_release
from .rows import batches, features, splits_of, to_table
from .source import Options, Source

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


CACHE_KEY = f"pipeline{PIPELINE}"


@dataclass
class MedIMetaConfig(datasets.BuilderConfig):
    """One dataset and how to read it.

    Attributes:
        labels: "released" (default) keeps the published labels, errors included; "corrected" applies the corrections
            that the catalogue lists.
        partial: Accept a raw source with fewer rows than published; the published algorithm, splits included, is
            applied to the rows that are there.
        splits_from: A release folder, zip or annotations.csv whose split membership is applied.
        with_masks: Add mask columns and boxes where the dataset has them.
    """

    labels: str = "released"
    partial: bool = False
    splits_from: str | None = None
    with_masks: bool = False

    @property
    def options(self) -> Options:
        """The same as the builders' options."""
        return Options(self.labels, self.partial, self.splits_from, self.with_masks)  # type: ignore[arg-type]

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None) -> str:
        """Return the name of the cached rows: the dataset and its `cache_key`."""
        options = self.options  # an unknown kind of labels is an error here, before any work
        if (location := find_local(self.name, self.data_dir)) is not None:
            source = stamp(location)
        else:
            source = shown(os.environ.get(RELEASE_VARIABLE, BASE_URL))  # never with credentials
        key = {"key": cache_key(DATASETS[self.name], options, source)}
        return str(super().create_config_id(key, custom_features=custom_features))


class _Configs:
    """A class attribute with one config per dataset, read from the catalogue each time: datasets may be added."""

    def __init__(self, form: Callable[[Iterable[MedIMetaConfig]], Any]) -> None:
        self._form = form

    def __get__(self, builder: Any, owner: Any) -> Any:
        return self._form(
            MedIMetaConfig(name=card.id, version=datasets.Version(card.version), description=card.summary)
            for card in DATASETS.values()
        )


class MedIMeta(datasets.ArrowBasedBuilder):
    """The `datasets` builder: one config per dataset, one column per task."""

    BUILDER_CONFIG_CLASS = MedIMetaConfig
    BUILDER_CONFIGS = _Configs(list)
    builder_configs = _Configs(lambda configs: {config.name: config for config in configs})
    DEFAULT_WRITER_BATCH_SIZE = 100

    @property
    def card(self) -> DatasetCard:
        """The facts of the dataset that this builder reads."""
        return DATASETS[self.config.name]

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=self.card.summary,
            features=features(self.card, self.config.options),
            homepage=self.card.sources[0].url,
            license=self.card.licence.id,
            citation="\n\n".join(entry.strip() for source in self.card.sources for entry in source.bibtex),
            splits=self._published_splits(),
        )

    def _published_splits(self) -> datasets.SplitDict | None:
        """The splits of a download, known before it; a source on this machine, or a partial one, tells its own."""
        if self.config.partial or find_local(self.config.name, self.config.data_dir) is not None:
            return None
        splits = datasets.SplitDict(dataset_name=NAME)
        for name, rows in self.card.splits.counts.items():
            splits.add(datasets.SplitInfo(name, num_examples=rows, dataset_name=NAME))
        return splits

    def source(self, cache_dir: str | os.PathLike[str] | None = None) -> Source:
        """Find the dataset on this machine, or download the published release.

        Args:
            cache_dir: Where downloads go; the cache of `datasets` by default.

        Raises:
            SourceNotFound: If neither `data_dir`, MEDIMETA_DATA nor the release's address has it.
        """
        location = find_local(self.config.name, self.config.data_dir)
        if location is None:
            location = download_release(
                self.config.name, cache_dir=Path(cache_dir or datasets.config.DOWNLOADED_DATASETS_PATH)
            )
        return open_source(self.config.name, location, self.config.options)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        source = self.source(dl_manager.download_config.cache_dir)
        manifest = source.manifest()
        return [
            # `datasets` shares lists among its processes: a batch of rows is the unit.
            datasets.SplitGenerator(name=split, gen_kwargs={"source": source, "rows": batches(manifest, split)})
            for split in splits_of(manifest)
        ]

    def _generate_tables(self, source: Source, rows: list[pd.DataFrame]) -> Iterator[tuple[int, pa.Table]]:
        for number, batch in enumerate(rows):
            yield number, to_table(source, batch)

    def as_dataset(self, split: Any = None, **kwargs: Any) -> Any:
        """As in `datasets`; a split may also be called "val"."""
        return super().as_dataset(split=_full_names(split), **kwargs)

    def as_streaming_dataset(self, split: Any = None, **kwargs: Any) -> Any:
        """As in `datasets`; a split may also be called "val"."""
        return super().as_streaming_dataset(split=_full_names(split), **kwargs)


def load_dataset(
    dataset: str,
    *,
    split: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    streaming: bool = False,
    num_proc: int | None = None,
    cache_dir: str | None = None,
    download_mode: str | None = None,
    **options: Any,
) -> Any:
    """Load one of the datasets; the same as `datasets.load_dataset("medimeta", dataset, ...)`.

    Args:
        dataset: Its id, e.g. "crc"; `medimeta.DATASETS` lists them.
        split: "train", "validation" (or "val"), "test", or an expression such as "train[:10%]+test"; all by default.
        data_dir: A raw source, a release folder or zip, or a Hub folder, recognised by content. Without it the data
            are looked for under MEDIMETA_DATA, then downloaded.
        streaming: Read rows as they are asked for, without preparing a cache.
        num_proc: Processes that prepare the cache.
        cache_dir: Cache folder, that of `datasets` by default.
        download_mode: As in `datasets`, e.g. "force_redownload".
        **options: The fields of `MedIMetaConfig`.

    Returns:
        A `Dataset` or `IterableDataset` for one split, or a dict of them.

    Raises:
        UnknownName: If there is no such dataset, split or option.
        SourceNotFound: If there are no data.
    """
    known = DATASETS[dataset].id
    split = _full_names(split)  # a wrong name is an error here, before any work
    builder = MedIMeta(
        config_name=known,
        dataset_name=NAME,
        hash=CACHE_KEY,
        cache_dir=cache_dir,
        data_dir=None if data_dir is None else os.fspath(data_dir),
        **options,
    )
    if streaming:
        return builder.as_streaming_dataset(split=split)
    builder.download_and_prepare(download_mode=download_mode, num_proc=num_proc)
    return builder.as_dataset(split=split)


def _full_names(split: Any) -> Any:
    """A split or an expression of some, with "val" as "validation"; other names are an error."""
    if not isinstance(split, str):
        return split
    for name in re.findall(r"(?:^|\+)\s*(\w+)", split):
        if name != "all":
            split_name(name)
    return re.sub(r"\bval\b", split_name("val"), split)
