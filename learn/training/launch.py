"""Starting the processes that a training script was asked to run in."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence

from ...errors import MedIMetaError

_STARTED_BY_A_LAUNCHER = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


def run(main: Callable[[], object]) -> None:
    """Call a script's main function in all processes; a user's mistake ends in a message, not in a traceback."""
    start_all_processes()
    try:
        main()
        _part()
    except MedIMetaError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("Interrupted. The same command with --resume goes on.", file=sys.stderr)  # noqa: T201
        raise SystemExit(130) from None


def _part() -> None:
    """Let the processes, if there are several, part in an orderly way; torch warns of those that just end."""
    from accelerate import PartialState

    PartialState().destroy_process_group()


def start_all_processes() -> None:
    """Make `accelerate launch --cpu --num_processes N` run N processes.

    On a machine without MPI, accelerate (1.15) starts a single process on the CPU and drops the number without a word.
    This process then starts the script again under torchrun, N times, and never returns. In any other case nothing
    happens.
    """
    forgotten = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1") and "MASTER_PORT" in os.environ
    if not forgotten or any(name in os.environ for name in _STARTED_BY_A_LAUNCHER):
        return
    import psutil  # a requirement of accelerate

    processes = asked_for(psutil.Process().parent().cmdline())
    if processes > 1:
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        os.execv(sys.executable, [sys.executable, *torchrun, *sys.argv])  # noqa: S606  our own script


def asked_for(command: Sequence[str]) -> int:
    """Number of processes that an `accelerate launch` command asks for; 1 where it does not say.

    Args:
        command: The words of the command line.
    """
    found = re.search(r" --num[_-]processes[ =](\d+)", " " + " ".join(command))
    return int(found[1]) if found else 1
