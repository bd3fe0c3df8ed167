"""The command line, as tests run it: in this process, which is quick, or in a new one."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from medimeta.cli.app import main

EDITABLE = Path(__file__).parents[3] / ".editable"
WIDE = {"COLUMNS": "200"}


def medimeta(*arguments, **environment):
    """Run a command in this process, in a pipe; return what `subprocess.run` would."""
    code, shown, said = 0, StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown), redirect_stderr(said):
        for name, value in (WIDE | environment).items():
            patch.setenv(name, value)
        try:
            main(list(map(str, arguments)))
        except SystemExit as ended:
            code = ended.code or 0
    return subprocess.CompletedProcess(arguments, code, shown.getvalue(), said.getvalue())


def new_process(*arguments, package=EDITABLE, module="medimeta", **options):
    """Run a command in a new process, in a pipe.

    Args:
        arguments: Of the command.
        package: Folder with the package.
        module: What `python -m` runs.
        options: For `subprocess.run`; text, unless they say otherwise.
    """
    environment = os.environ | WIDE | {"PYTHONPATH": str(package)} | options.pop("env", {})
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, **({"text": True} | options))
