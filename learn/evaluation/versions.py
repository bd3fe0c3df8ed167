"""Versions of the packages that results depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from ...files.version import VERSION

_PACKAGES = ("datasets", "numpy", "scipy", "torch", "transformers", "accelerate")


def versions() -> dict[str, str]:
    """Return the versions of Python, medimeta and the installed packages that results depend on."""
    installed = {"python": platform.python_version(), "medimeta": VERSION}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed
