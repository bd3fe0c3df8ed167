"""What a push and a download survive: faults at random against a Hub on loopback, counted by kind.

    python benchmarks/faults.py

Each round starts from a Hub with a release of two datasets and files of someone else. It publishes a new release of one
of them with the real client, by turns over LFS and Xet, while four requests in ten, and eight commits in ten, go wrong;
then it downloads the repository in the same weather. A fault is survived when the branch holds the new release whole,
made by one commit, the other dataset and all foreign files as they were, and never held anything in between when a push
gave up; and when the download is equal byte for byte (a damaged answer looks like any other, so that hashes are asked
for afterwards). Printed: a Markdown table. Threads of the client take turns as they like, so that the numbers differ a
little from run to run.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import huggingface_hub
import pytest
from huggingface_hub import HfApi, file_download

from fakes.hub import Fault, Hub
from fakes.publishing import REPO, build_folder, holds, other_client, publish, without_waiting
from medimeta.errors import PushFailed
from medimeta.files.remote.retry import FAILURES

FOREIGN = {"notes.txt": b"mine", "mydata/train-00000-of-00001.parquet": b"mine too"}
STATUSES = (408, 429, 500, 502, 503, 504)


class Weather:
    """Faults at random, and how many there were of each kind."""

    def __init__(self, hub: Hub, rng: random.Random) -> None:
        self.hub, self.rng, self.races = hub, rng, 0
        self.counts: Counter[str] = Counter()

    def __call__(self, request: str) -> Fault | None:
        """The fault of a request."""
        if self.rng.random() >= (0.8 if "/commit/" in request else 0.4):
            return None
        kinds = ["status", "reset", "lost", "cut" if request[0] == "P" else "truncate"]
        kinds += ["corrupt"] * ("/resolve/" in request)
        kinds += ["late", "race"] * ("/commit/" in request)
        kind = self.rng.choice(kinds)
        status = self.rng.choice([*STATUSES, *([409, 412] if "/commit/" in request else [])])
        self.counts[f"status {status}" if kind == "status" else kind] += 1
        if kind == "race":
            return Fault("meanwhile", act=self._race)
        return Fault(kind, status=status)

    def _race(self) -> None:
        self.races += 1
        self.hub.commit(REPO, {f"theirs-{self.races}.txt": b"theirs"})


def pushed(hub: Hub, folders: tuple[Path, Path, Path], weather: Weather) -> str:
    """Publish until it is done, and say what is on the branch then."""
    old, new, both = folders
    before = len(list(hub.repos[REPO].history()))
    hub.trouble, done, torn = weather, False, 0
    while not done:
        try:
            done = bool(publish(hub, new))
        except PushFailed:  # the user tries again
            theirs = FOREIGN | {f"theirs-{n + 1}.txt": b"theirs" for n in range(weather.races)}
            torn += not (holds(hub, old, foreign=theirs) or holds(hub, both, foreign=theirs))
    hub.fail()
    time.sleep(0.1)  # for commits that come late
    theirs = FOREIGN | {f"theirs-{n + 1}.txt": b"theirs" for n in range(weather.races)}
    made = len(list(hub.repos[REPO].history())) - before - weather.races
    whole = holds(hub, both, foreign=theirs) and made == 1 and not torn
    return "" if whole else f"not the new release in one commit ({made} made, {torn} states in between)"


def downloaded(hub: Hub, place: Path, weather: Weather) -> str:
    """Download until the hashes are right, and say what is in the folder then."""
    api, wanted = HfApi(hub.url, hub.token), hub.files(REPO)
    hub.trouble = weather
    for _ in range(200):
        with suppress(*FAILURES):
            api.snapshot_download(REPO, repo_type="dataset", local_dir=place, cache_dir=place / "cache")
            hub.trouble = lambda request: None
            found = api.verify_repo_checksums(REPO, repo_type="dataset", local_dir=place)
            if not found.mismatches and not found.missing_paths:
                break
            for mismatch in found.mismatches:
                (place / mismatch["path"]).unlink()
                (place / ".cache" / "huggingface" / "download" / f"{mismatch['path']}.metadata").unlink()
        hub.trouble = weather
    hub.fail()
    found_files = {path: (place / path).read_bytes() for path in wanted if (place / path).is_file()}
    lacking = len(wanted) - len(found_files)
    damaged = sum(data != wanted[path] for path, data in found_files.items())
    return f"{lacking} files missing, {damaged} damaged" if lacking or damaged else ""


def main() -> None:
    """Count faults and what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=250, help="at least so many in pushes and in downloads")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    huggingface_hub.logging.set_verbosity_error()
    injected: dict[str, Counter[str]] = {"push": Counter(), "download": Counter()}
    failed: dict[str, Counter[str]] = {"push": Counter(), "download": Counter()}
    states: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as temporary:
        patch.setattr(file_download, "time", SimpleNamespace(sleep=lambda seconds: None))
        home = Path(temporary)
        old = build_folder(home, {"bus": 3, "crc": 1}, name="old")
        new = build_folder(home, {"bus": 4}, seed=1, name="new")
        build_folder(home, {"crc": 1}, name="both")
        folders = (old, new, build_folder(home, {"bus": 4}, seed=1, name="both"))
        number = 0
        while min(counts.total() for counts in injected.values()) < arguments.faults or number % 2:
            without_waiting(patch, lfs=number % 2 == 0)  # by turns LFS and Xet
            with Hub(home / str(number), part_bytes=60_000) as hub, other_client():
                publish(hub, old)
                hub.commit(REPO, FOREIGN)
                steps: tuple[tuple[str, Any], ...] = (
                    ("push", lambda weather, hub=hub: pushed(hub, folders, weather)),
                    ("download", lambda weather, hub=hub, n=number: downloaded(hub, home / f"copy{n}", weather)),
                )
                for step, run in steps:
                    weather = Weather(hub, random.Random(f"{arguments.seed} {number} {step}"))
                    wrong = run(weather)
                    injected[step] += weather.counts
                    states[f"{step}: {wrong or 'whole'}"] += 1
                    failed[step] += weather.counts if wrong else Counter()
            number += 1
    print("| step | fault | injected | survived | final state |\n|---|---|--:|--:|---|")
    whole = {"push": "the new release, one commit, foreign files untouched", "download": "equal, byte for byte"}
    for step, counts in injected.items():
        for kind, count in sorted(counts.items()):
            lost = failed[step][kind]
            print(f"| {step} | {kind} | {count} | {count - lost} | {'see below' if lost else whole[step]} |")
    total, lost = (sum(c.total() for c in table.values()) for table in (injected, failed))
    print(
        f"| all | | {total} | {total - lost} | {'; '.join(f'{n} x {state}' for state, n in sorted(states.items()))} |"
    )
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
