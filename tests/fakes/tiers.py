"""The quick and the slow tier."""

from __future__ import annotations

import pytest


def quick(*some, of):
    """Values for `pytest.mark.parametrize`, of which the quick tests take only some: one of each kind."""
    assert set(some) <= set(of)
    return [value if value in some else pytest.param(value, marks=pytest.mark.slow) for value in of]
