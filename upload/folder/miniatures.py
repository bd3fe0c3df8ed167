"""A Hub folder of miniatures: every step from archives to Parquet, offline, on drawn images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from ...builders.locate import open_source
from ...builders.phantoms import write_miniature
from ...builders.source import Options
from ...cards.catalogue import DATASETS
from ...files.atomic import whole_folder
from .record import BuildRecord
from .writing import build


def build_miniatures(
    datasets: Sequence[str],
    out: Path,
    *,
    version: str,
    per_class: int = 12,
    seed: int = 0,
    executor: Executor | None = None,
    workers: int = 1,
    finished: Callable[[BuildRecord], None] = lambda record: None,
) -> Path:
    """Draw the archives of some datasets and build them.

    Args:
        datasets: Their ids. Datasets of one source share its archives.
        out: Gets `source/<source>/` with the archives and `hub/`, the Hub folder.
        version: Version of this project, for the records.
        per_class: Images per class of the main task.
        seed: Of the drawn images.
        executor: Where images are rendered.
        workers: Number of its workers.
        finished: Called after each dataset.

    Returns:
        The Hub folder.
    """
    for dataset in datasets:
        source = out / "source" / DATASETS[dataset].builder
        if not source.exists():
            with whole_folder(source) as draft:
                write_miniature(dataset, draft, per_class=per_class, seed=seed)
        opened = open_source(dataset, source, Options(partial=True))
        finished(build(opened, out / "hub", version=version, executor=executor, workers=workers))
    return out / "hub"
