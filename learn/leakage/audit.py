"""Audit datasets for leaks: images and subjects that occur more than once, within and across splits and datasets.

Three kinds of leaks are found: exact duplicates (the same pixels), near duplicates (the same image recompressed,
brightened, resized or shifted by a pixel) and shared subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ...builders.hub.repository import hub_folder
from ...builders.locate import find_local, open_source
from ...builders.rows import batched
from ...builders.shard_files import shards
from ...builders.source import Options, Source
from ...cards.catalogue import DATASETS
from ...cards.facts import SPLITS, DatasetCard, Task
from ...errors import MedIMetaError, SourceBroken, SourceNotFound
from ...files.json_values import canonical
from ...files.parallel import ordered_map
from ...files.unreadable import UNREADABLE_IMAGE
from ..data.exclusion.ledger import KINDS, SCHEMA, Ledger, leaked_indices
from .hashes import Hashes, difference, fingerprint, near_groups

__all__ = ["KINDS", "Ledger", "audit", "find_sources", "leaked_indices"]

DISTANCE = 7  # default
MAX_DISTANCE = 16


def audit(
    sources: Sequence[Source],
    *,
    distance: int = DISTANCE,
    executor: Executor | None = None,
    workers: int = 1,
    expect: Callable[[int], None] = lambda rows: None,
    advance: Callable[[int], None] = lambda rows: None,
) -> Ledger:
    """Return the ledger of images and subjects that occur more than once, in one dataset or in several.

    Subjects are compared within each dataset, and between datasets whose `subject_overlaps` name each other; elsewhere
    equal ids mean nothing. Rotated, mirrored and cropped copies are not found.

    The default distance was chosen on 334 real images. Copies of them that were saved as JPEG of quality 50, halved in
    size, blurred, shifted by one pixel, brightened by 20 levels or given 1.2 times the contrast are found in 99 of 100
    cases at distance 7 (shifted by two pixels: in 55); at 4, a third of those shifted by one pixel are missed. Of the
    15,711 pairs of different images, one differs by less than 12.6: two frames of one breast scan, by 6.4. Images of
    one layout limit the distance at scale: among 112,120 images drawn like 48 real chest x-rays (a normal distribution
    with their mean and covariance), distance 6 groups 25 images falsely, 7 about 300, and 8 more than 2,000, half of
    them in one group.

    Args:
        sources: Different datasets, in the order in which their images are listed.
        distance: Largest difference of near duplicates, in 64ths of the bits compared, 0 to 16; see `hashes`.
        executor: Executor that reads images; None reads them in this process. The ledger is the same.
        workers: Number of workers of the executor, which bounds the work in flight.
        expect: Called with the number of images of each source.
        advance: Called with the number of images read since the last call.

    Raises:
        MedIMetaError: If the distance is out of range, or a dataset is given twice.
        SourceIncomplete, SourceBroken: If a source lacks files or holds damaged ones.
    """
    if not 0 <= distance <= MAX_DISTANCE:
        raise MedIMetaError(
            f"The distance is {distance}; it must be from 0 (equal) to {MAX_DISTANCE}. The default is {DISTANCE}."
        )
    ids = [source.card.id for source in sources]
    if twice := sorted({dataset for dataset in ids if ids.count(dataset) > 1}):
        raise MedIMetaError(f"{', '.join(twice)} is given more than once; every image would be its own duplicate.")
    work = []
    for source in sources:
        manifest = source.manifest()
        expect(len(manifest))
        work += [(source, batch) for batch in batched(source.reading_order(manifest))]
    fingerprints = []
    for batch_fingerprints in ordered_map(_fingerprints, work, executor, window=4 * workers):
        fingerprints.append(batch_fingerprints)
        advance(len(batch_fingerprints[0]))
    rows = pd.concat([_listed(source.card, batch) for source, batch in work], ignore_index=True)
    order = np.lexsort([rows["index"], rows["split"].map(SPLITS.index), rows["dataset"].map(ids.index)])
    rows = rows.iloc[order].reset_index(drop=True)
    digests = np.array([digest for digests, _ in fingerprints for digest in digests], dtype=object)
    pixels = pd.factorize(digests[order])[0]
    hashes = np.concatenate([bits for _, bits in fingerprints])[order]
    groups = {"exact": pixels, "near": _near(hashes, pixels, distance), "subject": _subjects(rows)}
    sizes = rows.groupby(["dataset", "split"]).size()
    images = {name: {s: int(sizes[name, s]) for s in SPLITS if (name, s) in sizes.index} for name in ids}
    return Ledger(_table(rows, groups, hashes, {"distance": distance, "images": images}))


def find_sources(places: Sequence[str], options: Options | None = None) -> list[Source]:
    """Open the sources that the command line names.

    Args:
        places: Hub folders, for all datasets in them, or "ID=PATH" for one dataset from any kind of source.
        options: Options for reading the sources.

    Raises:
        SourceNotFound: If a place holds no source.
    """
    sources: list[Source] = []
    for place in places:
        dataset, equals, path = place.partition("=")
        if equals and dataset in DATASETS:
            sources.append(open_source(dataset, find_local(dataset, path) or Path(path), options))
            continue
        folder = hub_folder(place).expanduser()
        built = [dataset for dataset in DATASETS if shards(folder / dataset)]
        if not built:
            raise SourceNotFound(
                f"{folder} is not a Hub folder with datasets. Give one, or ID=PATH for the raw archives or the release "
                "of one dataset (with --partial if it is incomplete)."
            )
        sources += [open_source(dataset, folder, options) for dataset in built]
    return sources


def _fingerprints(work: tuple[Source, pd.DataFrame]) -> tuple[list[bytes], Hashes]:
    source, rows = work
    digests, hashes = [], []
    for index, item in zip(rows["index"], source.encode(rows), strict=True):
        try:
            pixels, bits = fingerprint(item["image"])
        except UNREADABLE_IMAGE as error:
            raise SourceBroken(
                f"Image {index} of {source.card.id} in {source.location} cannot be decoded ({error}). Build or "
                "download it again."
            ) from error
        digests.append(pixels)
        hashes.append(bits)
    return digests, np.stack(hashes)


def _listed(card: DatasetCard, batch: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of rows that a ledger holds, with the names of their labels."""
    rows = batch[["index", "split", "original_filepath", "subject_id"]].assign(dataset=card.id)
    for task in card.tasks:
        if task.column in batch:
            rows[task.column] = pd.Series(
                [_names(task, cell) for cell in batch[task.column]], batch.index, dtype=object
            )
    return rows


