"""Quality flags: images in which a review or an audit found a fault, so that a view can leave them out.

`cards/quality/<id>.parquet` ships with this package. It has a row per image and flag, with the original path of the
image and the source of the claim. The flags are

* `duplicate`: another copy of the image is kept. Of each group of copies, the image in the last split is kept (test
  before validation before train), and of several in that split the one with the lowest index.
* `contradiction`: a copy of the image has another label, so that one of the labels is wrong.
* `wrong_modality`: the image was taken with another modality than that of the dataset.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ....cards import catalogue
from ....cards.facts import SPLITS
from ....errors import MedIMetaError, unknown
from ....files.atomic import whole_file
from ....files.outputs import check_output
from .ledger import Ledger

FOLDER = Path(catalogue.__file__).parent / "quality"
FLAGS = ("duplicate", "contradiction", "wrong_modality")
SCHEMA = pa.schema([(name, pa.string()) for name in ("original_filepath", "flag", "source", "note")])


@lru_cache(maxsize=32)
def flags(dataset: str) -> Mapping[str, tuple[str, ...]]:
    """Return the flags of each flagged image of a dataset, by original path; none if no flags ship for it.

    Args:
        dataset: Id of the dataset.
    """
    path = FOLDER / f"{dataset}.parquet"
    if not path.is_file():
        return {}
    rows = pq.read_table(path).to_pandas()
    return {str(file): tuple(sorted(set(given))) for file, given in rows.groupby("original_filepath")["flag"]}


def flagged(dataset: str, wanted: Collection[str]) -> frozenset[str]:
    """Return the original paths of the images that have one of some flags.

    Args:
        dataset: Id of the dataset.
        wanted: Some of `FLAGS`.

    Raises:
        UnknownName: If the flag does not exist.
        MedIMetaError: If no flags ship for the dataset.
    """
    wanted = (wanted,) if isinstance(wanted, str) else wanted
    for flag in wanted:
        if flag not in FLAGS:
            raise unknown("flag", flag, FLAGS, hint="See: docs/honest-numbers.md")
    if wanted and not flags(dataset):
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.parquet")))
        raise MedIMetaError(f"No quality flags of {dataset} ship with this package, only of {known}.")
    return frozenset(path for path, given in flags(dataset).items() if set(given) & set(wanted))


def of_ledger(ledger: Ledger, dataset: str, source: str) -> pa.Table:
    """Return the flags that follow from a ledger: duplicates and contradictions.

    Args:
        ledger: A ledger of an audit.
        dataset: Id of the dataset.
        source: Source of the claim, for the column `source`.

    Returns:
        The columns of `SCHEMA`, sorted by path and flag.
    """
    rows = ledger.rows
    rows = rows[(rows["dataset"] == dataset) & rows["kind"].isin(("exact", "near"))]
    late = [-SPLITS.index(split) for split in rows["split"]]
    rows = rows.assign(late=late).sort_values(["group", "late", "index"])
    flagged_rows: list[tuple[str, str, str, str]] = []
    for _, group in rows.groupby("group"):
        kept, *others = group.to_dict("records")
        how = "identical" if kept["kind"] == "exact" else "nearly identical"
        flagged_rows += [
            (one["original_filepath"], "duplicate", source, f"{how} to {kept['original_filepath']} ({kept['split']})")
            for one in others
        ]
    wrong = ledger.contradictions()
    for _, group in wrong[wrong["dataset"] == dataset].groupby("group"):
        for row in group.to_dict("records"):
            column = row["contradicts"].split(", ")[0]
            others = group[group["original_filepath"] != row["original_filepath"]]
            names = "; ".join(f"{o['original_filepath']} is {o[column]}" for o in others.to_dict("records"))
            flagged_rows.append((row["original_filepath"], "contradiction", source, f"labelled {row[column]}; {names}"))
    return _table(flagged_rows)


def write_flags(ledger: Ledger, folder: Path) -> None:
    """Write the flags that follow from a ledger as <id>.parquet, for each dataset that has some.

    Args:
        ledger: A ledger of an audit.
        folder: Where to write; created if needed.
    """
    for dataset in ledger.images:
        table = of_ledger(ledger, dataset, f"medimeta audit, distance {ledger.distance}")
        if len(table):
            check_output(folder / f"{dataset}.parquet", "Parquet")
            with whole_file(folder / f"{dataset}.parquet") as partial:
                pq.write_table(table, partial, compression="zstd")


def _table(rows: Sequence[tuple[str, str, str, str]]) -> pa.Table:
    frame = pd.DataFrame(sorted(set(rows)), columns=SCHEMA.names)
    return pa.Table.from_pandas(frame, SCHEMA, preserve_index=False)
