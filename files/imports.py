"""Act when a package is imported, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_ACTIONS: dict[str, Callable[[], None]] = {}


def when_imported(package: str, action: Callable[[], None]) -> None:
    """Call a function after a package is imported, now if it is already, and each time it is reloaded.

    Args:
        package: A top-level package, e.g. "torch".
        action: The function; one per package.
    """
    _ACTIONS[package] = action
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    if sys.modules.get(package) is not None:
        action()


class _Finder:
    """Finds a package where it is found otherwise, and acts once it is executed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _ACTIONS:
            return None
        finders = (finder for finder in sys.meta_path if finder is not _Finder)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        loader: Any = spec.loader if spec else None
        if loader is not None:
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _ACTIONS[name]()

            loader.exec_module = exec_module
        return spec
