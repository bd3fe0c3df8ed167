"""Run the examples of the documentation as they are, and compare the output."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

from .processes.shell import EDITABLE, medimeta, new_process

ROOT = Path(__file__).parents[2]
BLOCKS = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIES = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE  # "..." replaces what varies
MODULES = {"medimeta": "medimeta", "pytest": "pytest"}  # the commands that pages may show


def run_python(text, page, session):
    """Run a Python block in a session; return the session."""
    runner = doctest.DocTestRunner(optionflags=VARIES)
    test = doctest.DocTestParser().get_doctest(text, session, page, page, 0)
    assert test.examples, f"{page}: a python block without >>> shows no output that could be compared:\n{text}"
    shown = []
    runner.run(test, out=shown.append, clear_globs=False)
    assert not runner.failures, "".join(shown)
    return test.globs


def run_console(text, page, package=None):
    """Run the commands of a console block.

    Args:
        text: The block.
        page: Its page, for messages.
        package: The folder whose `medimeta` is run, in new processes; this process runs its own otherwise.
    """
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, wanted = part.partition("\n")
        name, *arguments = shlex.split(line)
        assert name in MODULES, f"{page}: only {' and '.join(MODULES)} are run, found: {line}"
        done = (
            medimeta(*arguments)
            if name == "medimeta" and package is None
            else new_process(*arguments, package=package or EDITABLE, module=MODULES[name])
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert doctest.OutputChecker().check_output(wanted, done.stdout, VARIES), f"{line}\n{done.stdout}"
