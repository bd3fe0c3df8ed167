"""Find the modules of a dataset: the source module that its card names, and the phantom that goes with it."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from ..cards.catalogue import DATASETS
from ..cards.facts import DatasetCard
from ..errors import CatalogueError, unknown
from .reader import Reader

PHANTOM = "_phantom"  # what the name of a phantom ends in, next to the source module of an added dataset
_SOURCES, _PHANTOMS = (f"{__package__}.{folder}" for folder in ("sources", "phantoms"))


def find_reader(card: DatasetCard) -> Reader:
    """Return the reader that the source module of a dataset gives.

    Raises:
        CatalogueError: If the card names a module that does not exist, cannot be imported, or has no `READER`.
    """
    module = _load(card, DATASETS.package(card.id) or _SOURCES, card.builder)
    reader = getattr(module, "READER", None)
    if not isinstance(reader, Reader):
        raise CatalogueError(f"{module.__file__}: there is no READER. End the module with: READER = Reader(...)")
    return reader


def find_phantom(card: DatasetCard) -> ModuleType:
    """Return the module that draws the phantom of a dataset, with its function `files`.

    Raises:
        CatalogueError: If there is none, or if it cannot be imported.
    """
    package = DATASETS.package(card.id)
    module = _load(card, package, f"{card.builder}{PHANTOM}") if package else _load(card, _PHANTOMS, card.builder)
    if not callable(getattr(module, "files", None)):
        raise CatalogueError(f"{module.__file__}: there is no function files(rng, per_class).")
    return module


def _load(card: DatasetCard, package: str, name: str) -> ModuleType:
    modules = [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
    if name not in modules:
        is_phantom = name.endswith(PHANTOM)
        choices = [module for module in modules if module.endswith(PHANTOM) == is_phantom]
        error = unknown("phantom" if is_phantom else "source module", name, choices)
        raise CatalogueError(f"{DATASETS.path(card.id)}: builder: {error}")
    try:
        return importlib.import_module(f"{package}.{name}")
    except ImportError as error:
        raise CatalogueError(f"{DATASETS.path(card.id)}: builder: {name} cannot be imported: {error}") from error
    except SyntaxError as error:
        raise CatalogueError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
