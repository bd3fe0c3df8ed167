"""Folders with datasets of others: those of installed packages, and those added with `add_cards`.

Such a folder holds a `<id>.yaml` per dataset and, next to it, the modules that the card's `builder` names:
`<builder>.py`, the source module, and `<builder>_phantom.py`, which draws test images.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from ..errors import CatalogueError, SourceNotFound

GROUP = "medimeta.datasets"  # entry points of installed packages; the value is the name of the package
VARIABLE = "MEDIMETA_CARDS"  # added folders; in the environment, so that worker processes know them too


def folders() -> dict[str, Path]:
    """Return all folders with further datasets, by the name of the package that holds their modules.

    Raises:
        CatalogueError: If an installed package or an added folder is missing.
    """
    installed = {entry.value: _installed(entry) for entry in sorted(entry_points(group=GROUP), key=lambda e: e.value)}
    return installed | {_as_package(folder): folder for folder in added()}


def added() -> list[Path]:
    """Return the folders that the environment variable MEDIMETA_CARDS lists.

    Raises:
        CatalogueError: If one does not exist.
    """
    listed = [Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    for folder in listed:
        if not folder.is_dir():
            raise CatalogueError(f"{VARIABLE} lists {folder}, which is not a folder. Correct or unset the variable.")
    return listed


def add(folder: Path) -> None:
    """Append a folder to MEDIMETA_CARDS.

    Raises:
        SourceNotFound: If it holds no cards.
    """
    if not any(folder.glob("*.yaml")):
        raise SourceNotFound(f"{folder} holds no cards (<id>.yaml). Make some with: medimeta new-dataset NAME")
    if folder not in added():
        os.environ[VARIABLE] = os.pathsep.join([*map(str, added()), str(folder)])


def _installed(entry: EntryPoint) -> Path:
    try:
        spec = find_spec(entry.value)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        owner = entry.dist.name if entry.dist else "an installed package"
        raise CatalogueError(
            f"{owner}: the entry point {entry.name!r} of {GROUP} names {entry.value!r}, which is not an importable "
            "package. Correct its pyproject.toml and install it again, or uninstall it."
        )
    return Path(spec.submodule_search_locations[0])


def _as_package(folder: Path) -> str:
    """Make the modules of a folder importable under a name that no other package has."""
    name = f"medimeta_cards_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        package = ModuleType(name, f"Datasets of {folder}.")
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name
