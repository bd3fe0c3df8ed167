"""The search for near duplicates: it finds what brute force finds, and groups are connected components."""

from __future__ import annotations

import tracemalloc
from itertools import combinations

import numpy as np
import pytest

from medimeta.learn.leakage import hashes
from medimeta.learn.leakage.audit import DISTANCE


def codes(seed, count, distance=5):
    """Return random codes, with planted pairs at all distances up to slightly more than asked for."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 2**64, count, dtype=np.uint64)
    for i in range(1, count, 2):
        bits = rng.choice(64, rng.integers(1, distance + 3), replace=False)
        found[i] = found[i - 1] ^ np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64))
    return np.unique(found)


def signatures(rng, count):
    return rng.integers(0, 2**64, (count, hashes.WORDS), dtype=np.uint64)


@pytest.mark.parametrize("distance", [0, 1, 3, 4, 7, 8, 12])
@pytest.mark.parametrize("seed", [0, 1])
def test_search_finds_what_brute_force_finds(seed, distance):
    some = codes(seed, 600, distance)
    expected = {
        (i, j) for i, j in combinations(range(len(some)), 2) if (int(some[i]) ^ int(some[j])).bit_count() <= distance
    }

    found = {
        (min(pair), max(pair))
        for first, second in hashes.near_pairs(some, distance)
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    }

    assert found == expected
    assert expected or distance == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("piece", [3, 1 << 18])
def test_groups_are_the_connected_components(seed, piece, monkeypatch):
    monkeypatch.setattr(hashes, "PIECE", piece)
    rng = np.random.default_rng(seed)
    some = signatures(rng, 60)
    for i in range(1, 60):  # chains of near and of equal ones, and coarse codes alone that agree
        if rng.random() < 0.6:
            some[i] = some[j := rng.integers(i)]
            some[i, 0] = some[j, 0] ^ np.uint64(int(rng.integers(2**6)) << int(rng.integers(58)))
            some[i, 1:] ^= (rng.random(hashes.WORDS - 1) < 0.2) * rng.integers(0, 2**16, dtype=np.uint64)
        elif rng.random() < 0.5:
            some[i, 0] = some[i - 1, 0]
    expected = list(range(60))
    for i, j in combinations(range(60), 2):
        if hashes.difference(some[i], some[j]) <= 4 and expected[i] != expected[j]:
            old, new = expected[j], expected[i]
            expected = [new if group == old else group for group in expected]

    found = hashes.near_groups(some, 4)

    assert np.array_equal(found[:, None] == found, np.equal.outer(expected, expected))
    assert 1 < len(set(expected)) < 60


def test_bits_are_counted_alike_in_numpy_1(monkeypatch):
    words = signatures(np.random.default_rng(0), 20)
    expected = np.vectorize(lambda word: int(word).bit_count())(words)

    assert np.array_equal(hashes._ones(words), expected)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert np.array_equal(hashes._ones(words[:, 1:]), expected[:, 1:])


def test_a_hundred_thousand_images_in_little_memory():
    rng = np.random.default_rng(0)
    many = signatures(rng, 100_000)
    planted = rng.permutation(100_000)[:1000].reshape(2, 500)
    many[planted[1]] = many[planted[0]]
    many[planted[1], 0] ^= np.uint64(0b1111111) << rng.integers(0, 57, 500, dtype=np.uint64)
    flat = rng.permutation(np.setdiff1d(np.arange(100_000), planted))[:20_000]
    many[flat] = 0

    tracemalloc.start()
    found = hashes.near_groups(many, DISTANCE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 10 * many.nbytes
    assert np.array_equal(found[planted[0]], found[planted[1]])
    sizes = np.sort(np.bincount(found))
    assert sizes[-1] == 20_000
    assert sizes[-501:-1].tolist() == [2] * 500
    assert sizes[-502] == 1
