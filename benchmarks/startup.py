"""Start-up of the command line, compared with `python -c pass`: help, version, and the TAB key.

    python benchmarks/startup.py [--rounds 15]

All sides take turns in one run; a ratio is that of the fastest rounds. The target is a ratio of at most 25.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

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


def main() -> None:
    """Measure all sides and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    best = dict.fromkeys(SIDES, float("inf"))
    for _ in range(rounds):
        for name, (command, environment) in SIDES.items():
            started = time.perf_counter()
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
            best[name] = min(best[name], time.perf_counter() - started)
    print("| command | ms | ratio | target | |\n|---|--:|--:|--:|---|")
    for name, seconds in best.items():
        ratio = seconds / best[BASE]
        verdict = "" if name == BASE else f"{TARGET} | {'met' if ratio <= TARGET else '**not met**'}"
        print(f"| `{name}` | {seconds * 1e3:.0f} | {ratio:.1f} | {verdict or ' | '} |")


if __name__ == "__main__":
    main()
