"""Random numbers: uniform, and pinned to the same values everywhere."""

from __future__ import annotations

import itertools

import pytest

from fakes.chance import assert_follows
from medimeta.errors import MedIMetaError
from medimeta.learn.data.draws import Draws


def test_draws_never_change():
    # The same on every machine and with every version of NumPy: published episodes depend on it.
    draws = Draws(0, 0)
    assert [draws.below(1000) for _ in range(6)] == [441, 346, 224, 26, 248, 736]
    assert list(Draws(7, 3).walk(8)) == [3, 2, 5, 0, 6, 4, 1, 7]
    assert Draws(2**70, 1, 2).order(8).tolist() == [4, 6, 2, 0, 5, 3, 7, 1]


def test_draws_are_even():
    draws = Draws(1)
    assert_follows([draws.below(3) for _ in range(3000)], dict.fromkeys(range(3), 1 / 3))
    permutations = list(itertools.permutations(range(4)))
    assert_follows([tuple(draws.walk(4)) for _ in range(3000)], dict.fromkeys(permutations, 1 / 24))
    orders = [tuple(Draws(1, number).order(3).tolist()) for number in range(600)]
    assert_follows(orders, dict.fromkeys(itertools.permutations(range(3)), 1 / 6))


def test_a_negative_seed():
    with pytest.raises(MedIMetaError, match="seed is -1"):
        Draws(-1)
