"""A build that is killed at any step leaves the old dataset or the new one, and the next build completes it."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from fakes.processes.killed import build_slices, start
from medimeta.builders import rows
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.upload.folder import shards
from medimeta.upload.folder.card_files import OUTDATED
from medimeta.upload.folder.writing import build

PARTIAL = Options(partial=True)


def contents(place: Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


def build_one(dataset, raw, out, options=PARTIAL, **more):
    return build(open_source(dataset, raw, options), out, version="0", **more)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=10)


@pytest.fixture
def slices(monkeypatch):
    """Shards of four rows, as `build_slices` makes them in another process."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    for module in (shards, rows):
        monkeypatch.setattr(module, "BATCH", 4)


def killed(raw, out, step, *, how=signal.SIGKILL, processes=1):
    """Whether a build was killed at a step, or was done before."""
    process = start(build_slices, raw, out, "bus", processes, step, how)
    process.join()
    return process.exitcode != 0


def check_killed_at(steps, raws, home):
    """Kill a build that replaces another one at some steps, each time from the same state, and run it again."""
    out, first = home / "work" / "hub", home / "first"
    build_one("bus", raws[0], out)
    (out / "bus" / "notes.txt").write_text("mine")
    shutil.copytree(out.parent, first)
    old = contents(out)
    build_one("bus", raws[1], out)
    new, seen = contents(out), Counter()
    for step in steps:
        shutil.rmtree(out.parent)
        shutil.copytree(first, out.parent)
        if not killed(raws[1], out, step):
            assert contents(out) == new
            break
        state = {name: data for name, data in contents(out).items() if not Path(name).name.startswith(".")}
        of_data, of_old, of_new = (
            {name: data for name, data in files.items() if name.startswith("bus/")} for files in (state, old, new)
        )
        assert of_data in (of_old, of_new)
        assert all(data in (old.get(name), new.get(name)) for name, data in state.items())
        card_is_old = state["README.md"] != new["README.md"]
        assert (out / OUTDATED).exists() or of_data == of_old or not card_is_old
        seen["new" if of_data == of_new else "old"] += 1
        build_one("bus", raws[1], out)
        assert contents(out) == new
        assert {path.name for path in (out.parent / ".hub.medimeta").iterdir()} == {
            "built.json", "bus.holder", "bus.lock", "lock",
        }  # fmt: skip
    return seen


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    return [write_miniature("bus", tmp_path_factory.mktemp("raws"), per_class=number) for number in (2, 3)]


@pytest.mark.slow
@pytest.mark.usefixtures("slices")
def test_killed_at_some_steps_the_dataset_is_old_or_new_and_the_next_build_completes_it(raws, tmp_path):
    seen = check_killed_at(range(3, 1000, 14), raws, tmp_path)

    assert seen["old"] > 2
    assert seen["new"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("slices")
def test_killed_at_every_step(raws, tmp_path):
    assert check_killed_at(range(1, 1000), raws, tmp_path).total() > 40


@pytest.mark.usefixtures("slices")
@pytest.mark.slow
def test_interrupted_again_and_again_a_build_ends_as_if_it_never_was(tmp_path):
    """By SIGINT or SIGKILL, each time resuming where the last one ended."""
    raw = write_miniature("bus", tmp_path / "raw", per_class=8)
    out, whole = tmp_path / "work" / "hub", tmp_path / "whole"
    build_one("bus", raw, whole)
    staged = []
    for number in range(30):
        how = (signal.SIGINT, signal.SIGKILL)[number % 2]
        if not killed(raw, out, 20 + number % 5, how=how, processes=2 if number == 3 else 1):
            break
        staged.append(len(list(out.parent.glob(".hub.medimeta/bus-*/[!.]*.parquet"))))

    assert len(staged) > 3
    assert staged == sorted(staged)
    build_one("bus", raw, out)
    assert contents(out) == contents(whole)
    assert not list(out.rglob(".*"))
