"""Writing files and folders: complete or not at all, through links, into what cannot be replaced, by many at a time."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medimeta.errors import MedIMetaError
from medimeta.files import atomic
from medimeta.files.atomic import check_writable, replace_folder, whole_file, whole_folder

posix = pytest.mark.skipif(os.name != "posix", reason="needs modes, FIFOs and devices")


def write(path, text):
    with whole_file(path) as partial:
        partial.write_text(text)


def failing():
    return pytest.raises(ZeroDivisionError)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    write(tmp_path / "a.json", "old")

    with failing(), whole_file(tmp_path / "a.json") as partial:
        partial.write_text("half")
        raise ZeroDivisionError

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.json": "old"}


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    for name in ("there", "not yet there"):
        (tmp_path / name).symlink_to(f"disk/{name}.json")
    write(tmp_path / "disk" / "there.json", "old")

    for name in ("there", "not yet there"):
        write(tmp_path / name, "new")

        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "disk" / f"{name}.json").read_text() == "new"


@posix
def test_mode_and_group_stay_and_new_files_follow_the_umask(tmp_path):
    write(tmp_path / "a", "new")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~mask
    (tmp_path / "a").chmod(0o640)

    write(tmp_path / "a", "newer")

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@posix
def test_a_fifo_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    texts = []
    reader = threading.Thread(target=lambda: texts.append((tmp_path / "fifo").read_text()))
    reader.start()

    write(tmp_path / "fifo", "through")
    reader.join(20)

    assert texts == ["through"]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@posix
def test_a_device_is_written_to(tmp_path):
    (tmp_path / "nothing").symlink_to("/dev/null")

    write(Path("/dev/null"), "gone")
    write(tmp_path / "nothing", "gone")

    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert (tmp_path / "nothing").is_symlink()


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
@pytest.mark.parametrize("to", ["pipe", "file"])
def test_standard_output_is_written_to_where_it_is(tmp_path, to):
    code = (
        "import sys, pathlib; from medimeta.files.atomic import whole_file\n"
        "print('first')\nwith whole_file(pathlib.Path('/dev/stdout')) as partial: partial.write_text('second\\n')\n"
        "print('third')"
    )
    with (tmp_path / "out").open("w") as file:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], check=True, text=True, stdout=file if to == "file" else subprocess.PIPE
        )

    assert (done.stdout or (tmp_path / "out").read_text()) == "first\nsecond\nthird\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_mounted_file_is_written_to(tmp_path, monkeypatch):
    write(tmp_path / "a", "a longer text")

    def busy(self, target):
        raise OSError(errno.EBUSY, "Device or resource busy", str(target))

    monkeypatch.setattr(Path, "replace", busy)
    write(tmp_path / "a", "short")

    assert (tmp_path / "a").read_text() == "short"


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(MedIMetaError, match="is a folder"):
        write(tmp_path, "x")


def test_many_writers_of_one_name(tmp_path):
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(lambda number: write(tmp_path / "a", str(number) * 1000), range(80)))

    assert len(set((tmp_path / "a").read_text())) <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_long_name(tmp_path):
    write(tmp_path / ("ä" * 120), "x")

    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(OSError, match="No space left") as raised, whole_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert raised.value.filename == str(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    check_writable(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())

    def refuse(dir):
        raise OSError(errno.EROFS, "Read-only file system", str(dir))

    monkeypatch.setattr(atomic, "TemporaryFile", refuse)
    with pytest.raises(MedIMetaError) as raised:
        check_writable(tmp_path / "a" / "b")

    assert str(tmp_path / "a" / "b") in str(raised.value)


def filled(folder, text):
    folder.mkdir()
    (folder / "file").write_text(text)
    return folder


@pytest.mark.parametrize("exchange", [True, False])
def test_replacing_a_folder_and_recovering(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    new, current = filled(tmp_path / "new", "new"), filled(tmp_path / "current", "old")

    replace_folder(new, current)

    assert (current / "file").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["current"]
    current.rename(tmp_path / "new.old")  # what a kill between two renames leaves
    atomic.recover(new, current)
    assert (current / "file").read_text() == "new"


@posix
def test_a_replaced_folder_keeps_mode_and_group(tmp_path):
    new, current = filled(tmp_path / "new", "new"), filled(tmp_path / "current", "old")
    current.chmod(0o2771)
    (current / "file").chmod(0o640)

    replace_folder(new, current)

    assert stat.S_IMODE(current.stat().st_mode) == 0o2771
    assert stat.S_IMODE((current / "file").stat().st_mode) == 0o640


def test_a_whole_folder_through_a_link(tmp_path):
    filled(tmp_path / "disk", "old")
    (tmp_path / "link").symlink_to("disk")

    with failing(), whole_folder(tmp_path / "link") as partial:
        (partial / "file").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "disk" / "file").read_text() == "old"
    with whole_folder(tmp_path / "link") as partial:
        (partial / "other").write_text("new")

    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["other"]
    assert len(list(tmp_path.iterdir())) == 2
