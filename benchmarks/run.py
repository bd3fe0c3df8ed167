"""Run all benchmarks in turn and write benchmarks/README.md: machine, versions, and the tables as they were printed.

    python benchmarks/run.py [--real ../shared/real] [--peer .venv-peer/bin/python] [--tiny] [--out FOLDER]

Every script prints Markdown and can be run by itself. `--tiny` takes sizes that only show that all of it runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import psutil

HERE = Path(__file__).parent
TITLES = {
    "build": "Building a dataset, beside a plain loop that writes the release's layout",
    "batches": "Training batches, beside the published loader",
    "loading": "Loading, counting classes and memory, beside plain `datasets`",
    "episodes": "Drawing episodes",
    "push": "Publishing, beside DatasetDict.push_to_hub",
    "faults": "Publishing and downloading through faults",
}
TINY = {
    "build": ["--rows", "64", "--rounds", "1"],
    "batches": ["--rows", "64", "--rounds", "1", "--datasets", "bus"],
    "loading": ["--rows", "600", "--served", "300", "--some", "64"],
    "episodes": ["--episodes", "5", "--rounds", "1"],
    "push": ["--per-class", "2"],
    "faults": ["--faults", "20"],
}
PACKAGES = ("datasets", "huggingface_hub", "pyarrow", "numpy", "Pillow", "torch")


def machine() -> str:
    """Processor, cores, memory and versions; nothing that names the machine."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{model}, {os.cpu_count()} core(s), {memory:.0f} GiB; Python {platform.python_version()}, {versions}."


def main() -> None:
    """Run, show and write; a benchmark that fails ends the run before anything is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of the real samples; miniatures without it")
    parser.add_argument("--peer", type=Path, help="python of the peer's environment")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--only", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--out", type=Path, default=HERE, help="where README.md is written")
    arguments = parser.parse_args()
    images = "real samples" if arguments.real else "miniatures"
    parts = [
        "# Benchmarks",
        f"Made by `make bench` on {images}{' of tiny sizes' if arguments.tiny else ''}.",
        machine(),
    ]
    for name in arguments.only:
        options = list(TINY[name]) if arguments.tiny else []
        if arguments.real and name in ("build", "batches"):
            options += ["--real", str(arguments.real)]
        if arguments.peer and name == "batches":
            options += ["--peer", str(arguments.peer)]
        print(f"{name} ...", flush=True)
        started = time.perf_counter()
        command = [sys.executable, str(HERE / f"{name}.py"), *options]
        shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        print(shown, flush=True)
        parts += [f"## {TITLES[name]}", f"`python benchmarks/{name}.py`, {time.perf_counter() - started:.0f} s.", shown]
    page = "\n\n".join(part.strip() for part in parts) + "\n"
    (arguments.out / "README.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
