"""A dataset with subjects."""

from __future__ import annotations

import pytest

from medimeta.builders.phantoms import write_miniature


@pytest.fixture(scope="module")
def derm(tmp_path_factory):
    return write_miniature("derm", tmp_path_factory.mktemp("derm"), per_class=8)
