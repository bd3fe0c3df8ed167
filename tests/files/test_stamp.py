"""The stamp of a source: what it sees, and that a copy has the same one."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile

import pytest

from medimeta.files import stamp as module
from medimeta.files.stamp import count_and_bytes, stamp

FILES = {"a/1.png": b"x" * 300_000, "a/2.png": b"y" * 10, "table.csv": b"a,b\n1,2\n", "notes": b"", "a/other": b"h"}


@pytest.fixture
def folder(tmp_path):
    for name, data in FILES.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "source"


def test_a_copy_with_other_times_has_the_same_stamp(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "copy", copy_function=shutil.copyfile)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))

    assert stamp(copy) == stamp(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "a/3.png").write_bytes(b""),
        lambda f: (f / "notes").unlink(),
        lambda f: (f / "a/2.png").rename(f / "a/20.png"),
        lambda f: (f / "a/2.png").rename(f / "2.png"),
        lambda f: (f / "a/2.png").write_bytes(b"y" * 11),
        lambda f: (f / "a/2.png").write_bytes(b"y" * 9 + b"z"),
        lambda f: (f / "table.csv").write_bytes(b"a,b\n1,3\n"),
        lambda f: (f / "a/1.png").write_bytes(b"z" + b"x" * 299_999),
        lambda f: (f / "a/1.png").write_bytes(b"x" * 150_000 + b"z" + b"x" * 149_999),
        lambda f: (f / "a/1.png").write_bytes(b"x" * 299_999 + b"z"),
    ],
)
def test_a_change_of_names_sizes_or_content_changes_it(folder, change):
    before = stamp(folder)
    change(folder)

    assert stamp(folder) != before


def test_every_table_is_sampled_among_many_images(folder, monkeypatch):
    monkeypatch.setattr(module, "SAMPLED", 2)
    for number in range(50):
        (folder / f"{number}.png").write_bytes(b"pixels")
    for number in range(5):
        (folder / f"{number}.csv").write_bytes(b"label 0")
    before = stamp(folder)
    for number in range(5):
        (folder / f"{number}.csv").write_bytes(b"label 1")
        after = stamp(folder)
        assert after != before
        before = after


def test_no_more_files_are_read_than_the_bounds_say(folder, monkeypatch):
    read = []
    content = module._content
    monkeypatch.setattr(module, "_content", lambda path, size: read.append(path) or content(path, size))
    for number in range(200):
        (folder / f"{number}.png").write_bytes(b"pixels")
        (folder / f"x.{number}").write_bytes(b"pixels")
    stamp(folder)
    assert len([path for path in read if path.endswith(".png")]) == module.SAMPLED
    monkeypatch.setattr(module, "SAMPLED_ALL", 100)
    read.clear()
    stamp(folder)
    assert len(read) == 100


@pytest.mark.parametrize("place", [0, 7, 2_999])
def test_a_member_of_an_archive_changes_it(tmp_path, place):
    def write(changed):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            for number in range(3_000):
                data = b"x" * 1_000 if number != changed else b"x" * 500 + b"y" + b"x" * 499
                file.writestr(zipfile.ZipInfo(f"images/{number:06d}.png"), data)
        return stamp(tmp_path / "a.zip"), stamp(tmp_path)

    assert not set(write(None)) & set(write(place))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_unicode_broken_links_and_pipes(folder):
    before = stamp(folder)
    (folder / os.fsdecode(b"\xff\xe9.png")).write_bytes(b"1")
    assert (named := stamp(folder)) != before
    (folder / "broken").symlink_to("nowhere")
    assert (linked := stamp(folder)) != named
    os.mkfifo(folder / "pipe")
    assert stamp(folder) == linked  # never opened, never read
    assert count_and_bytes(folder)[0] == len(FILES) + 2


def test_count_and_bytes(folder):
    assert count_and_bytes(folder) == (len(FILES), sum(map(len, FILES.values())))
    assert count_and_bytes(folder / "table.csv") == (1, 8)
