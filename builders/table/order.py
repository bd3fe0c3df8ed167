"""Order of the rows in a built folder: random within each split, and the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, get_args

import pandas as pd

from ...cards.facts import DatasetCard
from ...errors import unknown

Order = Literal["shuffled", "published"]
ORDERS: tuple[Order, ...] = get_args(Order)


def in_order(rows: pd.DataFrame, card: DatasetCard, order: Order) -> pd.DataFrame:
    """Return the rows of a manifest in the order in which they are stored.

    Args:
        rows: The manifest.
        card: The dataset's facts.
        order: "published" sorts by `index`, which keeps the rows of a class together in most datasets. "shuffled" sorts
            by a hash of each row's identity, so the rows before any point are a random sample of their split, and a row
            that is added or removed does not change the order of the others.

    Raises:
        UnknownName: If the order does not exist.
    """
    if order not in ORDERS:
        raise unknown("order", order, ORDERS, hint="Give order= (--order) one of them.")
    published = rows.sort_values("index", kind="stable")
    if order == "published":
        return published
    keys = pd.Series(list(_keys(published, card)), index=published.index)
    return published.loc[keys.sort_values(kind="stable").index]


def _keys(rows: pd.DataFrame, card: DatasetCard) -> Iterable[str]:
    """Yield a hash of dataset, major version, original path, and the row's number among those of the same path.

    A new major version gives a new permutation. A volume has several rows, hence the number.
    """
    major = card.version.partition(".")[0]
    numbers = rows.groupby("original_filepath", sort=False).cumcount()
    for path, number in zip(rows["original_filepath"], numbers, strict=True):
        text = f"{card.id}\0{major}\0{path}\0{number}"
        yield hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
