"""Additional processes of a run, which share the work."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from .running import Run


@contextmanager
def helpers(run: Run, models: Sequence[str], jobs: int) -> Iterator[None]:
    """Run the same plan in `jobs` - 1 additional processes, each starting with another dataset.

    They only save time: this process evaluates everything that they leave.

    Args:
        run: The run.
        models: Names of the encoders.
        jobs: Number of processes, including this one.
    """
    context = multiprocessing.get_context("spawn")
    datasets = len(run.plan.datasets)
    started = []
    for number in range(1, jobs):
        silent = replace(run, say=_go_on, first=number * datasets // jobs, _results={}, _failures={}, _measured=set())
        process = context.Process(target=_work, args=(silent, list(models)), daemon=True)
        process.start()
        started.append(process)
    try:
        yield
    finally:
        for process in started:
            process.terminate()
            process.join()


def _work(run: Run, models: list[str]) -> None:
    for number, model in enumerate(models):
        run.encoder(number, model)


def _go_on(line: str) -> None:
    """Print nothing, and exit once the parent process has ended."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit(1)
