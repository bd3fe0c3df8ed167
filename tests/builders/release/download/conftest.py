"""A server of releases that misbehaves as it is asked to, and no real waiting."""

from __future__ import annotations

from functools import partial

import pytest

from fakes.release.server import running
from medimeta.builders.release.download import download_release
from medimeta.files.remote import transfer


@pytest.fixture
def server():
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The waits that would have been slept."""
    waits: list[float] = []
    monkeypatch.setattr(transfer, "sleep", waits.append)
    return waits


@pytest.fixture
def fetch(server, tmp_path):
    return partial(download_release, "bus", base_url=server.base, cache_dir=tmp_path)
