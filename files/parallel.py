"""Work over any `concurrent.futures` executor, results in order, with a bounded number of tasks in flight."""

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
from typing import Any, TypeVar

from ..errors import MedIMetaError, missing_extra

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE = 20.0  # seconds; starting a process takes over a second of a core, which short work never gets back


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], executor: Executor | None, window: int
) -> Iterator[Result]:
    """`map` whose results come in the order of the items and whose memory does not grow with their number.

    Args:
        function: Picklable where the executor's workers are other processes.
        items: What to work on; taken one by one, as results are used up.
        executor: Where to run; None runs here.
        window: Most tasks in flight, finished ones that wait for their turn included.
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
    """Where to render: in this process, in several of this machine, or on the workers of a cluster.

    Args:
        processes: Processes here, this one among them. One is this process with a thread per core: Pillow decodes,
            resizes and encodes outside Python's lock. The others start when the work has lasted `PATIENCE` seconds.
        dask: Address of a `dask.distributed` scheduler, whose workers see the same files and have this package.
        at_once: Start the other processes now, for work that holds Python's lock.

    Yields:
        An executor and its number of workers.

    Raises:
        MissingExtra: If `dask.distributed` is needed and not installed.
        MedIMetaError: If the scheduler does not answer.
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
    """A thread per core of this process, and other processes beside it only when the work lasts.

    Threads that render keep a few cores as busy as processes would; what these add is that no lock is shared, which
    counts where there are many cores.
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
    """This process and others beside it: the next task goes to whichever is free.

    The others take seconds to start, for which this one need not wait: threads here hand them tasks and wait for what
    comes of them, and one task at a time is done here. Each other process has two threads, so that its next task lies
    ready while a result is on its way.
    """

    def __init__(self, processes: int) -> None:
        super().__init__(1 + 2 * (processes - 1))
        # Spawned, not forked: a fork of a process whose libraries run threads may hang.
        self._others = ProcessPoolExecutor(processes - 1, mp_context=get_context("spawn"), initializer=_watch_parent)
        self._here = threading.Lock()
        with _interrupts_held():
            for _ in range(processes - 1):  # starts them all, now
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
                "A process that does part of the work was ended from outside, perhaps for want of memory. Run the same "
                "command with a smaller --num-proc; what was finished is kept."
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
        raise MedIMetaError(f"No dask scheduler answers at {address} ({error}). Start it, or use --num-proc.") from None
    with client, client.get_executor() as executor:
        yield executor, max(1, sum(client.nthreads().values()))


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started inside never see Ctrl-C: the parent alone decides what becomes of the work.

    The parent itself feels one that comes meanwhile as soon as they are started.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    if blocked := hasattr(signal, "pthread_sigmask"):  # what is blocked stays so in the processes; not on Windows
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
    """A killed parent cannot tell its workers, which would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
