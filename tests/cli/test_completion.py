"""Shell completion in a real bash: installed as the command says, and asked with the Tab key."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

from fakes.pages import ROOT

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
BELL_OR_ESCAPE = re.compile(r"\x07|\x1b\[[0-9;?]*[A-Za-z]")


class Bash:
    """An interactive bash on its own terminal, in an empty home directory."""

    def __init__(self, home):
        bin_folder = home / "bin"
        bin_folder.mkdir()
        command = bin_folder / "medimeta"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m medimeta "$@"\n')
        command.chmod(0o755)
        (home / ".inputrc").write_text("set enable-bracketed-paste off\nset completion-query-items 0\n")
        self.environment = os.environ | {
            "HOME": str(home),
            "INPUTRC": str(home / ".inputrc"),
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / ".editable"),
            "TERM": "dumb",
            "COLUMNS": "200",
        }
        self.start()

    def start(self):
        """Open a terminal, as a user does; bash reads what is in its home."""
        self.terminal, own = pty.openpty()
        self.process = subprocess.Popen(
            ["bash", "-i"], stdin=own, stdout=own, stderr=own, env=self.environment, start_new_session=True
        )
        os.close(own)

    def end(self):
        """Close it."""
        os.close(self.terminal)
        self.process.wait(timeout=30)

    def read_until(self, wanted, seconds=60):
        """What is shown until a pattern is."""
        shown, deadline = "", time.monotonic() + seconds
        while not re.search(wanted, shown):
            ready, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"waited for {wanted!r}: {shown!r}"
            shown += BELL_OR_ESCAPE.sub("", os.read(self.terminal, 65536).decode())
        return shown

    def run(self, line):
        """What a command prints."""
        os.write(self.terminal, f"{line}; echo en''ded\n".encode())
        return self.read_until(r"\nended\r\n")

    def press_tab(self, line, wanted):
        """Type the beginning of a line and press Tab: what is shown until a pattern is; the line is thrown away."""
        os.write(self.terminal, f"{line}\t".encode())
        shown = self.read_until(wanted)
        os.write(self.terminal, b"\x15")
        self.run("true")
        return shown


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    bash = Bash(tmp_path_factory.mktemp("home"))
    assert "bash completion installed" in bash.run("medimeta --install-completion")
    bash.end()
    bash.start()  # it takes effect in a new terminal, as the command says
    yield bash
    bash.end()


def test_completion_is_installed_for_the_command(bash):
    assert "complete -o default -F _medimeta_completion medimeta" in bash.run("complete -p medimeta")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("medimeta info skinl_d", "medimeta info skinl_derm "),
        ("medimeta episodes bus mal", "medimeta episodes bus malignancy "),
        ("medimeta episodes bus --split train+va", r"--split train\+validation "),
        ("medimeta list --domain Abd", r"--domain Abdominal\\ CT "),  # as one word
        ("medimeta prev", "medimeta preview "),
    ],
)
def test_tab_completes_the_word(bash, line, wanted):
    bash.press_tab(line, wanted)


def test_a_second_tab_shows_the_choices(bash):
    shown = bash.press_tab("medimeta info dr_\t", r"dr_regular\s+dr_uwf")

    assert "dr_regular" in shown
