"""Readers with one fault each, to test the driver: prints the end of each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz import driver
from fuzz.kinds import Kind
from medimeta.errors import MedIMetaError


def prepare(folder):
    (folder / "file").write_bytes(b"valid")


def kind(fault, *, strict=False):
    """A kind whose reader has a fault for all but the valid file."""

    def read(folder):
        content = (folder / "file").read_bytes()
        return {"": content} if content == b"valid" else fault(folder)

    return Kind(prepare, {"file": lambda rng, data: b"mutated"}, read, strict)


def refuse(folder):
    raise MedIMetaError("refused")


def hang(folder):
    while True:
        pass


FAULTS = {
    "equal": kind(lambda folder: {"": b"valid"}),
    "other": kind(lambda folder: {"": b"other"}),
    "refused": kind(refuse),
    "raises": kind(lambda folder: {}["x"]),
    "hangs": kind(hang),
    "dies": kind(lambda folder: os.abort()),
    "grows": kind(lambda folder: {"": len(bytearray(os.urandom(1)) * (driver.MEMORY + 10**8))}),
    "writes outside": kind(lambda folder: {"": (folder / "../../../canary/new").write_text("x")}),
    "silently other": kind(lambda folder: {"": b"other"}, strict=True),
    "equal again": kind(lambda folder: {"": b"valid"}),
}

if __name__ == "__main__":
    driver.KINDS, driver.CPU_SECONDS = FAULTS, 1
    for case, end, _, _ in driver.run([driver.Case(name, 0) for name in FAULTS], Path(sys.argv[1])):
        print(f"{case.kind}: {end}", flush=True)
