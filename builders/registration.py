"""Register the name "medimeta" with `datasets.load_dataset`, without importing `datasets` for it."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ..errors import MissingExtra, UnknownName

NAME = "medimeta"
OLDEST = (3, 6)  # the oldest version of `datasets` that is tested


def register() -> None:
    """Wrap the function of `datasets` that finds a dataset's module, now or as soon as `datasets` is imported.

    Since version 4 `datasets` runs no loading scripts, and it has no registry to add to. All other names pass through.
    Calling this again changes nothing.
    """
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    if "datasets" in sys.modules:
        _wrap()


class _Finder:
    """Finds `datasets` where it is found otherwise, and wraps its function once it is executed."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "datasets":
            return None
        finders = (finder for finder in sys.meta_path if finder is not _Finder)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in finders)), None)
        loader: Any = spec.loader if spec else None
        if loader is not None:
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _wrap()

            loader.exec_module = exec_module
        return spec


def check_version() -> None:
    """Check the version of `datasets`, which is imported.

    Raises:
        MissingExtra: If it is too old.
    """
    package = importlib.import_module("datasets")
    if tuple(int(part) for part in package.__version__.split(".")[:2]) < OLDEST:
        raise MissingExtra(
            f"medimeta needs datasets {'.'.join(map(str, OLDEST))} or newer, not {package.__version__} "
            f"({package.__file__}). Upgrade it: pip install --upgrade datasets",
            code="outdated-datasets",
        )


def _wrap() -> None:
    # Another thread may be importing `datasets`: to import it again waits until that is finished.
    importlib.import_module("datasets")
    load = importlib.import_module("datasets.load")
    importlib.import_module("datasets.inspect")
    original = load.dataset_module_factory
    if getattr(original, "medimeta", False):
        return

    @functools.wraps(original)
    def dataset_module_factory(path: str, *args: Any, **kwargs: Any) -> Any:
        if path != NAME or kwargs.get("data_files") is not None:
            return original(path, *args, **kwargs)
        check_version()
        if (revision := kwargs.get("revision")) is not None:
            raise UnknownName(
                f"load_dataset({NAME!r}, ..., revision={revision!r}): only repositories on the Hub have revisions. "
                f'Leave it out, or name the repository: load_dataset("<namespace>/{NAME}", ..., revision={revision!r}).'
            )
        builder = importlib.import_module("medimeta.builders.dataset")
        return load.DatasetModule(builder.__name__, builder.CACHE_KEY, {"dataset_name": NAME})

    dataset_module_factory.medimeta = True  # type: ignore[attr-defined]
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "datasets" and vars(module).get("dataset_module_factory") is original:
            setattr(module, "dataset_module_factory", dataset_module_factory)  # noqa: B010  not an attribute of every module
