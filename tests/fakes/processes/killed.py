"""Builds and pushes in their own processes, made to be killed.

A server that has the imports done forks them, so that they start at once: kills hit the work, not the imports.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from multiprocessing import get_context

import huggingface_hub.constants
from huggingface_hub import HfApi

from fakes.publishing import PARTIAL, REPO
from medimeta.builders import rows
from medimeta.builders.locate import open_source
from medimeta.files.parallel import pool
from medimeta.files.remote import repository as remote
from medimeta.upload.folder import shards
from medimeta.upload.folder.writing import build
from medimeta.upload.push import publish as push
from medimeta.upload.push.options import PushOptions

CHANGES = {"os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.chmod", "shutil.rmtree"}


def start(target, *args):
    """Run a function of this module in a process that leads its own group."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ready = context.Event()
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # of the server, which starts with the first process
    try:
        process = context.Process(target=_alone, args=(ready, target, *args))
        process.start()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    ready.wait()
    return process


def _alone(ready, target, *args):
    os.setsid()
    ready.set()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # an interrupted one has its traceback
    target(*args)


def kill_at(step, where, how=signal.SIGKILL):
    """Send this process a signal just before it changes something in a folder for the `step`-th time."""
    steps = itertools.count(1)

    def watch(event, arguments):
        changes = arguments[2] & (os.O_WRONLY | os.O_RDWR) if event == "open" else event in CHANGES
        if changes and str(arguments[0]).startswith(str(where)) and next(steps) == step:
            os.killpg(os.getpid(), how)

    sys.addaudithook(watch)


def build_slices(raw, out, dataset, processes=1, step=None, how=signal.SIGKILL):
    """Build with a shard for every four rows, so that there is something to continue; until a step, perhaps."""
    if step is not None:
        kill_at(step, out.parent, how)
    shards.SHARD_BYTES, rows.BATCH, shards.BATCH = 1, 4, 4
    with pool(processes, at_once=True) as (executor, workers):
        build(open_source(dataset, raw, PARTIAL), out, version="0", executor=executor, workers=workers)


def push_pieces(url, token, folder, lfs):
    """Push file by file; rows were checked before."""
    huggingface_hub.constants.HF_HUB_DISABLE_XET = lfs
    huggingface_hub.utils.disable_progress_bars()
    remote.BATCH_BYTES = 1
    push.verify_folder = lambda *_, **__: []
    push.push(folder, REPO, PushOptions(partial=True), version="0", api=HfApi(url, token))
