"""A miniature source to encode."""

from __future__ import annotations

import pytest

from medimeta.builders.phantoms import write_miniature


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=12)
