"""A user without rights gets an error that names the place, before anything is rendered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from medimeta.builders.phantoms import write_miniature

NOBODY = 65534
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs root, to become another user"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv, to become another user"),
]


def medimeta(home, *arguments, **variables):
    """Run the command line as nobody, with a home folder that may be written."""
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", sys.executable, "-m", "medimeta"]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "HOME": str(home / "own"),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "1000",
    }
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment | variables, capture_output=True, text=True, cwd=home / "own"
    )


@pytest.fixture
def home():
    """A folder that everybody may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="medimeta-users-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        write_miniature("bus", home / "source", per_class=1, packed=False)
        (home / "own").mkdir()
        os.chown(home / "own", NOBODY, NOBODY)
        (home / "closed").mkdir()  # may be entered, but not written
        if "Dataset" not in (done := medimeta(home, "--help")).stdout and done.returncode:
            pytest.skip(f"another user cannot run Python here: {done.stderr[-200:]}")
        yield home


def build(home, out, *options, **variables):
    return medimeta(home, "build", "bus", "--source", home / "source", "--partial", "--out", out, *options, **variables)


def refused(done, name):
    assert done.returncode == 1, done.stderr
    assert str(name) in done.stderr
    assert "Traceback" not in done.stderr
    return True


def test_a_folder_of_ones_own_is_built(home):
    done = build(home, home / "own" / "hub")

    assert done.returncode == 0, done.stderr
    assert (home / "own" / "hub" / "records" / "bus" / "build.json").stat().st_uid == NOBODY


@pytest.mark.parametrize("name", ["closed", "closed/hub", "closed/a/b/hub"])
def test_a_place_that_may_not_be_written_is_named(home, name):
    assert refused(build(home, home / name), home / "closed")
    assert not list((home / "closed").iterdir())


def test_a_hub_folder_of_another_user_is_left_as_it_is(home):
    assert build(home, home / "own" / "hub").returncode == 0
    shutil.move(home / "own" / "hub", home / "hub")
    for path in [home / "hub", *(home / "hub").rglob("*")]:
        os.chown(path, 0, 0)
    before = sorted((path, path.stat().st_mtime_ns) for path in (home / "hub").rglob("*"))

    assert refused(build(home, home / "hub", "--force"), home / "hub")
    assert refused(medimeta(home, "card", home / "hub"), home / "hub")
    assert sorted((path, path.stat().st_mtime_ns) for path in (home / "hub").rglob("*")) == before
    assert medimeta(home, "verify", home / "hub").returncode == 0


def test_a_single_file_that_may_not_be_written_is_named(home):
    assert build(home, home / "own" / "hub").returncode == 0
    (home / "own" / "old.parquet").touch()
    (home / "own" / "old.parquet").chmod(0o444)
    os.chown(home / "own" / "old.parquet", 0, 0)
    (home / "own").chmod(0o555)

    for place in (home / "closed" / "leaks.parquet", home / "own" / "new.parquet", home / "own" / "old.parquet"):
        assert refused(medimeta(home, "audit", home / "own" / "hub", "--out", place), place.parent)


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_source_that_may_not_be_read_is_named(home, what):
    path = sorted((home / "source").rglob("benign" if what == "folder" else "benign (1).png"))[0]
    path.chmod(0)

    assert refused(build(home, home / "own" / "hub"), path.name)
    assert not (home / "own" / "hub" / "bus").exists()


def test_a_cache_that_may_not_be_written_is_not_needed(home):
    done = build(home, home / "own" / "hub", HF_HOME=str(home / "closed"))

    assert done.returncode == 0 or str(home / "closed") in done.stderr, done.stderr
