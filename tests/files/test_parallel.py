"""Work on several processes: who does it, in what order results come, and what becomes of a process that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from fakes.errors import raises
from fakes.processes.work import end, where
from medimeta.errors import MedIMetaError
from medimeta.files import parallel
from medimeta.files.parallel import ordered_map, pool


def test_two_processes_are_this_one_and_another(tmp_path):
    with pool(2, at_once=True) as (executor, workers):
        items = [(number, os.getpid(), tmp_path / "flag") for number in range(20)]
        done = list(ordered_map(where, items, executor, window=8))

    assert workers == 2
    assert [number for number, _ in done] == list(range(20))
    assert len({process for _, process in done} | {os.getpid()}) == 2


def test_other_processes_start_when_the_work_lasts(tmp_path, monkeypatch):
    def items():
        for number in range(20):
            if number == 10:  # from here on the work has lasted
                monkeypatch.setattr(parallel, "PATIENCE", 0.0)
            yield number, os.getpid(), tmp_path / "flag" if number >= 10 else there

    there = tmp_path / "there"
    there.touch()
    monkeypatch.setattr(parallel, "PATIENCE", float("inf"))
    with pool(2) as (executor, workers):
        done = list(ordered_map(where, items(), executor, window=8))

    assert workers == max(2, os.cpu_count())
    assert [number for number, _ in done] == list(range(20))
    assert {process for _, process in done[:10]} == {os.getpid()}
    assert len({process for _, process in done[10:]} | {os.getpid()}) == 2


def test_an_interruption_while_processes_start_is_felt_afterwards():
    blocked = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    shown = []

    def start():
        with parallel._interrupts_held():
            os.kill(os.getpid(), signal.SIGINT)
            shown.append(subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True).stdout)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert shown == ["True\n"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_an_error_comes_from_wherever_it_happened():
    with pool(2, at_once=True) as (executor, _), pytest.raises(TypeError, match="unsupported operand"):
        list(ordered_map(sum, [["a"]] * 20, executor, window=8))


def test_a_killed_process_is_told_with_what_to_do():
    killed = raises(MedIMetaError, "worker-killed", "--num-proc")
    with pool(2, at_once=True) as (executor, _), killed:
        list(ordered_map(end, [os.getpid()] * 20, executor, window=8))
