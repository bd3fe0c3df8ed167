"""A small Hub folder, and local Hubs to push it to."""

from __future__ import annotations

import shutil

import pytest

from fakes.hub import Hub
from fakes.publishing import (
    TRANSPORTS,
    build_folder,
    other_client,
    without_waiting,
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Three small datasets."""
    return build_folder(tmp_path_factory.mktemp("push"), {"bus": 3, "crc": 1, "pneumonia": 2})


@pytest.fixture
def folder(small, tmp_path):
    """A Hub folder to change."""
    return shutil.copytree(small, tmp_path / "folder")


@pytest.fixture(params=TRANSPORTS)
def hub(tmp_path, monkeypatch, request):
    without_waiting(monkeypatch, lfs=request.param == "lfs")
    with Hub(tmp_path / "server", part_bytes=50_000, page=7) as server, other_client():
        yield server


@pytest.fixture
def lfs_hub(tmp_path, monkeypatch):
    without_waiting(monkeypatch, lfs=True)
    with Hub(tmp_path / "server") as server, other_client():
        yield server
