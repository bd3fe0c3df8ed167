"""A build to be interrupted."""

from __future__ import annotations

import os
from multiprocessing.synchronize import Event
from pathlib import Path

from medimeta.builders import rows
from medimeta.builders.locate import open_source
from medimeta.builders.parallel import pool
from medimeta.builders.source import Options
from medimeta.upload import shards
from medimeta.upload.folder import build


def build_in_small_shards(ready: Event, raw: Path, out: Path, dataset: str, processes: int) -> None:
    """Build with ten rows per shard, so that there is something to resume, in a process group of its own."""
    os.setsid()
    ready.set()
    shards.SHARD_BYTES, rows.BATCH, shards.BATCH = 1, 10, 10
    with pool(processes) as (executor, workers):
        source = open_source(dataset, raw, Options(partial=True))
        build(source, out, version="0", executor=executor, workers=workers)
