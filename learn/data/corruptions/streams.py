"""Random numbers that belong to an image; they do not depend on batch, order, process or machine.

The key of an image's stream is a hash of its dataset, its published number and the name of the corruption. It does not
depend on the severity: marks and noise of a higher severity are those of a lower one, more or stronger. The generator
is Philox 4x64-10 (see `learn.data.draws`), of which only the raw words are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

Stream = np.random.Philox


def streams(dataset: str, indices: Iterable[int], name: str) -> list[Stream]:
    """Return the stream of each image for one corruption.

    Args:
        dataset: Id of the dataset.
        indices: The published numbers of the images.
        name: Name of the corruption.
    """
    keys = (hashlib.blake2b(f"{name} {dataset} {index}".encode(), digest_size=16) for index in indices)
    return [np.random.Philox(key=int.from_bytes(key.digest(), "little")) for key in keys]


def words(stream: Stream, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Draw uniform 16-bit words, 0 to 65,535.

    Args:
        stream: The stream of an image.
        shape: Shape of the result.
    """
    count = int(np.prod(shape))
    raw = stream.random_raw(-(-count // 4)).astype("<u8", copy=False)
    return raw.view("<u2")[:count].reshape(shape).astype(np.uint16, copy=False)


def fractions(stream: Stream) -> Iterator[float]:
    """Yield random numbers, uniform in [0, 1), without end."""
    while True:
        yield from (stream.random_raw(64) >> np.uint64(11)) / float(1 << 53)
