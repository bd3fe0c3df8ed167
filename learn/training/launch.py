"""Start and end the processes of a training command."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

_STARTED_BY_A_LAUNCHER = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


def start_all_processes() -> None:
    """Make `accelerate launch --cpu --num_processes N -m medimeta ...` run N processes.

    On a machine without MPI, accelerate (1.15) starts a single process on the CPU and ignores the number. This process
    then starts the same program again under torchrun, N times, and never returns. In any other case nothing happens.
    """
    forgotten = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1") and "MASTER_PORT" in os.environ
    if not forgotten or any(name in os.environ for name in _STARTED_BY_A_LAUNCHER):
        return
    import psutil  # a requirement of accelerate

    parent = psutil.Process().parent()
    processes = asked_for(parent.cmdline() if parent else ())
    if processes > 1:
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        os.execv(sys.executable, [sys.executable, *torchrun, *program(), *sys.argv[1:]])  # noqa: S606  our own program


def program() -> list[str]:
    """Return this program as torchrun starts it: its module ("-m medimeta"), or its script."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]


def asked_for(command: Sequence[str]) -> int:
    """Return the number of processes in an `accelerate launch` command line; 1 if it has none.

    Args:
        command: The words of the command line.
    """
    number = re.search(r" --num[_-]processes[ =](\d+)", " " + " ".join(command))
    return int(number[1]) if number else 1


def part() -> None:
    """End the process group, if there is one; otherwise torch prints a warning."""
    from accelerate import PartialState

    PartialState().destroy_process_group()


def summed(accelerator: Accelerator, values: torch.Tensor) -> torch.Tensor:
    """Return, in every process, the sum of the tensors of all processes."""
    return cast("torch.Tensor", accelerator.reduce(values, "sum"))