def _names(task: Task, cell: Any) -> str | None:
    if isinstance(cell, list | tuple | np.ndarray):
        return ", ".join(task.labels[int(label)] for label in cell)
    return None if pd.isna(cell) else task.labels[int(cell)]


def _near(hashes: Hashes, pixels: NDArray[np.intp], distance: int) -> NDArray[np.intp]:
    """Return a group number per image of near duplicates; -1 where a group holds only exact duplicates."""
    groups = near_groups(hashes, distance)
    distinct = np.bincount(np.unique(np.stack([groups, pixels]), axis=1)[0], minlength=len(groups))
    return np.where(distinct[groups] > 1, groups, -1)


def _subjects(rows: pd.DataFrame) -> NDArray[np.intp]:
    """Return a number per subject; -1 where it is unknown."""
    # Overlaps are listed on both sides, so datasets with common subjects agree on the first of them.
    namespace = {d: min(d, *(o.dataset for o in DATASETS[d].subject_overlaps)) for d in rows["dataset"].unique()}
    keys = rows["dataset"].map(namespace) + " " + rows["subject_id"].astype(str)
    return pd.factorize(keys.where(rows["subject_id"].notna(), None))[0]


def _table(
    rows: pd.DataFrame, groups: Mapping[str, NDArray[np.intp]], hashes: Hashes, about: Mapping[str, Any]
) -> pa.Table:
    parts, done = [], 0
    labels_of = [name for name in rows if name not in SCHEMA.names]
    schema = pa.schema([*SCHEMA, *((name, pa.string()) for name in labels_of)])
    for kind, labels in groups.items():
        sizes = np.bincount(labels + 1)
        members = np.flatnonzero((labels >= 0) & (sizes[labels + 1] > 1))
        numbers = pd.factorize(labels[members])[0]  # by first member
        order = np.argsort(numbers, kind="stable")
        members, numbers = members[order], numbers[order]
        first = members[np.searchsorted(numbers, numbers)]
        distances = None if kind == "subject" else difference(hashes[members], hashes[first])
        part = rows.iloc[members].assign(kind=kind, group=numbers + done, distance=distances)
        parts.append(pa.Table.from_pandas(part[schema.names], schema, preserve_index=False))
        done += len(set(numbers.tolist()))
    return pa.concat_tables(parts).replace_schema_metadata({"medimeta": canonical(about)})
