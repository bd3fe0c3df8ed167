"""Tasks for worker processes, in a module that they can import."""

from __future__ import annotations

import os
import signal
import time


def where(item):
    """Return the number and the process; the first process waits until a worker has run a task."""
    number, here, flag = item
    if os.getpid() != here:
        flag.touch()
    for _ in range(600):
        if flag.exists():
            break
        time.sleep(0.1)
    return number, os.getpid()


def end(here):
    """Kill the worker that runs this."""
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
