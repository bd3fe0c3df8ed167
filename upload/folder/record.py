"""Build records (`records/<id>/build.json`): how the Parquet files of a dataset were built, and from what.

They are not next to the Parquet files, since libraries that read whole folders (pandas, Polars, pyarrow) stop at other
files. Before version 0.3 they were, and folders of that layout are still read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...builders.images import SIDE, SIDES
from ...builders.shard_files import open_shard, shards
from ...cards.catalogue import DATASETS
from ...cards.facts import DatasetCard
from ...errors import MedIMetaError
from ...files.json_values import read_as

RECORDS = "records"
RECORD = "build.json"
_PATTERNS = (f"{RECORDS}/*/{RECORD}", f"*/{RECORD}")
Membership = Literal["source", "computed", "recomputed", "release"]


@dataclass(frozen=True)
class BuildRecord:
    """Build record of one dataset in a Hub folder.

    Attributes:
        dataset: Its id.
        medimeta: Version of this project.
        labels: "released" or "corrected".
        masks: Whether there are mask columns.
        source: "raw", "release" or "hub".
        membership: Where the splits come from: "source" (the source's own), "computed" (the published algorithm on
            exactly the published rows), "recomputed" (the published algorithm on other rows or in another order, so
            that membership differs from the release) or "release" (taken over from it).
        rows: Rows per split.
        source_files: Number of files in the source.
        source_bytes: Their size.
        version: Version of the dataset, from its card.
        order: Order of the rows in each split, see `builders.table.order`. Before version 0.3 it was "published".
        paths_sha256: Hash of the original file paths, for builds with all rows; see `builders.table.completeness`.
        labels_sha256: Hash of released splits and labels, for builds with all rows and released labels.
        size: Height and width of the images, in pixels.
    """

    dataset: str
    medimeta: str
    labels: Literal["released", "corrected"]
    masks: bool
    source: Literal["raw", "release", "hub"]
    membership: Membership
    rows: dict[str, int]
    source_files: int
    source_bytes: int
    version: str = ""
    order: Literal["shuffled", "published"] = "published"
    paths_sha256: str | None = None
    labels_sha256: str | None = None
    size: int = SIDE

    def __post_init__(self) -> None:
        if self.size not in SIDES:
            raise ValueError(f"size is {self.size}; it must be {SIDES[0]} to {SIDES[-1]:,}")

    @property
    def card(self) -> DatasetCard:
        """The dataset's facts."""
        return DATASETS[self.dataset]

    @property
    def partial(self) -> bool:
        """Whether there are other numbers of rows than published."""
        return self.rows != dict(self.card.splits.counts)

    def dumps(self) -> str:
        """As JSON, the same bytes for the same record."""
        return json.dumps(asdict(self), indent=2) + "\n"


def there(folder: Path) -> list[str]:
    """Names of the datasets that were built in a Hub folder, half-built ones included, in alphabetical order.

    Folders of Parquet files without a build record and with another name are ignored.
    """
    built = {path.parent.name for pattern in _PATTERNS for path in folder.glob(pattern)}
    rows = {path.parent.name for path in folder.glob("*/*.parquet")}
    return sorted(name for name in built | (rows & set(DATASETS)) if not name.startswith("."))


def dataset_folders(folder: Path) -> dict[str, Path]:
    """The folders of a Hub folder whose datasets have a build record, by name, in alphabetical order."""
    names = {path.parent.name for pattern in _PATTERNS for path in folder.glob(pattern)}
    return {name: folder / name for name in sorted(names) if (folder / name).is_dir()}


def record_path(folder: Path, dataset: str) -> Path:
    """Return the path of a dataset's build record in a Hub folder; in the old layout only if it is there."""
    old = folder / dataset / RECORD
    new = folder / RECORDS / dataset / RECORD
    return old if old.is_file() and not new.is_file() else new


def read_records(folder: Path) -> list[BuildRecord]:
    """Read the records of all datasets in a Hub folder, in alphabetical order.

    Raises:
        MedIMetaError: If a record cannot be read.
    """
    return [read_record(record_path(folder, name)) for name in dataset_folders(folder)]


def read_record(path: Path, dataset: str | None = None) -> BuildRecord:
    """Read one build record.

    Args:
        path: The file.
        dataset: Id of the dataset that it should be of; by default the name of its folder.

    Raises:
        MedIMetaError: If it cannot be read.
    """
    try:
        record = read_as(BuildRecord, path, "build record of this version")
    except MedIMetaError as error:
        hub = path.parent.parent.parent if path.parent.parent.name == RECORDS else path.parent.parent
        raise MedIMetaError(
            f"{error}\nBuild it again: medimeta build {path.parent.name} --out {hub}", code=error.code
        ) from None
    if record.dataset != (dataset or path.parent.name) or record.dataset not in DATASETS:
        raise MedIMetaError(
            f"{path} is of the dataset {record.dataset!r}. The folder of a dataset has its id as name: see medimeta "
            "list, and name or build it again.",
            code="invalid-file",
        )
    return record


def split_sizes(folder: Path) -> dict[str, dict[str, Any]]:
    """Return rows and bytes of each split in a dataset's folder, from the footers of the shards.

    Returns:
        Per split: `num_examples`, `num_bytes` (uncompressed) and `download_size` (on disk).
    """
    sizes = {}
    for split, paths in shards(folder).items():
        footers = []
        for path in paths:
            with open_shard(path) as file:
                footers.append(file.metadata)
        groups = [footer.row_group(i) for footer in footers for i in range(footer.num_row_groups)]
        sizes[split] = {
            "num_examples": sum(footer.num_rows for footer in footers),
            "num_bytes": sum(group.total_byte_size for group in groups),
            "download_size": sum(path.stat().st_size for path in paths),
        }
    return sizes
