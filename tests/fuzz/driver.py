"""Run cases in forked children with limits, and judge how each ended.

A case is a kind and a seed, which say what is mutated and how. It ends well if the rows are equal to those of the valid
files, if they are other valid rows, or if a `MedIMetaError` is raised. It fails if

- another exception is raised, or the process dies;
- it takes more than CPU_SECONDS, or waits for WALL_SECONDS;
- it takes more than MEMORY bytes (address space: ADDRESS_SPACE);
- a file next to its folder is written, changed or removed;
- the format has checksums, and a row has other pixels than before.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import shutil
import signal
import sys
import time
import traceback
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medimeta.errors import MedIMetaError

from .kinds import KINDS

CPU_SECONDS = 15
WALL_SECONDS = 120
MEMORY = 1 << 30
ADDRESS_SPACE = 3 << 30
GOOD = ("equal", "valid", "refused")
MOST_MESSAGE = 20_000  # characters


class Case(NamedTuple):
    """What is mutated, and how."""

    kind: str
    seed: int


class Outcome(NamedTuple):
    """How a case ended: one of `GOOD`, or "failure" with what happened."""

    case: Case
    end: str
    what: str
    seconds: float


def run(cases: Sequence[Case], home: Path) -> Iterator[Outcome]:
    """Yield the outcomes of some cases, in order.

    Args:
        cases: The cases; those of one kind should follow each other.
        home: An empty folder to work in.
    """
    _lay_out(home)
    done = 0
    while done < len(cases):
        for outcome in _in_child(cases[done:], home):
            yield outcome
            done += 1


def _lay_out(home: Path) -> None:
    for name in ("valid", "canary", "tmp", "work/case"):
        (home / name).mkdir(parents=True)
    (home / "canary/secret").write_text("secret")


def _in_child(cases: Sequence[Case], home: Path) -> Iterator[Outcome]:
    """Yield outcomes until the last case, or the first after which the child is no longer trusted."""
    receiver, sender = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        try:
            _work(cases, home, sender)
        except BaseException:  # a fault of the fuzzer itself
            os.write(sender, json.dumps(traceback.format_exc()).encode() + b"\n")
        finally:
            os._exit(1)
    os.close(sender)
    seen, started = 0, time.monotonic()
    with os.fdopen(receiver, "rb") as pipe:
        while True:
            ready, _, _ = select.select([pipe], [], [], WALL_SECONDS)
            line = pipe.readline() if ready else b""
            if not line:
                break
            if line.strip():
                content = json.loads(line)
                if isinstance(content, str):
                    raise RuntimeError(content)
                end, what, seconds = content
                yield Outcome(cases[seen], end, what, seconds)
                seen, started = seen + 1, time.monotonic()
        if not ready:
            os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if status and seen < len(cases):
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        ends = {signal.SIGPROF: f"took more than {CPU_SECONDS} s of CPU", signal.SIGKILL: "hung"}
        why = ends.get(number, f"the process died ({signal.Signals(number).name if number else status})")
        yield Outcome(cases[seen], "failure", why, time.monotonic() - started)


def _work(cases: Sequence[Case], home: Path, pipe: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    os.environ["TMPDIR"] = str(home / "tmp")
    os.chdir(home / "work/case")
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    valid = {}
    for case in cases:
        if case.kind not in valid:
            valid[case.kind] = _prepared(case.kind, home)
        os.write(pipe, b"\n")  # still alive
        started = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        end, what = _judged(case, home, valid[case.kind])
        signal.setitimer(signal.ITIMER_PROF, 0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        if peak > MEMORY:
            end, what = "failure", f"took {peak >> 20:,} MiB; {end}: {what}"
        os.write(pipe, json.dumps([end, what[:2000], time.process_time() - started]).encode() + b"\n")
        if end == "failure":
            break
    os._exit(0)


def _prepared(kind: str, home: Path) -> dict[str, str]:
    """The valid files of a kind, and what they hold."""
    folder = home / "valid" / kind
    if not folder.exists():
        folder.mkdir()
        KINDS[kind].prepare(folder)
    place = _fresh(kind, home)
    return {name: str(value) for name, value in KINDS[kind].read(place).items()}


def _fresh(kind: str, home: Path) -> Path:
    place = home / "work/case"
    for path in place.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return Path(shutil.copytree(home / "valid" / kind, place / kind))


def _judged(case: Case, home: Path, valid: dict[str, str]) -> tuple[str, str]:
    kind = KINDS[case.kind]
    place = _fresh(case.kind, home)
    try:
        kind.mutate(np.random.default_rng([case.seed, zlib.crc32(case.kind.encode())]), place)
    except Exception:
        return "failure", f"the mutation failed: {traceback.format_exc()[-600:]}"
    before = _outside(home)
    try:
        values = {name: str(value) for name, value in kind.read(place).items()}
        end, what = ("equal" if values == valid else "valid"), ""
        if kind.strict and (other := [name for name in values if valid.get(name, values[name]) != values[name]]):
            end, what = "failure", f"silently other values: {other[:3]}"
    except MedIMetaError as error:
        end, what = "refused", f"{type(error).__name__}: {error}".replace(str(home), "HOME")
        if len(what) > MOST_MESSAGE:
            end, what = "failure", f"a message of {len(what):,} characters: {what[:300]}"
    except BaseException as error:
        what = "".join(traceback.format_exception_only(error))[-400:].strip()
        end, what = "failure", f"{what}\n{_places(error)}"
    if _outside(home) != before:
        changed = sorted(set(_outside(home)) ^ set(before))
        end, what = "failure", f"changed outside of the folder: {changed[:3]}"
    return end, what


def _places(error: BaseException) -> str:
    """The last lines of this project, and the last of all, in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    shown = [f"{re.sub('.*/(medimeta|site-packages)/', '', frame.filename)}:{frame.lineno}" for frame in frames]
    own = [line for line, frame in zip(shown, frames, strict=True) if "/medimeta/" in frame.filename]
    return " < ".join([shown[-1], *own[::-1][:3]])


def _outside(home: Path) -> list[tuple[str, int, int]]:
    """Everything that no case may change, with sizes and times."""
    entries = []
    waiting = [home, Path("/tmp/medimeta-fuzz-escaped")]
    while waiting:
        path = waiting.pop()
        if path in (home / "work/case", home / "tmp"):
            continue
        try:
            status = path.lstat()
        except OSError:
            continue
        entries.append((str(path), status.st_size, status.st_mtime_ns))
        if path.is_dir() and not path.is_symlink():
            waiting += path.iterdir()
    return entries
