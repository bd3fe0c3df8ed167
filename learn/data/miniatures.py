"""Miniatures of datasets in the cache, for trials without data."""

from __future__ import annotations

from pathlib import Path

from datasets import config

from ...builders.phantoms import write_miniature
from ...cards.catalogue import DATASETS
from ...files.atomic import whole_folder
from ...files.version import VERSION


def miniature(dataset: str, cache_dir: str | None = None, *, per_class: int) -> Path:
    """Return the miniature source of a dataset, drawn into the cache when it is first asked for.

    Args:
        dataset: Its id.
        cache_dir: The cache; that of `datasets` by default.
        per_class: Images per class of the main task.
    """
    folder = Path(cache_dir or config.HF_DATASETS_CACHE) / "medimeta-miniatures" / VERSION
    source = folder / f"{DATASETS[dataset].builder}-{per_class}"
    if not source.exists():
        with whole_folder(source) as draft:
            write_miniature(dataset, draft, per_class=per_class)
    return source
