"""Teaching `datasets.load_dataset` the name "medimeta", without importing `datasets` for it."""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType
from typing import Any

import wrapt

NAME = "medimeta"
OLDEST = (3, 6)  # the oldest version of `datasets` that is tested


def register() -> None:
    """Wrap the function of `datasets` that finds a dataset's module, now or as soon as `datasets` is imported.

    Since version 4 `datasets` runs no loading scripts and has no registry to add to. Every other name passes through.
    Calling this twice changes nothing.

    Raises:
        ImportError: If `datasets` is imported and too old; later, when it is imported.
    """
    wrapt.register_post_import_hook(_wrap, "datasets")


def _wrap(package: ModuleType) -> None:
    # Another thread may be in the middle of `import datasets`: importing it again waits for that.
    package = importlib.import_module("datasets")
    load = importlib.import_module("datasets.load")
    importlib.import_module("datasets.inspect")
    if tuple(int(part) for part in package.__version__.split(".")[:2]) < OLDEST:
        raise ImportError(
            f"medimeta needs datasets {'.'.join(map(str, OLDEST))} or newer, found {package.__version__} in "
            f"{package.__file__}. Upgrade it: pip install --upgrade datasets"
        )
    original = load.dataset_module_factory
    if getattr(original, "medimeta", False):
        return

    @functools.wraps(original)
    def dataset_module_factory(path: str, *args: Any, **kwargs: Any) -> Any:
        if path != NAME or kwargs.get("data_files") is not None or kwargs.get("revision") is not None:
            return original(path, *args, **kwargs)
        builder = importlib.import_module("medimeta.builders.dataset")
        return load.DatasetModule(builder.__name__, builder.CACHE_KEY, {"dataset_name": NAME})

    dataset_module_factory.medimeta = True  # type: ignore[attr-defined]
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "datasets" and vars(module).get("dataset_module_factory") is original:
            setattr(module, "dataset_module_factory", dataset_module_factory)  # noqa: B010  no attribute of every module
