"""Fuzz everything that reads files: `python tests/fuzz/run.py --count 10000 --seed 1 [--kind zip ...]`.

Prints how the cases of each kind ended, and writes those that failed to failures.yaml: kind, seed, what happened.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
    os.environ[name] = "1"  # read when `datasets` is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml  # noqa: E402

from fuzz.driver import GOOD, Case, run  # noqa: E402
from fuzz.kinds import KINDS  # noqa: E402


def main() -> int:
    """Run the command; returns 1 if a case failed."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--count", type=int, default=2000, help="number of cases, divided among the kinds")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case of each kind, times a million")
    parser.add_argument("--kind", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="KIND")
    parser.add_argument("--cases", type=Path, help="a YAML file of cases to run instead, such as failures.yaml")
    parser.add_argument("--out", type=Path, default=Path("failures.yaml"), help="where failures are written")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    options = parser.parse_args()
    if options.cases:
        listed = yaml.safe_load(options.cases.read_text(encoding="utf-8"))
        cases = sorted(Case(entry["kind"], entry["seed"]) for entry in listed if entry["kind"] in options.kind)
    else:
        each = -(-options.count // len(options.kind))
        cases = [Case(kind, options.seed * 10**6 + n) for kind in options.kind for n in range(each)]
    ends: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: Counter[str] = Counter()
    failures = []
    with tempfile.TemporaryDirectory(prefix="medimeta-fuzz-") as home:
        for case, end, what, took in run(cases, Path(home).resolve()):
            ends[case.kind][end] += 1
            seconds[case.kind] += took
            if end not in GOOD:
                failures.append({"kind": case.kind, "seed": case.seed, "what": what})
            if end not in GOOD or options.verbose:
                print(f"{case.kind} {case.seed}: {end} {what}", flush=True)
    columns = (*GOOD, "failure")
    print(f"{'kind':14}" + "".join(f"{name:>9}" for name in columns) + f"{'ms each':>9}")
    for kind, counts in ends.items():
        each_took = 1000 * seconds[kind] / counts.total()
        print(f"{kind:14}" + "".join(f"{counts[name]:9,}" for name in columns) + f"{each_took:9.0f}")
    if failures:
        options.out.write_text(yaml.safe_dump(failures, sort_keys=False, allow_unicode=True), encoding="utf-8")
        print(f"{len(failures):,} of {len(cases):,} cases failed; they are in {options.out}")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
