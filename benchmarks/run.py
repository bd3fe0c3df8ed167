"""Run all benchmarks in turn and write the page benchmarks/README.md: machine, versions, ratios, plots and tables.

    python benchmarks/run.py [--real ../shared/real] [--peer .venv-peer/bin/python] [--tiny] [--out FOLDER]

Every script prints Markdown and can be run by itself; the page has its tables as they were printed, and ratios and
plots made from them. `--tiny` takes sizes that only show that all of it runs.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import psutil
from ratios import Ratio, draw, peer, ratios, summary

HERE = Path(__file__).parent
TITLES = {
    "startup": "Starting the command line, next to an empty Python",
    "build": "Building a dataset, next to a plain loop that writes the release's layout",
    "batches": "Training batches, next to the published loader",
    "corruptions": "Corrupting batches, next to the same batches without corruption",
    "loading": "Loading, counting classes and memory, next to plain datasets",
    "episodes": "Drawing episodes",
    "evaluation": "Scoring episodes and resamples, next to scikit-learn",
    "encoders": "Computing features, next to the bare forward pass",
    "probes": "Protocols on features, next to scikit-learn",
    "push": "Publishing, next to DatasetDict.push_to_hub",
    "faults": "Publishing and downloading through faults",
}
TINY = {
    "startup": ["--rounds", "1"],
    "build": ["--rows", "64", "--rounds", "1"],
    "batches": ["--rows", "64", "--rounds", "1", "--datasets", "bus"],
    "corruptions": ["--rounds", "1"],
    "loading": ["--rows", "600", "--served", "300", "--some", "64"],
    "episodes": ["--episodes", "5", "--rounds", "1"],
    "evaluation": ["--episodes", "5", "--resamples", "3", "--rows", "100", "--rounds", "1"],
    "encoders": ["--images", "4", "--rounds", "1"],
    "probes": ["--rows", "300", "--queries", "60", "--width", "32", "--episodes", "1"],
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


def measured(name: str, options: list[str]) -> tuple[str, float]:
    """What a benchmark prints, and its seconds."""
    started = time.perf_counter()
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return shown, time.perf_counter() - started


def section(name: str, shown: str, seconds: float, bars: list[Ratio], out: Path) -> str:
    """The part of the page about one benchmark; its plot is written next to the page."""
    code = (HERE / f"{name}.py").read_text(encoding="utf-8")
    _, _, told = (ast.get_docstring(ast.parse(code)) or "").split("\n\n", 2)  # without title and command
    parts = [f"## {TITLES[name]}", f"[`benchmarks/{name}.py`]({name}.py), {seconds:.0f} s. {told}"]
    if bars:
        draw(bars, peer(name, shown), out / f"{name}.png")
        parts.append(f"![{TITLES[name]}: ratios]({name}.png)")
    return "\n\n".join([*parts, shown.strip()])


def main() -> None:
    """Run, show and write; a benchmark that fails ends the run before anything is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of the real samples; miniatures without it")
    parser.add_argument("--peer", type=Path, help="python of the peer's environment")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--only", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--out", type=Path, default=HERE, help="folder that gets README.md and the plots")
    arguments = parser.parse_args()
    found = {}
    for name in arguments.only:
        options = list(TINY[name]) if arguments.tiny else []
        if arguments.real and name in ("build", "batches"):
            options += ["--real", str(arguments.real)]
        if arguments.peer and name == "batches":
            options += ["--peer", str(arguments.peer)]
        print(f"{name} ...", flush=True)
        found[name] = measured(name, options)
        print(found[name][0], flush=True)
    bars = {name: ratios(name, shown) for name, (shown, _) in found.items()}
    minutes = sum(seconds for _, seconds in found.values()) / 60
    images = "real samples" if arguments.real else "drawn miniatures"
    parts = [
        "# Benchmarks",
        f"`make bench` makes this page, here from {images} in {minutes:.1f} minutes; `make bench PEER=1` also "
        "measures the published loader. The sides take turns in one run. A ratio over 1x is in our favour. "
        "[`run.py`](run.py) runs the scripts, and [`ratios.py`](ratios.py) makes ratios and plots of what they print.",
        *(["**Sizes are tiny here: they show that everything runs, and nothing else.**"] if arguments.tiny else []),
        machine(),
        "## Targets",
        "A limit (at most so many seconds or MB) is given as the ratio that meeting it exactly would give.",
        summary(bars),
        *(section(name, *found[name], bars[name], arguments.out) for name in found),
    ]
    (arguments.out / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
