"""Random numbers that are the same on every machine, in every process and with every version of NumPy.

The methods of `numpy.random.Generator` may draw differently from one version of NumPy to the next (NEP 19); the words
of a bit generator do not. So only those are taken here: Philox 4x64-10 (J. K. Salmon et al., "Parallel random numbers:
as easy as 1, 2, 3", SC 2011), seeded by `numpy.random.SeedSequence(seed, spawn_key=numbers)`. What is made of the words
is integer arithmetic without a width of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...errors import MedIMetaError

_WORDS = 1 << 64
_BLOCK = 256

Positions = NDArray[np.int64]


class Draws:
    """One stream of random numbers.

    Args:
        seed: Zero or more, of any size.
        *numbers: Which of the seed's streams, e.g. the number of an episode; zero or more each. Streams with different
            numbers are independent.

    Raises:
        MedIMetaError: If the seed is negative.
    """

    def __init__(self, seed: int, *numbers: int) -> None:
        if seed < 0:
            raise MedIMetaError(f"The seed is {seed}; it must be 0 or more.")
        self._bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=numbers))
        self._words: list[int] = []

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound - 1`, all equally likely: the next word that leaves no remainder uneven.

        Args:
            bound: 1 to 2**64.
        """
        even = _WORDS - _WORDS % bound
        while True:
            if not self._words:
                self._words = self._bits.random_raw(_BLOCK).tolist()[::-1]
            if (word := self._words.pop()) < even:
                return word % bound

    def walk(self, count: int) -> Iterator[int]:
        """The numbers from 0 to `count - 1` in random order, each order equally likely; only as far as it is read.

        The shuffle of Fisher and Yates (Knuth, TAOCP 2, 3.4.2, algorithm P) that remembers just the places it changed.
        """
        moved: dict[int, int] = {}
        for place in range(count):
            chosen = place + self.below(count - place)
            yield moved.get(chosen, chosen)
            moved[chosen] = moved.pop(place, place)

    def order(self, count: int) -> Positions:
        """All numbers from 0 to `count - 1` in random order at once: sorted by a word each.

        Returns:
            int64, shape (count,).
        """
        return np.argsort(self._bits.random_raw(count), kind="stable").astype(np.int64)
