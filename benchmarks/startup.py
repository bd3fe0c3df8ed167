"""Start-up of the command line, compared with `python -c pass`: help, version, and the TAB key.

    python benchmarks/startup.py [--rounds 15]

All sides take turns in one run. The table has the CPU time of the fastest round, which hardly depends on what else the
machine does. The target is a ratio of at most 25.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys

TARGET = 25
BASE = "python -c pass"


def side(*arguments: str, words: str = "") -> tuple[list[str], dict[str, str]]:
    """Command and environment of a side; `words` is a command line whose last word is completed."""
    completing = {
        "_MEDIMETA_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    return [sys.executable, *arguments], os.environ | (completing if words else {})


SIDES = {
    BASE: side("-c", "pass"),
    "import medimeta": side("-c", "import medimeta"),
    "medimeta --version": side("-m", "medimeta", "--version"),
    "medimeta --help": side("-m", "medimeta", "--help"),
    "medimeta build --help": side("-m", "medimeta", "build", "--help"),
    "TAB after: medimeta in": side("-m", "medimeta", words="medimeta in"),
    "TAB after: medimeta info skinl": side("-m", "medimeta", words="medimeta info skinl"),
    "TAB after: medimeta episodes bus mal": side("-m", "medimeta", words="medimeta episodes bus mal"),
    "TAB after: medimeta list --domain R": side("-m", "medimeta", words="medimeta list --domain R"),
}


def cpu_seconds() -> float:
    """CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure all sides and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    best = dict.fromkeys(SIDES, float("inf"))
    for _ in range(rounds):
        for name, (command, environment) in SIDES.items():
            before = cpu_seconds()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            best[name] = min(best[name], cpu_seconds() - before)
    print("| command | CPU ms | ratio | target | |\n|---|--:|--:|--:|---|")
    for name, seconds in best.items():
        ratio = seconds / best[BASE]
        verdict = "" if name == BASE else f"{TARGET} | {'met' if ratio <= TARGET else '**missed**'}"
        print(f"| `{name}` | {seconds * 1e3:.0f} | {ratio:.1f} | {verdict or ' | '} |")


if __name__ == "__main__":
    main()
