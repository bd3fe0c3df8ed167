"""The card of a Hub folder as files: `README.md`, `LICENSE.md`, `croissant.json`, `eval.yaml` and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from ...builders.hub.folder import HubSource
from ...builders.source import Options
from ...builders.table.balance import labels_of
from ...cards.benchmark import BENCHMARK, render_benchmark
from ...cards.card import LICENCES, Config, Contents, label_names, render_card, render_licences
from ...cards.config_entries import Foreign
from ...cards.croissant import render_croissant
from ...cards.facts import DatasetCard
from ...cards.pictures import COLUMNS, Panel, balance_chart, montage
from ...errors import MedIMetaError
from ...files.atomic import whole_file
from .question_files import entries
from .record import BuildRecord, dataset_folders, read_record, record_path, split_sizes
from .shards import stored_features

CARD = "README.md"
CROISSANT = "croissant.json"
ASSETS = "assets"
OUTDATED = ".card-outdated"  # in a Hub folder while its datasets are newer than its card
PICTURES = ("montage", "balance")


class NotAHubFolder(MedIMetaError):
    """The output folder holds something else."""


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
    built = {name: (own, read_record(record_path(folder, name), name)) for name, own in folders.items()}
    install(card_files(built, version, entries(folder)), folder)
    return folder / CARD


def card_files(
    built: Mapping[str, tuple[Path, BuildRecord]], version: str, questions: Foreign | None = None
) -> dict[str, bytes]:
    """Render the card of some datasets.

    Args:
        built: Folder and build record of each dataset.
        version: Version of this project.
        questions: Entries of the question configs, see `question_files.entries`.

    Returns:
        The content of each file by its path in the Hub folder, README.md last.
    """
    configs: list[Config] = []
    files: dict[str, bytes] = {}
    for _, (own, record) in sorted(built.items()):
        config, pictures = illustrated(own, record)
        configs.append(config)
        files |= pictures
    texts: dict[str, Callable[[list[Config], str], str]] = {
        CROISSANT: render_croissant,
        BENCHMARK: render_benchmark,
        LICENCES: render_licences,
        CARD: lambda configs, version: render_card(configs, version, questions),
    }
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
    (folder / OUTDATED).unlink(missing_ok=True)


def illustrated(own: Path, record: BuildRecord) -> tuple[Config, dict[str, bytes]]:
    """Return what the card says of one dataset, and its pictures by their paths in the Hub folder.

    Args:
        own: The dataset's folder.
        record: How it was built.
    """
    card = record.card
    source = HubSource(card.id, own, Options(labels=record.labels, with_masks=record.masks))
    contents, examples = _count(source.stored(), card)
    sizes = split_sizes(own)
    chart, example_images = (f"{ASSETS}/{card.id}-{kind}.png" for kind in ("balance", "montage"))
    config = Config(
        card,
        stored_features(source.features),
        sizes,
        record.labels,
        record.membership,
        contents=contents,
        source=record.source,
        source_files=record.source_files,
        source_bytes=record.source_bytes,
        masks=record.masks,
        version=record.medimeta,
        size=record.size,
        dataset_version=record.version,
        chart=chart,
        montage=example_images if card.licence.redistribution else None,
    )
    panels = [Panel(f"{task.name} ({task.kind})", config.balance(task)) for task in card.tasks]
    totals = {split: size["num_examples"] for split, size in sizes.items()}
    pictures = {chart: balance_chart(panels, totals)}
    if config.montage is not None:
        pictures[config.montage] = montage(_images(source, examples))
    return config, pictures


def _count(rows: pd.DataFrame, card: DatasetCard) -> tuple[Contents, dict[str, pd.DataFrame]]:
    """Count labels and subjects, and choose the first images of each label of the main task, of different subjects."""
    splits = list(dict.fromkeys(rows["split"]))
    columns = {task: [labels_of(value, task) for value in rows[task.column]] for task in card.tasks}
    counts = {}
    for task, labels in columns.items():
        counts[task.column] = {name: dict.fromkeys(splits, 0) for name in label_names(task)}
        for split, names in zip(rows["split"], labels, strict=True):
            for name in names:
                counts[task.column][name][split] += 1
    named = rows[rows["subject_id"].notna()]
    in_splits = named.groupby("subject_id")["split"].nunique()
    per_split = named.groupby("split")["subject_id"].nunique()
    main = next(task for task in card.tasks if task.is_main)
    rows = rows.assign(person=rows["subject_id"].fillna(rows["index"].map("image {}".format)))
    examples = {}
    for name in label_names(main)[:-1]:
        of_label = rows[[name in names for names in columns[main]]]
        examples[name] = of_label.drop_duplicates("person").head(COLUMNS)
    return (
        Contents(
            counts,
            {split: int(per_split.get(split, 0)) for split in splits},
            int((in_splits > 1).sum()),
            len(rows) - len(named),
        ),
        {name: places for name, places in examples.items() if len(places)},
    )


def _images(source: HubSource, examples: Mapping[str, pd.DataFrame]) -> list[tuple[str, list[bytes]]]:
    """Return the encoded example images of each label."""
    return [(name, [row["image"] for row in source.encode(places)]) for name, places in examples.items()]
