"""Follow README.md to the letter, as someone does who has nothing but Python, make and git.

    python benchmarks/newcomer.py [--no-test]

The last commit is cloned into an empty folder with an empty home directory and no cache of packages; from there the
two commands are run, the lines under "Install" in a new environment (with the versions that make pins), and all
examples on what `make demo` left. Times are printed. The first thing that differs from the page ends it.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEPT = re.compile("PATH|LANG|(PIP|SSL)_.*|.*_CA_BUNDLE")  # of the surroundings: how to reach the package index
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = """
import sys
from pathlib import Path
import pytest
sys.path.insert(0, "tests")
from test_readme import run_page
with pytest.MonkeyPatch.context() as patch:
    print(run_page("README.md", Path.cwd(), patch), "blocks gave what is shown")
"""


def main() -> None:
    """Run everything and print what took how long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-test", action="store_true", help="leave out `make test`, which takes minutes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        newcomer = Newcomer(Path(temporary))
        newcomer.run("git", "clone", "--quiet", str(ROOT), "medimeta", inside=newcomer.folder)
        for line in newcomer.lines("make "):
            if line != "make test" or not arguments.no_test:
                newcomer.run(*shlex.split(line))
            if line == "make demo":
                newcomer.run("make", ".venv/ready", shown="the installation for make test")
                newcomer.run(".venv/bin/python", "-c", EXAMPLES, shown="the examples of README.md")
        newcomer.run(sys.executable, "-m", "venv", "../fresh")
        for line in newcomer.lines("pip install "):
            newcomer.run("../fresh/bin/pip", *shlex.split(line)[1:], shown=line)
        newcomer.run("../fresh/bin/medimeta", "demo", "--out", "../demo", shown="medimeta demo, installed")


class Newcomer:
    """Someone in an empty home directory.

    Attributes:
        folder: Where everything happens.
        home: The clone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "medimeta"
        (folder / "home").mkdir()
        found = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
        self.surroundings = found | {
            "HOME": str(folder / "home"),
            "PIP_NO_CACHE_DIR": "1",
            "PIP_CONSTRAINT": str(self.home / "constraints.txt"),
        }

    def lines(self, start: str) -> list[str]:
        """The commands of README.md that begin like this, without their comments."""
        text = "".join(SHELL.findall((self.home / "README.md").read_text(encoding="utf-8")))
        found = [line.partition("#")[0].strip() for line in text.splitlines() if line.startswith(start)]
        if not found:
            raise SystemExit(f"README.md has no line that begins with {start!r}.")
        return found

    def run(self, *command: str, inside: Path | None = None, shown: str | None = None) -> None:
        """Run a command; end everything with its output if it fails."""
        started = time.perf_counter()
        done = subprocess.run(
            command, cwd=inside or self.home, env=self.surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output = done.stdout.decode(errors="replace")
        print(f"{time.perf_counter() - started:7.1f} s  {shown or shlex.join(command)}", flush=True)
        last = [line for line in output.splitlines() if line.strip()][-3:]
        print("".join(f"           {line.strip()[:100]}\n" for line in last), end="", flush=True)
        if done.returncode:
            raise SystemExit(f"It ended with {done.returncode}:\n{output}")


if __name__ == "__main__":
    main()
