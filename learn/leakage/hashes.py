"""Fingerprints of images, and groups of near duplicates among many.

Images are near duplicates if their difference hashes agree (dHash: N. Krawetz, "Kind of Like That", hackerfactor.com,
2013). Each bit is 1 if a cell of the shrunken greyscale image is brighter than its left neighbour. Changes of
brightness, contrast and compression hardly affect it. Bits are computed at two scales. The usual 8x8 cells find
candidates quickly, but images with the same layout, such as chest x-rays of different patients, share many of those 64
bits; 24x24 cells distinguish them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...builders.images import own_settings
from ...builders.pictures import open_picture

COARSE, FINE = 8, 24  # cells per side; 64 and 9 x 64 bits
WORDS = (COARSE**2 + FINE**2) // 64
PIECE = 1 << 18  # pairs compared together; bounds the memory

Hashes = NDArray[np.uint64]
Indices = NDArray[np.intp]

# Neighbouring bits are correlated. Scattered over the quarters of a code, they leave fewer candidates to compare
# (chest x-rays: 21 % of all pairs instead of 32 %).
_SCATTER = np.random.RandomState(0).permutation(COARSE**2)


def fingerprint(data: bytes) -> tuple[bytes, Hashes]:
    """Compute the fingerprint of an image.

    Args:
        data: The encoded image, mode "L" or "RGB".

    Returns:
        SHA-256 of the pixels, 32 bytes, and the difference hashes, shape (10,): the coarse one, then the fine one.
    """
    with own_settings(), open_picture(data) as image:
        pixels = hashlib.sha256(image.tobytes()).digest()
        grey = image.convert("L")
    bits = np.concatenate([_difference_hash(grey, COARSE)[_SCATTER], _difference_hash(grey, FINE)])
    return pixels, np.packbits(bits).view(np.uint64)


def _difference_hash(grey: Image.Image, cells: int) -> NDArray[np.bool_]:
    # In two calls, so that all versions of Pillow give one result, as in `builders.images.resize`.
    wide = grey.resize((cells + 1, grey.height), Image.Resampling.BICUBIC)
    small = np.asarray(wide.resize((cells + 1, cells), Image.Resampling.BICUBIC))
    return (small[:, 1:] > small[:, :-1]).ravel()


def difference(first: Hashes, second: Hashes) -> NDArray[np.float64]:
    """Return the difference of images: the share of differing bits, in 64ths, at the scale where it is larger.

    In flat areas no bit is set, so equal bits there are no evidence of a copy. At the fine scale, the share is
    therefore relative to twice the number of bits set in the two images, at most all bits. In images without flat
    areas about 45 % are set, so that all bits count.

    Args:
        first: Hashes, shape (..., 10).
        second: Hashes to compare with, same shape.

    Returns:
        0 (no difference) to 64, shape (...).
    """
    coarse, fine = _ones(first[..., 0] ^ second[..., 0]), _sum_of_ones(first[..., 1:] ^ second[..., 1:])
    counting = np.minimum(2 * (_sum_of_ones(first[..., 1:]) + _sum_of_ones(second[..., 1:])), FINE**2)
    share: NDArray[np.float64] = np.maximum(coarse, 64 * fine / np.maximum(counting, 1))
    return share


def near_groups(hashes: Hashes, distance: int) -> Indices:
    """Group images so that any two within a distance of each other are in one group.

    Groups are connected components: two members may differ by more if others link them. Equal hashes are compared once,
    however many images have them, and pairs are held in memory only in pieces.

    Args:
        hashes: Shape (n, 10).
        distance: Largest difference, 0 to 16.

    Returns:
        A group number per image, shape (n,). Images with equal numbers are in one group; the values mean nothing else.
    """
    distinct, inverse = np.unique(hashes, axis=0, return_inverse=True)
    # `distinct` is sorted, so images of one coarse hash are adjacent.
    codes, start, count = np.unique(distinct[:, 0], return_index=True, return_counts=True)
    end = start + count
    every = np.arange(len(codes))
    group = np.arange(len(distinct))
    for one, other in chain([(every, every)], near_pairs(codes, distance)):
        for which, first in _ranges(start[one], end[one]):
            for again, second in _ranges(start[other][which], end[other][which]):
                near = difference(distinct[first[again]], distinct[second]) <= distance
                group = _joined(group, first[again][near], second[near])
    return group[inverse.ravel()]


def near_pairs(codes: Hashes, distance: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield all pairs of codes with at most `distance` differing bits, without comparing all pairs.

    Multi-index hashing (Norouzi, Punjani, Fleet, CVPR 2012): at least one of the four quarters of such a pair
    differs in at most `distance // 4` bits. So each quarter is looked up in a table of all, with up to that
    many bits flipped.

    Args:
        codes: Different 64-bit codes, shape (n,).
        distance: 0 to 64; fast up to 7.

    Yields:
        Indices of the first and the second code of some pairs, in no particular order. A pair may occur four times.
    """
    radius = distance // 4
    flips = [sum(1 << bit for bit in bits) for r in range(radius + 1) for bits in combinations(range(16), r)]
    for quarter in codes.view(np.uint16).reshape(-1, 4).T:
        order = np.argsort(quarter, kind="stable")
        keys, sorted_codes = quarter[order].astype(np.intp), codes[order]
        start = np.searchsorted(keys, np.arange((1 << 16) + 1))
        for flip in flips:
            flipped = keys ^ flip
            # Each pair once: only partners that come later in the order.
            low = np.maximum(start[flipped], np.arange(1, len(keys) + 1))
            for which, partner in _ranges(low, np.maximum(start[flipped + 1], low)):
                near = _ones(sorted_codes[which] ^ sorted_codes[partner]) <= distance
                yield order[which[near]], order[partner[near]]


def _ranges(low: Indices, high: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Pair each i with low[i], ..., high[i] - 1, in pieces of about `PIECE` pairs, or of one i that has more."""
    counts = high - low
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    done = 0
    while done < total:
        first = int(np.searchsorted(ends, done, side="right"))
        last = max(first + 1, int(np.searchsorted(ends, done + PIECE, side="right")))
        size = int(ends[last - 1]) - done
        which = np.repeat(np.arange(first, last), counts[first:last])
        yield (
            which,
            np.arange(size) + np.repeat(low[first:last] - (ends - counts)[first:last] + done, counts[first:last]),
        )
        done += size


def _joined(group: Indices, first: Indices, second: Indices) -> Indices:
    """Merge the groups of pairs. The number of a group is its smallest member, before and after."""
    while True:
        one, other = group[first], group[second]
        apart = one != other
        if not apart.any():
            return group
        np.minimum.at(group, np.maximum(one, other)[apart], np.minimum(one, other)[apart])
        while not np.array_equal(group, shorter := group[group]):
            group = shorter


def _ones(words: Hashes) -> NDArray[np.uint8]:
    """Count the bits set."""
    ones: NDArray[np.uint8]
    if hasattr(np, "bitwise_count"):
        ones = np.bitwise_count(words)
    else:  # NumPy 1
        octets = np.ascontiguousarray(words)[..., None].view(np.uint8)
        ones = np.unpackbits(octets, axis=-1).sum(axis=-1, dtype=np.uint8)
    return ones


def _sum_of_ones(words: Hashes) -> NDArray[np.int64]:
    total: NDArray[np.int64] = _ones(words).sum(axis=-1, dtype=np.int64)
    return total
