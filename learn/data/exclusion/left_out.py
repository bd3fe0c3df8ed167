"""The rows of a split that a view leaves out: because they leak, or because of their quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from . import quality
from .copies import LedgerLike, excluded


@dataclass(frozen=True)
class LeftOut:
    """The rows to leave out; an instance without any is false.

    Attributes:
        indices: Values of the column `index` of rows that leak.
        paths: Original paths of rows with a quality flag.
    """

    indices: tuple[int, ...] = ()
    paths: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, dataset: str, split: str, ledger: LedgerLike, flags: Sequence[str], data_dir: Any, options: dict[str, Any]
    ) -> LeftOut:
        """Return the rows that a view leaves out; the arguments are those of `load_task`.

        Raises:
            UnknownName: If the flag does not exist, or the ledger does not cover the dataset.
            MedIMetaError: If no ledger or flags ship for the dataset.
        """
        return cls(
            tuple(excluded(ledger, dataset, split, data_dir=data_dir, **options)), quality.flagged(dataset, flags)
        )

    def __bool__(self) -> bool:
        return bool(self.indices or self.paths)

    def kept(self, table: pa.Table) -> np.ndarray:
        """Return which rows stay: bool, shape (N,).

        Args:
            table: Rows with `index` and `original_filepath`.
        """
        stays = ~np.isin(table["index"].to_numpy(), self.indices)
        if self.paths:
            stays &= np.array([path not in self.paths for path in table["original_filepath"].to_pylist()], bool)
        return stays
