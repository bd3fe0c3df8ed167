"""Random numbers that are the same on every machine, in every process and with every version of NumPy.

The methods of `numpy.random.Generator` may draw differently from one version of NumPy to the next (NEP 19), but the
output of a bit generator may not. So this module uses only the bit generator Philox 4x64-10 (J. K. Salmon et al.,
"Parallel random numbers: as easy as 1, 2, 3", SC 2011), seeded by `numpy.random.SeedSequence(seed, spawn_key=numbers)`,
and Python integer arithmetic on its 64-bit words.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...errors import MedIMetaError

_WORDS = 1 << 64
_BLOCK = 256

Positions = NDArray[np.int64]  # positions of rows in a split or a view


class Draws:
    """A stream of random numbers.

    Args:
        seed: 0 or more, of any size.
        *numbers: Numbers that select one of the seed's streams, e.g. the number of an episode; each 0 or more. Streams
            with different numbers are independent.

    Raises:
        MedIMetaError: If the seed is negative.
    """

    def __init__(self, seed: int, *numbers: int) -> None:
        if seed < 0:
            raise MedIMetaError(f"The seed is {seed}; it must be 0 or more.")
        self._bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=numbers))
        self._words: list[int] = []

    def below(self, bound: int) -> int:
        """Return a uniform random integer in [0, bound), by rejection sampling.

        Args:
            bound: 1 to 2**64.
        """
        limit = _WORDS - _WORDS % bound  # a multiple of `bound`: words below it give every remainder equally often
        while True:
            if not self._words:
                self._words = self._bits.random_raw(_BLOCK).tolist()[::-1]
            if (word := self._words.pop()) < limit:
                return word % bound

    def walk(self, count: int) -> Iterator[int]:
        """Yield the numbers from 0 to `count - 1` in uniformly random order, drawing only as many as are read.

        This is the Fisher-Yates shuffle (Knuth, TAOCP 2, 3.4.2, algorithm P); it stores only the places it changed.
        """
        moved: dict[int, int] = {}
        for place in range(count):
            chosen = place + self.below(count - place)
            yield moved.get(chosen, chosen)
            moved[chosen] = moved.pop(place, place)

    def order(self, count: int) -> Positions:
        """Return a uniformly random permutation of the numbers from 0 to `count - 1`, sorted by one random word each.

        Returns:
            int64, shape (count,).
        """
        return np.argsort(self._bits.random_raw(count), kind="stable").astype(np.int64)
