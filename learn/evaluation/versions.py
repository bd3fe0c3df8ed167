"""The versions of what numbers may depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from ...files.version import VERSION

_PACKAGES = ("datasets", "numpy", "scikit-learn", "torch", "transformers", "accelerate")


def versions() -> dict[str, str]:
    """The versions of Python, medimeta and the packages that numbers may depend on, where they are installed."""
    found = {"python": platform.python_version(), "medimeta": VERSION}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
