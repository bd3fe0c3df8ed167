"""Register the name "medimeta" with `datasets.load_dataset`, without importing `datasets` for it."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

from ..errors import MissingExtra, UnknownName
from ..files.imports import when_imported

NAME = "medimeta"
OLDEST = (3, 6)  # the oldest version of `datasets` that is tested


def register() -> None:
    """Wrap the function of `datasets` that finds a dataset's module, now or as soon as `datasets` is imported.

    Since version 4 `datasets` runs no loading scripts, and it has no registry to add to. All other names pass through.
    Calling this again changes nothing.
    """
    when_imported("datasets", _wrap)


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
