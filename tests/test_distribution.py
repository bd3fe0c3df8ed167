"""The wheel and the sdist as the package index would hand them out: whole, equal, and running where nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from fakes.tars import unpack

ROOT = Path(__file__).parents[1]
ROOMS = ("builders", "cards", "cli", "files", "learn", "upload")


def run(*command, cwd, **environment):
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel of the checkout, an sdist of it, and a wheel of the sdist."""
    home = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", home / "first", cwd=ROOT)
    (sdist,) = (home / "first").glob("*.tar.gz")
    unpack(sdist, home)
    unpacked = home / sdist.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", home / "second", cwd=unpacked)
    return next((home / "first").glob("*.whl")), sdist, next((home / "second").glob("*.whl"))


def content(wheel):
    with zipfile.ZipFile(wheel) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_metadata_passes_the_index_check(built):
    run(sys.executable, "-m", "twine", "check", "--strict", *built[:2], cwd=ROOT)


def test_sdist_builds_an_equal_wheel(built):
    assert content(built[2]) == content(built[0])


def test_every_file_of_the_rooms_is_in_the_wheel(built):
    here = {f"medimeta/{path.relative_to(ROOT)}" for room in ROOMS for path in (ROOT / room).rglob("*")}
    here = {name for name in here if (ROOT / name.removeprefix("medimeta/")).is_file() and "__pycache__" not in name}

    assert here == {name for name in content(built[0]) if name.split("/")[1] in ROOMS}


@pytest.mark.e2e
def test_demo_runs_where_only_the_wheel_is_installed(built, tmp_path):
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    options = ("--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, built[0], cwd=tmp_path)
    (site,) = (tmp_path / "env" / "lib").glob("*/site-packages")
    assert {path.name.partition("-")[0] for path in site.iterdir()} == {"medimeta", "medimeta_hf"}
    # Its dependencies are those of this environment, added as a path so that no editable install comes along.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    here = tmp_path / "here"
    here.mkdir()

    shown = run(python, "-c", "import medimeta; print(medimeta.__file__)", cwd=here)
    assert shown.startswith(str(site))
    run(tmp_path / "env/bin/medimeta", "demo", "--out", "demo", cwd=here, HF_HOME=str(tmp_path / "hf"))
    for name in ("montage.png", "hub", "bus/case_category/curve.png", "bus/case_category/result.json"):
        assert (here / "demo" / name).exists()
