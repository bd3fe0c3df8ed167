"""Predictions of a protocol for clean and corrupted test images, from one fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...cards.facts import Task
from .data import Encoded
from .protocols.supervised import Notes, answer

Corrupted = tuple[str, int]  # corruption and severity


class Answers:
    """Predictions of a protocol for the clean test split and all its corruptions, computed together on first use.

    Args:
        task: The task.
        encoded: The dataset of the task.
        protocol: "probe", "knn" or "prototype".
        corrupted: The corruptions to predict.
    """

    def __init__(self, task: Task, encoded: Encoded, protocol: str, corrupted: Sequence[Corrupted]) -> None:
        self._task, self._encoded, self._protocol, self.corrupted = task, encoded, protocol, corrupted
        self._scores: dict[Corrupted | None, np.ndarray] = {}
        self._notes: Notes = {}

    def to(self, corruption: Corrupted | None) -> tuple[np.ndarray, Notes]:
        """Return the probabilities of the test split, and the chosen settings; see `protocols.supervised.answer`.

        Args:
            corruption: Corruption and severity; None for clean images.
        """
        if corruption not in self._scores:
            train, validation, test = (self._encoded.part(self._task, s) for s in ("train", "validation", "test"))
            keys: list[Corrupted | None] = [None, *self.corrupted]
            asked = [test.features, *(self._encoded.corrupted(*one) for one in self.corrupted)]
            scores, self._notes = answer(self._protocol, self._task, train, validation, torch.cat(asked))
            self._scores = dict(zip(keys, np.split(scores, len(keys)), strict=True))
        return self._scores[corruption], self._notes
