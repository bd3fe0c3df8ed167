"""A release of a miniature of bus, whole or as a copy to change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fakes.release import write_release
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, RawSource

WITH_MASKS = Options(partial=True, with_masks=True)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> RawSource:
    folder = write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=4, packed=False)
    return RawSource("bus", folder, WITH_MASKS)


@pytest.fixture(scope="module")
def rows(raw):
    return to_table(raw, raw.manifest())


@pytest.fixture(scope="module")
def home(raw, tmp_path_factory) -> Path:
    """A complete release; tests that change one copy it."""
    return write_release(raw, tmp_path_factory.mktemp("release"))


@pytest.fixture
def copy(home, tmp_path) -> Path:
    return Path(shutil.copytree(home, tmp_path / "bus"))
