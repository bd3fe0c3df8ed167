"""Ordered parallel map over any `concurrent.futures` executor, with a bounded number of tasks in flight."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar, cast

from ..errors import MedIMetaError, missing_extra

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE = 20.0  # seconds; starting a process costs over a second of CPU time, too much for short work


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], executor: Executor | None, window: int
) -> Iterator[Result]:
    """Map a function over items in parallel; yield results in order, in constant memory.

    Args:
        function: Must be picklable if the executor uses processes.
        items: Arguments, consumed as results are consumed.
        executor: Where to run; None runs in this thread.
        window: Maximum number of tasks in flight, including finished ones that wait for their turn.
    """
    if executor is None:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) >= window:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def pool(processes: int = 1, dask: str | None = None, *, at_once: bool = False) -> Iterator[tuple[Executor, int]]:
    """Create an executor in this process, over several processes, or on a cluster.

    Args:
        processes: Number of processes, including this one. A single process uses a thread per core, since Pillow
            releases the GIL to decode, resize and encode. Extra workers start after `PATIENCE` seconds.
        dask: Address of a `dask.distributed` scheduler; its workers need the same files and this package.
        at_once: Start the extra workers immediately, for work that holds the GIL.

    Yields:
        The executor and its number of workers.

    Raises:
        MissingExtra: If `dask.distributed` is needed and not installed.
        MedIMetaError: If the scheduler does not respond.
    """
    if dask is not None:
        yield from _cluster(dask)
        return
    threads = os.cpu_count() or 1
    executor: Executor
    if processes <= 1:
        executor, workers = ThreadPoolExecutor(threads), threads
    elif at_once:
        executor, workers = _Processes(processes), processes
    else:
        executor, workers = _ThreadsFirst(threads, processes), max(threads, processes)
    try:
        yield executor, workers
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


class _ThreadsFirst(Executor):
    """A thread per core of this process; extra processes start only when the work takes long.

    Rendering threads keep a few cores as busy as processes would. On many cores, processes scale better because they
    share no GIL.
    """

    def __init__(self, threads: int, processes: int) -> None:
        self._threads = ThreadPoolExecutor(threads)
        self._processes: _Processes | None = None
        self._wanted = processes
        self._begun = time.monotonic()

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        if self._processes is None and time.monotonic() - self._begun >= PATIENCE:
            self._processes = _Processes(self._wanted)
        return (self._processes or self._threads).submit(function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for executor in (self._threads, self._processes):
            if executor is not None:
                executor.shutdown(wait, cancel_futures=cancel_futures)


class _Processes(ThreadPoolExecutor):
    """This process and extra worker processes: the next task goes to whichever is free.

    Workers take seconds to start. Meanwhile this process runs one task at a time, while threads hand tasks to the
    workers and wait for results. Each worker has two such threads, so that its next task is queued before the current
    result has arrived.
    """

    def __init__(self, processes: int) -> None:
        super().__init__(1 + 2 * (processes - 1))
        # Spawned, not forked: forking a process with threads may deadlock.
        self._others = ProcessPoolExecutor(processes - 1, mp_context=get_context("spawn"), initializer=_watch_parent)
        self._here = threading.Lock()
        with _interrupts_held():
            for _ in range(processes - 1):  # starts them all immediately
                self._others.submit(int)

    def submit(self, function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Future[Result]:
        return super().submit(self._run, partial(function, *args, **kwargs))

    def _run(self, task: Callable[[], Result]) -> Result:
        if self._here.acquire(blocking=False):
            try:
                return task()
            finally:
                self._here.release()
        try:
            return self._others.submit(task).result()
        except BrokenProcessPool:
            raise MedIMetaError(
                "A worker process was killed, perhaps because memory ran out. Rerun the command with a smaller "
                "--num-proc; finished parts are kept.",
                code="worker-killed",
            ) from None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait, cancel_futures=cancel_futures)
        self._others.shutdown(wait, cancel_futures=cancel_futures)


def _cluster(address: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError:
        raise missing_extra("dask.distributed", "cluster", "Rendering on a cluster") from None
    try:
        client = Client(address, timeout="30s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise MedIMetaError(
            f"No dask scheduler responds at {address} ({error}). Start one, or use --num-proc.", code="no-scheduler"
        ) from None
    with client, client.get_executor() as executor:
        threads = cast(dict[str, int], client.nthreads())  # of each worker
        yield executor, max(1, sum(threads.values()))


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, so that only the parent handles it.

    A Ctrl-C during the start is delivered to the parent afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    if blocked := hasattr(signal, "pthread_sigmask"):  # inherited by the processes; not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if blocked:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
    if held:
        signal.raise_signal(signal.SIGINT)


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the parent has exited: a killed parent cannot stop its workers."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
