"""Fixtures for all tests: where the shared samples are, and caches that no test shares with the user."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from fakes.golden import SHARED

# A shell starts background jobs with Ctrl-C ignored, and processes inherit that: tests that interrupt one would fail.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real samples, next to the checkout or at MEDIMETA_SHARED."""
    if not (SHARED / "real").is_dir():
        pytest.skip(f"the shared samples are not at {SHARED}; set MEDIMETA_SHARED to run this test")
    return SHARED


@pytest.fixture(autouse=True)
def own_caches(tmp_path, monkeypatch):
    """No test sees the user's data, downloads or caches, and none leaves anything there."""
    import datasets

    for variable in ("MEDIMETA_DATA", "MEDIMETA_RELEASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    cache = tmp_path / "hf-cache"
    monkeypatch.setenv("HF_HOME", str(cache))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache / "datasets")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", cache / "downloads")
