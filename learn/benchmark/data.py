"""The data of one dataset in a benchmark: its splits, and their features, which are computed on first use."""

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
from ..data.corruptions.registry import corrupt
from ..data.exclusion.copies import excluded, shipped
from ..encoders.encoder import Encoder
from ..encoders.features import features_of, pixels_of
from ..episodes.rows import fingerprint, labels_and_subjects
from .protocols.supervised import Part

WHOLE = "+".join(SPLITS)
CORRUPTED = 64  # corrupted images per pass, if no batch size is given


class Encoded:
    """All splits of a dataset, and their features by one encoder, which are computed on first use.

    Args:
        encoder: The encoder.
        dataset: Id of the dataset.
        data_dir: Where the data are, as for `medimeta.load_dataset`.
        batch_size: Images per pass.
        exclude_leaks: Rows to leave out of training and validation, as for `Plan`.
        announce: Called with the id of the dataset before its features are read or computed.
        **options: Further arguments of `medimeta.load_dataset`.

    Attributes:
        encoder: The encoder.
        rows: The rows of each split, with all columns.
    """

    corruptible = True  # whether corruptions change the features of the encoder

    def __init__(
        self,
        encoder: Encoder,
        dataset: str,
        data_dir: str | os.PathLike[str] | None,
        batch_size: int | None,
        announce: Callable[[str], object] = lambda dataset: None,
        exclude_leaks: str | bool | None = None,
        **options: Any,
    ) -> None:
        self.encoder = encoder
        self._announce = announce
        self._dataset, self._batch_size = dataset, batch_size
        loaded = load_dataset(dataset, data_dir=data_dir, **options)
        self.rows: dict[str, Dataset] = {split: loaded[split] for split in SPLITS}
        ledger = None if exclude_leaks is True and shipped(dataset) is None else exclude_leaks
        self._leaked = {
            split: excluded(ledger, dataset, split, data_dir=data_dir, **options) for split in SPLITS if ledger
        }
        self._corrupted: dict[tuple[str, int], torch.Tensor] = {}

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
        """Return features and labels of a split, without the rows that leak."""
        labels = labels_and_subjects(self.rows[split], task)[0]
        if (kept := self._kept(split)) is None:
            return Part(self.features[split], labels)
        return Part(self.features[split][torch.from_numpy(kept).to(self.encoder.device)], labels[kept])

    def subjects(self, task: Task, split: str) -> list[str | None]:
        """Return the subjects of the rows of `part`."""
        subjects, kept = labels_and_subjects(self.rows[split], task)[1], self._kept(split)
        return subjects if kept is None else [subjects[row] for row in kept.tolist()]

    def corrupted(self, name: str, severity: int) -> torch.Tensor:
        """Return the features of the test split with a corruption; they are not stored."""
        if (name, severity) not in self._corrupted:
            rows = self.rows["test"]
            clean, numbers = pixels_of(rows), list(rows.with_format(None)["index"])
            parts = []
            size = self._batch_size or CORRUPTED
            for start in range(0, len(rows), size):
                part = range(start, min(start + size, len(rows)))
                images = corrupt(clean.take(part), self._dataset, name, severity, [numbers[row] for row in part])
                parts.append(self.encoder.images(images))
            features = torch.from_numpy(np.concatenate(parts)).to(self.encoder.device)
            self._corrupted[name, severity] = features
        return self._corrupted[name, severity]

    def _kept(self, split: str) -> np.ndarray | None:
        """Return the positions of the rows that do not leak; None for all."""
        if not self._leaked.get(split):
            return None
        numbers = self.rows[split].with_format("numpy")["index"][:]
        return np.flatnonzero(~np.isin(numbers, self._leaked[split]))

    def sha256(self, task: Task) -> str:
        """Return a hash of the pixels, labels, subjects and files of all splits; nothing is encoded."""
        parts = {split: [self._pixels[split], fingerprint(rows, task)] for split, rows in self.rows.items()}
        return hashlib.sha256(canonical(parts)).hexdigest()

    @cached_property
    def _pixels(self) -> dict[str, str]:
        return {split: pixels_of(rows).path.stem for split, rows in self.rows.items()}
