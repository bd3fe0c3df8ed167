"""Where a build goes: links, mount points, the working directory, shared folders, folders with other files."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.errors import MedIMetaError
from medimeta.upload.folder import workshop, writing
from medimeta.upload.folder.workshop import FolderInUse, Workshop
from medimeta.upload.folder.writing import NotAHubFolder, build
from medimeta.upload.verify.findings import clean
from medimeta.upload.verify.folder import verify_folder

root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs root")


@pytest.fixture(scope="module")
def raws(tmp_path_factory):
    home = tmp_path_factory.mktemp("raw")
    return [write_miniature("bus", home / str(seed), per_class=2, seed=seed) for seed in (0, 1)]


def build_bus(raw, out):
    return build(open_source("bus", raw, Options(partial=True)), out, version="0")


def build_twice(raws, out):
    """Build, and build over it from another source; the folder is complete after each."""
    for raw in raws:
        build_bus(raw, out)
        assert clean(verify_folder(out))
        assert {path.name for path in out.iterdir()} - {".medimeta"} == {
            "LICENSE.md", "README.md", "assets", "bus", "croissant.json", "eval.yaml", "records",
        }  # fmt: skip


@contextmanager
def mounted(place, *what):
    place.mkdir(parents=True)
    done = subprocess.run(["mount", *what, str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("cannot mount here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_link_to_another_disk_stays_one(raws, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "hub").symlink_to("disk/hub")  # its target is not there yet

    build_twice(raws, tmp_path / "hub")

    assert (tmp_path / "hub").is_symlink()
    assert (tmp_path / "disk" / "hub" / "bus").is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "hub"}


def test_a_datasets_folder_that_is_a_link_stays_one(raws, tmp_path):
    (tmp_path / "disk" / "bus").mkdir(parents=True)
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "bus").symlink_to("../disk/bus")

    build_twice(raws, tmp_path / "hub")

    assert (tmp_path / "hub" / "bus").is_symlink()
    assert (tmp_path / "hub" / "records" / "bus" / "build.json").is_file()


def test_the_working_directory(raws, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = Path.cwd().stat().st_ino

    build_twice(raws, Path())

    assert Path.cwd().stat().st_ino == before


@root
@pytest.mark.parametrize("kind", ["other file system", "same file system"])
def test_a_mount_point(raws, tmp_path, kind):
    (tmp_path / "disk").mkdir()
    what = ("-t", "tmpfs", "tmpfs") if kind == "other file system" else ("--bind", str(tmp_path / "disk"))
    with mounted(tmp_path / "hub", *what) as out:
        build_twice(raws, out)


@root
def test_a_mounted_dataset_is_refused_before_anything_is_rendered(raws, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "to_table", lambda *_: pytest.fail("rendered"))
    with (
        mounted(tmp_path / "hub" / "bus", "-t", "tmpfs", "tmpfs") as own,
        pytest.raises(MedIMetaError, match="do not mount"),
    ):
        build_bus(raws[0], own.parent)


@root
@pytest.mark.parametrize("writable", ["hub", "nothing"])
def test_a_parent_that_may_not_be_written(raws, tmp_path, monkeypatch, writable):
    out = tmp_path / "parent" / "hub"
    out.mkdir(parents=True)
    if writable == "hub":
        os.chown(out, 65534, 65534)
    for place in (raws[0], *raws[0].parents, tmp_path, *tmp_path.parents):
        if place.stat().st_uid == os.getuid() and "pytest" in str(place):
            place.chmod(place.stat().st_mode | 0o055)
    (tmp_path / "parent").chmod(0o755)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        if writable == "hub":
            build_bus(raws[0], out)
            assert clean(verify_folder(out))
        else:
            monkeypatch.setattr(writing, "to_table", lambda *_: pytest.fail("rendered"))
            with pytest.raises(MedIMetaError, match="cannot be written"):
                build_bus(raws[0], out)
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert [path.name for path in (tmp_path / "parent").iterdir()] == ["hub"]


@root
def test_a_shared_folder_keeps_mode_and_group(raws, tmp_path):
    out = tmp_path / "hub"
    out.mkdir()
    os.chown(out, -1, 2000)
    out.chmod(0o2777)

    build_twice(raws, out)

    assert (stat.S_IMODE(out.stat().st_mode), out.stat().st_gid) == (0o2777, 2000)
    assert {path.stat().st_gid for path in out.rglob("*")} == {2000}
    assert (out / "bus").stat().st_mode & stat.S_ISGID
    (out / "bus").chmod(0o2770)
    (out / "README.md").chmod(0o600)
    build_bus(raws[0], out)
    assert stat.S_IMODE((out / "bus").stat().st_mode) == 0o2770
    assert stat.S_IMODE((out / "README.md").stat().st_mode) == 0o600


def test_files_of_ones_own_stay(raws, tmp_path):
    out = tmp_path / "hub"
    build_bus(raws[0], out)
    own = {"notes.txt": "mine", "bus/notes.txt": "mine", "bus/figures/a.txt": "mine", "assets/logo.png": "mine"}
    for path, text in own.items():
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_text(text)
    (out / "bus" / "link").symlink_to("notes.txt")

    build_bus(raws[1], out)

    assert {path: (out / path).read_text() for path in own} == own
    assert (out / "bus" / "link").is_symlink()


@pytest.mark.parametrize("name", ["thesis.tex", "a folder"])
def test_a_folder_with_other_things_is_refused(raws, tmp_path, name):
    (tmp_path / name).mkdir() if "folder" in name else (tmp_path / name).write_text("x")

    with pytest.raises(NotAHubFolder, match=name):
        build_bus(raws[0], tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_second_build_says_who_holds_the_folder(raws, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "to_table", lambda *_: pytest.fail("rendered"))
    with (
        Workshop(tmp_path / "hub", "bus").reserved(),
        pytest.raises(FolderInUse, match=rf"process {os.getpid()} on {socket.gethostname()}"),
    ):
        build_bus(raws[0], tmp_path / "hub")


def test_other_datasets_can_be_built_at_the_same_time(raws, tmp_path):
    with Workshop(tmp_path / "hub", "pbc").reserved():
        build_bus(raws[0], tmp_path / "hub")

    assert clean(verify_folder(tmp_path / "hub"))


def test_file_systems_without_links_and_exchange(raws, tmp_path, monkeypatch):
    monkeypatch.setattr(workshop, "link_or_copy", shutil.copy2)
    monkeypatch.setattr("medimeta.files.atomic._exchange", lambda *_: False)

    build_twice(raws, tmp_path / "hub")
