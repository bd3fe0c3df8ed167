"""The `datasets` builder: one config per dataset, one column per task.

`datasets` lists all names of the module that holds a builder, so this module holds nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets.config

from ..cards.catalogue import DATASETS
from ..cards.facts import SPLITS, DatasetCard, split_name
from ..errors import MedIMetaError, UnknownName, unknown
from ..files.remote.transfer import shown
from ..files.stamp import stamp
from .hub.folder import HubSource
from .hub.tables import tables
from .keys import PIPELINE, cache_key
from .locate import find_local, open_source
from .registration import NAME, check_version
from .release.checks import check_size
from .release.download import BASE_URL, RELEASE_VARIABLE, download_release
from .rows import batches, features, rows_per_group, splits_of, to_table
from .source import Options, Source

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


check_version()
CACHE_KEY = f"pipeline{PIPELINE}"
OPTIONS = tuple(option.name for option in fields(Options))


@dataclass
class MedIMetaConfig(datasets.BuilderConfig):
    """One dataset and how to read it.

    Attributes:
        labels: "released" (default) keeps the published labels, including errors; "corrected" applies the corrections
            listed in the catalogue.
        partial: Accept a raw source with other images than published. The published algorithm, including the splits,
            is applied to the available files.
        splits_from: A release folder, zip or annotations.csv; its splits are used.
        with_masks: Add mask columns and boxes, if the dataset has them.
        checksums: A list of checksums, with which every file of a raw source is compared.
        size: Height and width of the images in pixels, 28 to 1024, rendered from raw archives. By default 224, as
            published, or the size of the Hub folder that is read.
    """

    labels: str = "released"
    partial: bool = False
    splits_from: str | None = None
    with_masks: bool = False
    checksums: str | None = None
    size: int | None = None

    @property
    def options(self) -> Options:
        """The options of `builders.source`."""
        given = {name: getattr(self, name) for name in OPTIONS}
        return Options(**given)

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None) -> str:
        """Return the name of the cached rows: the dataset and its `cache_key`."""
        options = self.options  # an unknown kind of labels raises here, before any work
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

    config: MedIMetaConfig
    BUILDER_CONFIG_CLASS = MedIMetaConfig
    BUILDER_CONFIGS = _Configs(list)
    builder_configs: Any = _Configs(lambda configs: {config.name: config for config in configs})
    DEFAULT_WRITER_BATCH_SIZE = 100

    def _create_builder_config(self, config_name: str | None = None, **more: Any) -> Any:
        """Check names first: `datasets` names neither similar ones nor the valid options."""
        if config_name is None or config_name == "default":
            raise UnknownName(
                f'Which dataset? Give its id, e.g. load_dataset("{NAME}", "bus"). The ids: {", ".join(DATASETS)}.'
            )
        known = DATASETS[config_name].id
        for option in more:
            if option not in (*OPTIONS, "data_dir", "data_files", "custom_features", "config_id"):
                raise unknown("option", option, OPTIONS, hint=f"See: medimeta info {known}")
        return super()._create_builder_config(known, **more)

    @property
    def card(self) -> DatasetCard:
        """The card of the dataset that this builder reads."""
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
        """Return the splits of a download; those of a source on this machine are known only when it is read."""
        if self.config.partial or find_local(self.config.name, self.config.data_dir) is not None:
            return None
        splits = datasets.SplitDict(dataset_name=NAME)
        for name, rows in self.card.splits.counts.items():
            splits.add(datasets.SplitInfo(name, num_examples=rows, dataset_name=NAME))
        return splits

    def source(self, cache_dir: str | os.PathLike[str] | None = None, *, force: bool = False) -> Source:
        """Find the dataset on this machine, or download the published release.

        Args:
            cache_dir: Where downloads go; the cache of `datasets` by default.
            force: Download again.

        Raises:
            SourceNotFound: If neither `data_dir`, MEDIMETA_DATA nor the release's address has it.
            MedIMetaError: If another size than 224 is asked for, and only the release has the dataset.
        """
        location = find_local(self.config.name, self.config.data_dir)
        if location is None:
            check_size(self.card, self.config.size)
            location = download_release(
                self.config.name,
                cache_dir=Path(cache_dir or datasets.config.DOWNLOADED_DATASETS_PATH),
                force=force,
            )
        return open_source(self.config.name, location, self.config.options)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        download = dl_manager.download_config
        source = self.source(download.cache_dir, force=bool(download.force_download))
        manifest = source.places() if isinstance(source, HubSource) else source.manifest()
        if dl_manager.is_streaming:  # a cache is in the published order, whatever the source; a stream cannot look back
            manifest = source.reading_order(manifest)
        rows = rows_per_group(source.side)
        return [
            # `datasets` shares lists among its processes: a batch of rows is the unit.
            datasets.SplitGenerator(name=split, gen_kwargs={"source": source, "rows": batches(manifest, split, rows)})
            for split in splits_of(manifest)
        ]

    def _generate_tables(self, source: Source, rows: list[pd.DataFrame]) -> Iterator[tuple[int, pa.Table]]:
        if isinstance(source, HubSource):
            yield from enumerate(tables(source, rows))
        else:
            yield from enumerate(to_table(source, batch) for batch in rows)

    def _prepare_split_single(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        # In the process that renders: the cause of an error does not survive the way back from a worker.
        try:
            with _own_errors():
                yield from super()._prepare_split_single(*args, **kwargs)
        except MedIMetaError as error:
            # Where Dask is loaded, tblib pickles causes with their frames, which may hold what cannot be pickled.
            error.__cause__ = error.__context__ = None
            raise

    def download_and_prepare(self, *args: Any, **kwargs: Any) -> None:
        """Prepare the cache as `datasets` does, but raise a MedIMetaError as it is, not inside another error."""
        with _own_errors():
            super().download_and_prepare(*args, **kwargs)

    def as_dataset(self, split: Any = None, **kwargs: Any) -> Any:
        """Return the rows as `datasets` does; a split may also be called "val"."""
        return super().as_dataset(split=full_names(split), **kwargs)

    def as_streaming_dataset(self, split: Any = None, **kwargs: Any) -> Any:
        """Return a stream of rows as `datasets` does; a split may also be called "val"."""
        split = full_names(split)
        if isinstance(split, list):
            return [self.as_streaming_dataset(one, **kwargs) for one in split]
        if "[" in str(split):
            raise UnknownName(f"A stream reads whole splits, not {split}. Take rows from it: stream.take(100).")
        return super().as_streaming_dataset(split=split, **kwargs)


def full_names(split: Any) -> Any:
    """Replace "val" by "validation" in a split, an expression of splits, or a list of them.

    Raises:
        UnknownName: If the split does not exist.
    """
    if isinstance(split, list | tuple):
        return [full_names(one) for one in split]
    if split is None or isinstance(split, datasets.ReadInstruction):
        return split
    if not isinstance(split, str):
        raise unknown("split", split, SPLITS, hint="Give one, a list of them, or an expression such as train[:10%].")
    for name in re.findall(r"(?:^|\+)\s*(\w+)", split):
        if name != "all":
            split_name(name)
    return re.sub(r"\bval\b", split_name("val"), split)


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise the MedIMetaError that another error hides: `datasets` wraps what goes wrong while it generates rows."""
    try:
        yield
    except MedIMetaError:
        raise
    except Exception as error:
        hidden: BaseException | None = error
        while hidden is not None and not isinstance(hidden, MedIMetaError):
            hidden = hidden.__cause__ or hidden.__context__
        if hidden is None:
            raise
        raise hidden from None
