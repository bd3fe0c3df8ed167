"""Whether the axes of a volume are those that boxes around its organs were drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = "xyz"
SAMPLES = 128  # per axis, at least
FITS = 0.75  # of the smaller overlap over the larger extent; a structure fits its box from here on
WORSE = 0.6  # share of the best fit below which the axes as they are do not fit

Ends = tuple[int, int]


def other_axes(mask: NDArray[Any], box: Sequence[int]) -> str:
    """How the axes would have to be turned for a structure to fill its box.

    Nothing is said unless the structure fills the box well on other axes, and badly on these: boxes that were drawn
    loosely, or that are wrong, are not taken for turned axes.

    Args:
        mask: A volume that is not zero inside the structure.
        box: x0, x1, y0, y1, z0, z1 of the structure, both ends inside.

    Returns:
        The axes in the order and direction that fit, such as "-x, y, z"; "" if these fit, or none do.
    """
    extents = _extents(mask)
    ends = [(box[2 * axis], box[2 * axis + 1]) for axis in range(3)]
    if extents is None:
        return ""
    fits = {}
    for order, mirrored in product(permutations(range(3)), product((False, True), repeat=3)):
        turned = [_turned(extents[axis], mask.shape[axis], mirrored[place]) for place, axis in enumerate(order)]
        fits[order, mirrored] = min(_overlap(one, other) for one, other in zip(turned, ends, strict=True))
    (order, mirrored), best = max(fits.items(), key=lambda item: item[1])
    if best < FITS or fits[(0, 1, 2), (False, False, False)] > WORSE * best:
        return ""
    return ", ".join(f"{'-' if turned else ''}{NAMES[axis]}" for axis, turned in zip(order, mirrored, strict=True))


def _extents(mask: NDArray[Any]) -> list[Ends] | None:
    """First and last index of what is not zero, along each axis; None if all is zero. Large volumes are sampled."""
    steps = [max(1, size // SAMPLES) for size in mask.shape]
    sampled = np.asarray(mask[tuple(slice(None, None, step) for step in steps)]) > 0
    if not sampled.any():
        return None
    found = []
    for axis, step in enumerate(steps):
        indices = np.flatnonzero(sampled.any(axis=tuple({0, 1, 2} - {axis})))
        found.append((int(indices[0]) * step, int(indices[-1]) * step))
    return found


def _turned(ends: Ends, size: int, mirrored: bool) -> Ends:
    return (size - 1 - ends[1], size - 1 - ends[0]) if mirrored else ends


def _overlap(one: Ends, other: Ends) -> float:
    """Overlap of two intervals over what they cover together."""
    shared = min(one[1], other[1]) - max(one[0], other[0]) + 1
    return max(0, shared) / (max(one[1], other[1]) - min(one[0], other[0]) + 1)
