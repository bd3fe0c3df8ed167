"""The card of a Hub folder as files: `README.md`, `LICENSE.md`, `croissant.json` and the pictures in `assets/`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from ...builders.balance import labels_of
from ...builders.hub import HubSource, shards
from ...cards.card import LICENCES, Config, Contents, label_names, render_card, render_licences
from ...cards.croissant import render_croissant
from ...cards.facts import DatasetCard
from ...cards.pictures import COLUMNS, Panel, balance_chart, montage
from ...errors import MedIMetaError, some
from ...files.atomic import whole_file
from .record import RECORD, BuildRecord, dataset_folders, read_record, split_sizes

CARD = "README.md"
CROISSANT = "croissant.json"
ASSETS = "assets"
PICTURES = ("montage", "balance")
_ROWS = 10_000  # read at a time


class NotAHubFolder(MedIMetaError):
    """The output folder holds something else."""


@dataclass(frozen=True)
class _Place:
    """Where an image lies: the shard, its row there, and its number."""

    shard: str
    shard_row: int
    index: int


def write_card(folder: Path, version: str) -> Path:
    """Write README.md, and what goes with it, from the catalogue and the shards in the folder.

    The same shards give the same files, byte for byte.

    Args:
        folder: A Hub folder.
        version: Version of this project.

    Returns:
        The path of README.md.

    Raises:
        NotAHubFolder: If there is no dataset in it.
    """
    folders = dataset_folders(folder)
    if not folders:
        raise NotAHubFolder(f"{folder} holds no dataset that was built. Build one: medimeta build bus --out {folder}")
    install(card_files(folders, version), folder)
    return folder / CARD


def card_files(folders: Mapping[str, Path], version: str) -> dict[str, bytes]:
    """Render the card of some datasets.

    Args:
        folders: The folder of each dataset, with its build record.
        version: Version of this project.

    Returns:
        The content of each file by its path in the Hub folder, README.md last.
    """
    configs: list[Config] = []
    files: dict[str, bytes] = {}
    for _, own in sorted(folders.items()):
        config, pictures = illustrated(own, read_record(own / RECORD))
        configs.append(config)
        files |= pictures
    texts = {CROISSANT: render_croissant, LICENCES: render_licences, CARD: render_card}
    return files | {name: render(configs, version).encode() for name, render in texts.items()}


def install(files: Mapping[str, bytes], folder: Path) -> None:
    """Write what `card_files` rendered, and delete the pictures of datasets that are no longer there."""
    for name, data in files.items():
        with whole_file(folder / name) as partial:
            partial.write_bytes(data)
    for kind in PICTURES:
        for path in (folder / ASSETS).glob(f"*-{kind}.png"):
            if f"{ASSETS}/{path.name}" not in files:
                path.unlink()


def illustrated(own: Path, record: BuildRecord) -> tuple[Config, dict[str, bytes]]:
    """Return what the card says of one dataset, and its pictures by their paths in the Hub folder.

    Args:
        own: The dataset's folder.
        record: How it was built.
    """
    card = record.card
    columns, sizes = _features(own, card), split_sizes(own)
    contents, examples = _read(own, card)
    chart, example_images = (f"{ASSETS}/{card.id}-{kind}.png" for kind in ("balance", "montage"))
    config = Config(
        card,
        columns,
        sizes,
        record.labels,
        record.membership,
        contents=contents,
        source=record.source,
        source_files=record.source_files,
        source_bytes=record.source_bytes,
        masks=record.masks,
        version=record.medimeta,
        dataset_version=record.version,
        chart=chart,
        montage=example_images if card.licence.redistribution else None,
    )
    panels = [Panel(f"{task.name} ({task.kind})", config.balance(task)) for task in card.tasks]
    totals = {split: size["num_examples"] for split, size in sizes.items()}
    pictures = {chart: balance_chart(panels, totals)}
    if config.montage is not None:
        pictures[config.montage] = montage(_images(own, card, examples))
    return config, pictures


def _features(own: Path, card: DatasetCard) -> dict[str, Any]:
    first = next(iter(shards(own).values()))[0]
    columns: dict[str, Any] = json.loads(pq.read_schema(first).metadata[b"huggingface"])["info"]["features"]
    lacking = [name for name in (*(task.column for task in card.tasks), "subject_id", "index") if name not in columns]
    if lacking:
        raise MedIMetaError(
            f"{first} lacks the column(s) {some(lacking)}: another version built it. Build it again: "
            f"medimeta build {card.id} --out {own.parent}"
        )
    return columns


def _read(own: Path, card: DatasetCard) -> tuple[Contents, dict[str, list[_Place]]]:
    """Count labels and subjects, and note the first images of each label of the main task, in one pass."""
    splits = list(shards(own))
    counts = {t.column: {name: dict.fromkeys(splits, 0) for name in label_names(t)} for t in card.tasks}
    subjects: dict[str, set[str]] = {split: set() for split in splits}
    examples: dict[str, dict[str, _Place]] = {name: {} for name in label_names(card.tasks[0])[:-1]}
    nameless = 0
    for split, place, row in _rows(own, [*counts, "subject_id", "index"]):
        subject = row["subject_id"]
        if subject is None:
            nameless += 1
        else:
            subjects[split].add(subject)
        for task in card.tasks:
            for name in labels_of(row[task.column], task):
                counts[task.column][name][split] += 1
                if task.is_main and name in examples and len(examples[name]) < COLUMNS:
                    examples[name].setdefault(subject or f"image {place.index}", place)
    in_splits = Counter(subject for found in subjects.values() for subject in found)
    shared = sum(n > 1 for n in in_splits.values())
    return (
        Contents(counts, {split: len(found) for split, found in subjects.items()}, shared, nameless),
        {name: list(places.values()) for name, places in examples.items()},
    )


def _rows(own: Path, columns: Sequence[str]) -> Iterator[tuple[str, _Place, Mapping[str, Any]]]:
    for split, paths in shards(own).items():
        for path in paths:
            with pq.ParquetFile(path) as file:
                position = 0
                for batch in file.iter_batches(_ROWS, columns=columns):
                    for row in batch.to_pylist():
                        yield split, _Place(str(path), position, row["index"]), row
                        position += 1


def _images(own: Path, card: DatasetCard, examples: Mapping[str, Sequence[_Place]]) -> list[tuple[str, list[bytes]]]:
    """The encoded example images of each label that has any."""
    wanted = {place.index: place for places in examples.values() for place in places}
    rows = pd.DataFrame([vars(place) for place in wanted.values()])
    found = dict(zip(rows["index"], HubSource(card.id, own).encode(rows), strict=True))
    return [(name, [found[place.index]["image"] for place in places]) for name, places in examples.items() if places]
