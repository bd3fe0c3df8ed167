"""Versions of the packages that results depend on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from ...files.version import VERSION

_PACKAGES = ("datasets", "numpy", "scipy", "torch", "transformers", "accelerate")


def versions() -> dict[str, str]:
    """Return the versions of Python, medimeta and the installed packages that results depend on."""
    return dict(_installed())


@cache  # reading the metadata of packages takes 10 ms, and a report has thousands of results
def _installed() -> dict[str, str]:
    installed = {"python": platform.python_version(), "medimeta": VERSION}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
