"""The answers of a protocol to clean and to corrupted test images, from one fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ...cards.facts import Task
from .data import Encoded
from .protocols.supervised import Notes, answer

Corrupted = tuple[str, int]  # corruption and severity


class Answers:
    """Fits when it is first asked; then clean images, and with the first corruption all of them, are answered at once.

    Args:
        task: The task.
        encoded: Its dataset.
        protocol: "probe", "knn" or "prototype".
        corrupted: The corruptions to answer.
    """

    def __init__(self, task: Task, encoded: Encoded, protocol: str, corrupted: Sequence[Corrupted]) -> None:
        self._task, self._encoded, self._protocol, self.corrupted = task, encoded, protocol, corrupted
        self._scores: dict[Corrupted | None, np.ndarray] = {}
        self._notes: Notes = {}

    def to(self, corruption: Corrupted | None) -> tuple[np.ndarray, Notes]:
        """Return the probabilities of the test split, and what was chosen; see `protocols.answer`.

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
