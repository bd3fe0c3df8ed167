"""The files of a release: some datasets of a Hub folder, and a card that also covers the other datasets on the Hub.

What the card says about a dataset is stored next to its build record, as `records/<id>/card.json`. A later push
of other datasets reads it and writes one card for all of them, without reading rows of datasets that it does not push.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from ...builders.shard_files import shards
from ...cards.benchmark import render_benchmark
from ...cards.card import Config, Contents, render_card, render_licences
from ...cards.catalogue import DATASETS
from ...cards.config_entries import Foreign
from ...cards.croissant import render_croissant
from ...errors import MedIMetaError
from ...files.atomic import mirror
from ..folder.card_files import ASSETS, CARD, illustrated
from ..folder.question_files import configs_in, entries
from ..folder.record import RECORD, RECORDS, BuildRecord, read_records, record_path
from .plan import CARD_FILES, CARD_RECORD, LocalFile


class Release:
    """Some datasets of a Hub folder, ready to be sent. The folder itself is only read.

    Args:
        folder: The Hub folder.
        datasets: Ids of its datasets that are published.
        version: Version of this project, for the card.
        workshop: An empty folder for the card, and for links to the datasets; must outlive the release.
    """

    def __init__(self, folder: Path, datasets: Iterable[str], version: str, workshop: Path) -> None:
        self.folder, self.datasets, self.version = folder.absolute(), sorted(datasets), version
        self._place, self._to_check = workshop / "release", workshop / "to_check"
        self._link(self._place, self.datasets)
        (self._place / ASSETS).mkdir()
        self._covered: tuple[Mapping[str, Config], Foreign] | None = (
            None  # the other datasets and entries in the card that was written last
        )

    @cached_property
    def records(self) -> list[BuildRecord]:
        """Build records of the datasets."""
        return read_records(self._place)

    @cached_property
    def questions(self) -> Foreign:
        """Entries of the question configs of the datasets, for the front matter."""
        return entries(self._place)

    @cached_property
    def cards(self) -> dict[str, Config]:
        """Sections of the card by dataset; reading them takes labels and a few images."""
        configs = {}
        for record in self.records:
            configs[record.dataset], pictures = illustrated(self._place / record.dataset, record)
            for path, data in pictures.items():
                (self._place / path).write_bytes(data)
        return configs

    def data(self, advance: Callable[[int], None] = lambda size: None) -> dict[str, LocalFile]:
        """Return build records and shards by their paths on the Hub.

        Args:
            advance: Called with the number of bytes of each file that was read.
        """
        paths = {}
        for name in self.datasets:
            paths[f"{RECORDS}/{name}/{RECORD}"] = record_path(self.folder, name)
            own = shards(self.folder / name)
            paths |= {f"{name}/{path.name}": path for split in own.values() for path in split}
            for config in configs_in(self.folder, name):
                asked = shards(self.folder / config.name)
                paths |= {f"{config.name}/{path.name}": path for split in asked.values() for path in split}
        files = {}
        with ThreadPoolExecutor() as executor:
            for path, file in zip(paths, executor.map(LocalFile.read, paths.values()), strict=True):
                files[path] = file
                advance(file.size)
        return files

    def card(self, others: Mapping[str, Config], foreign: Foreign, repo: str) -> dict[str, LocalFile]:
        """Return the files of the card by their paths on the Hub.

        Args:
            others: Sections of other datasets, whose pictures are on the Hub.
            foreign: Entries of the front matter for all configs that are not datasets.
            repo: Name of the repository.
        """
        if (others, foreign) != self._covered:
            configs = [config for _, config in sorted({**self.cards, **others}.items())]
            texts = (
                render_card(configs, self.version, foreign, repo),
                render_licences(configs, self.version),
                render_croissant(configs, self.version),
                render_benchmark(configs, self.version),
            )
            for name, text in zip(CARD_FILES, texts, strict=True):
                (self._place / name).write_bytes(text.encode())
            self._covered = dict(others), foreign
        files = {name: self._place / name for name in CARD_FILES}
        for name, config in self.cards.items():
            files |= {picture: self._place / picture for picture in (config.chart, config.montage) if picture}
            files[f"{RECORDS}/{name}/{CARD_RECORD}"] = kept = self._place / f"{name}.json"
            kept.write_text(dump(config), encoding="utf-8")
        return {path: LocalFile.read(source) for path, source in files.items()}

    def to_check(self, datasets: Iterable[str]) -> Path:
        """Return a Hub folder with only some of the datasets and the folder's own card; may be called once."""
        self._link(self._to_check, datasets)
        shutil.copyfile(self.folder / CARD, self._to_check / CARD)
        return self._to_check

    def _link(self, place: Path, datasets: Iterable[str]) -> None:
        place.mkdir()
        for name in datasets:
            record = place / RECORDS / name / RECORD
            record.parent.mkdir(parents=True)
            shutil.copyfile(record_path(self.folder, name), record)
            for folder in (name, *(config.name for config in configs_in(self.folder, name))):
                try:
                    (place / folder).symlink_to(self.folder / folder, target_is_directory=True)
                except OSError:  # Windows without the permission to create links
                    mirror(self.folder / folder, place / folder, leave_out=frozenset())


def dump(config: Config) -> str:
    """Encode the card's section of a dataset as JSON, without the facts of the catalogue."""
    facts = asdict(config)
    del facts["card"]
    return json.dumps(facts, indent=1) + "\n"


def load(dataset: str, text: bytes) -> Config:
    """Read what `dump` wrote.

    Raises:
        MedIMetaError: If another version wrote it, in another form.
    """
    try:
        facts = json.loads(text)
        contents = Contents(**facts.pop("contents"))
        return Config(DATASETS[dataset], contents=contents, **facts)
    except (ValueError, TypeError, LookupError) as error:
        raise MedIMetaError(
            f"{CARD_RECORD} of {dataset} on the Hub is of another version ({error}). Push {dataset} again together "
            f"with these datasets, or take it away with --remove {dataset}."
        ) from error
