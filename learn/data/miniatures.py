"""Miniatures of datasets in the cache, for trials without data."""

from __future__ import annotations

from pathlib import Path

from datasets import config

from ...builders.phantoms import write_miniature
from ...cards.catalogue import DATASETS
from ...files.atomic import whole_folder
from ...files.version import VERSION


def miniature(dataset: str, cache_dir: str | None = None, *, per_class: int) -> Path:
    """Return the folder of a dataset's miniature, drawn into the cache on first use.

    Args:
        dataset: Id of the dataset.
        cache_dir: Folder of the cache; that of `datasets` by default.
        per_class: Images per class of the main task.
    """
    folder = Path(cache_dir or config.HF_DATASETS_CACHE) / "medimeta-miniatures" / VERSION
    source = folder / f"{DATASETS[dataset].builder}-{per_class}"
    if not source.exists():
        with whole_folder(source) as draft:
            write_miniature(dataset, draft, per_class=per_class)
    return source
