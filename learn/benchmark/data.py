"""The data of one dataset in a benchmark: its splits, and their features once something needs them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets

from ...builders.loading import load_dataset
from ...cards.facts import SPLITS, Task
from ...files.json_values import canonical
from ..encoders.encoder import Encoder
from ..encoders.features import features_of, pixels_of
from ..episodes.rows import fingerprint, labels_and_subjects
from .protocols import Part

WHOLE = "+".join(SPLITS)


class Encoded:
    """All splits of a dataset, and their features by one encoder, which are computed when they are first asked for.

    Args:
        encoder: The encoder.
        dataset: Id of the dataset.
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        batch_size: Images per pass.
        announce: Called with the id of the dataset before its features are read or computed.
        **options: Further arguments of `medimeta.load_dataset`.

    Attributes:
        encoder: The encoder.
        rows: The rows of each split, with all columns.
    """

    def __init__(
        self,
        encoder: Encoder,
        dataset: str,
        data_dir: str | os.PathLike[str] | None,
        batch_size: int | None,
        announce: Callable[[str], object] = lambda dataset: None,
        **options: Any,
    ) -> None:
        self.encoder = encoder
        self._announce = announce
        self._dataset, self._batch_size = dataset, batch_size
        loaded = load_dataset(dataset, data_dir=data_dir, **options)
        self.rows: dict[str, Dataset] = {split: loaded[split] for split in SPLITS}

    @cached_property
    def whole(self) -> Dataset:
        """The rows of all splits, in the order of `SPLITS`."""
        return concatenate_datasets(list(self.rows.values()))

    @cached_property
    def features(self) -> dict[str, torch.Tensor]:
        """The features of each split, float32, shape (N, width), on the encoder's device."""
        self._announce(self._dataset)
        return {
            split: torch.from_numpy(
                np.array(features_of(self.encoder, rows, self._dataset, split, batch_size=self._batch_size))
            ).to(self.encoder.device)
            for split, rows in self.rows.items()
        }

    @cached_property
    def whole_features(self) -> torch.Tensor:
        """The features of `whole`, on the CPU, where small problems are solved faster."""
        return torch.cat([self.features[split] for split in SPLITS]).cpu()

    def part(self, task: Task, split: str) -> Part:
        """Return a split as protocols take it."""
        return Part(self.features[split], labels_and_subjects(self.rows[split], task)[0])

    def sha256(self, task: Task) -> str:
        """Return a hash of the pixels, labels, subjects and files of all splits; nothing is encoded."""
        parts = {split: [self._pixels[split], fingerprint(rows, task)] for split, rows in self.rows.items()}
        return hashlib.sha256(canonical(parts)).hexdigest()

    @cached_property
    def _pixels(self) -> dict[str, str]:
        return {split: pixels_of(rows).path.stem for split, rows in self.rows.items()}
