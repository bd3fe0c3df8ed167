"""Folders and archives as one tree: order, roots, and everything that must be refused."""

from __future__ import annotations

import errno
import io
import os
import pickle
import stat
import zipfile

import pytest
from PIL import Image

from fakes.errors import raises
from medimeta.builders.reading.layout import Layout
from medimeta.builders.reading.raw import Raw
from medimeta.errors import SourceBroken, SourceNotFound, UnsafeArchive
from medimeta.files import archives
from medimeta.files.archives import ZipFiles
from medimeta.files.folders import FolderFiles

LITTER = (
    ".hidden/1.png", "__MACOSX/images/._1.png", "images/._2.png", "images/.DS_Store", "images/Thumbs.db",
    "images/desktop.ini", "~$table.csv", "images/@eaDir/2.png", "$RECYCLE.BIN/2.png", ".Trash-1000/files/2.png",
)  # fmt: skip
MARKERS, ARCHIVES = ("images", "table.csv"), ("Data.zip",)
FILES = {"table.csv": b"a,b\n1,2\n", "images/10.png": b"ten", "images/2.png": b"two", "images/.hidden.png": b"x"}


def write(folder, prefix="", files=FILES):
    for name, data in files.items():
        path = folder / prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def zipped(path, prefix="", files=FILES, method=zipfile.ZIP_DEFLATED):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in files.items():
            file.writestr(f"{prefix}{name}", data)
    return path


def raw(location):
    return Raw(location, "bus", Layout(MARKERS, ARCHIVES, MARKERS))


@pytest.fixture(params=["root", "its parent", "two above", "zip", "zip in a folder", "zip with the folder above"])
def location(request, tmp_path):
    return {
        "root": lambda: write(tmp_path),
        "its parent": lambda: write(tmp_path, "Data"),
        "two above": lambda: write(tmp_path, "x/Data"),
        "zip": lambda: zipped(tmp_path / "anything.zip", "Data/"),
        "zip in a folder": lambda: zipped(tmp_path / "Data.zip").parent,
        "zip with the folder above": lambda: zipped(tmp_path / "downloads" / "Data.zip", "Data/").parent.parent,
    }[request.param]()


def test_the_same_tree_wherever_it_lies(location):
    tree = raw(location)

    unpacked = [path for path in tree.files if path != "Data.zip"]
    assert unpacked == ["images/10.png", "images/2.png", "table.csv"]  # sorted as text, hidden ones left out
    assert tree.glob("images/*.png") == ["images/10.png", "images/2.png"]
    assert tree.glob("*.png") == []
    assert tree.read("images/2.png") == b"two"
    assert tree.table("table.csv").to_dict("list") == {"a": [1], "b": [2]}
    assert "images/2.png" in tree
    again = pickle.loads(pickle.dumps(tree))
    assert again.read("images/10.png") == b"ten"


def test_an_unpacked_file_goes_before_the_archived_one(tmp_path):
    zipped(tmp_path / "Data.zip", "Data/")
    write(tmp_path / "Data", files={"images/2.png": b"newer"})

    assert raw(tmp_path).read("images/2.png") == b"newer"
    assert raw(tmp_path).read("images/10.png") == b"ten"


def test_windows_paths_in_an_archive(tmp_path):
    path = zipped(tmp_path / "Data.zip", "Data\\", {"table.csv": b"a\n1\n", "images\\1.png": b"one"})

    assert raw(path).read("images/1.png") == b"one"


def test_wrong_places_say_what_was_looked_for(tmp_path):
    (tmp_path / "other.txt").write_text("x")

    with pytest.raises(SourceNotFound, match=r"found none of images, table.csv.*Data.zip.*medimeta info bus"):
        raw(tmp_path)
    with pytest.raises(SourceNotFound, match="neither a folder nor a zip or"):
        raw(tmp_path / "other.txt")
    with pytest.raises(SourceNotFound, match=r"images/9.png is missing in .*Get Data.zip again"):
        raw(write(tmp_path)).read("images/9.png")


@pytest.mark.parametrize("name", ["/etc/passwd", "../../escape.png", "images/../../escape.png", "C:/escape.png"])
def test_members_that_leave_the_archive_are_refused(tmp_path, name):
    path = zipped(tmp_path / "Data.zip", files=FILES | {name: b"x"})

    with raises(UnsafeArchive, "unsafe-path"):
        raw(path)


def test_links_in_archives_are_refused_and_those_in_folders_followed(tmp_path):
    path = zipped(tmp_path / "Data.zip")
    with zipfile.ZipFile(path, "a") as file:
        link = zipfile.ZipInfo("images/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc/passwd")
    with raises(UnsafeArchive, "unsafe-link", "images/link.png"):
        raw(path)

    folder = write(tmp_path / "folder")
    (folder / "images" / "link.png").symlink_to("10.png")
    assert raw(folder).read("images/link.png") == b"ten"  # stays inside
    elsewhere = write(tmp_path / "disk", files={"9.png": b"nine"})
    (folder / "images" / "out.png").symlink_to(elsewhere / "9.png")
    (folder / "images" / "self").symlink_to(folder)
    (folder / "images" / "round").symlink_to("round")
    (folder / "images" / "gone.png").symlink_to(elsewhere / "gone.png")
    (folder / "images" / "disk").symlink_to(elsewhere)
    assert raw(folder).read("images/out.png") == b"nine"
    assert raw(folder).read("images/disk/9.png") == b"nine"
    assert not [path for path in raw(folder).files if "self" in path]
    with pytest.raises(SourceNotFound, match=r"gone.png is a link to .* does not exist"):
        raw(folder).read("images/gone.png")


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_RATIO", 50)
    path = zipped(tmp_path / "Data.zip", files=FILES | {"images/3.png": bytes(5_000_000)})

    with raises(UnsafeArchive, "unsafe-size", "5,000,000"):
        raw(path)


def test_an_archive_that_lies_about_a_size_is_refused(tmp_path):
    path = zipped(tmp_path / "Data.zip", files=FILES | {"images/3.png": b"3" * 1000}, method=zipfile.ZIP_STORED)
    data = path.read_bytes()
    path.write_bytes(data.replace((1000).to_bytes(4, "little"), (900).to_bytes(4, "little")))

    with raises(SourceBroken, "broken-archive"):
        raw(path).read("images/3.png")


def test_truncated_and_damaged_archives(tmp_path):
    path = zipped(tmp_path / "Data.zip", files=FILES | {"images/3.png": os.urandom(10_000)}, method=zipfile.ZIP_STORED)
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    for location in (path, tmp_path):
        with raises(SourceBroken, "broken-archive"):
            raw(location)

    middle = whole.index(b"images/3.png") + 5000
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    with raises(SourceBroken, "broken-archive", "images/3.png"):
        raw(path).read("images/3.png")


def test_a_disk_that_fails_is_not_called_a_damaged_archive(tmp_path, monkeypatch):
    files = raw(zipped(tmp_path / "Data.zip", files=FILES))

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(zipfile.ZipExtFile, "read", fail)
    with raises(SourceBroken, "unreadable-file", "images/10.png", "Input/output"):
        files.read("images/10.png")


@pytest.mark.parametrize(("offset", "value", "words"), [(8, 1, "encrypted"), (10, 99, "compression")])
def test_an_archive_that_cannot_be_unpacked(tmp_path, offset, value, words):
    path = zipped(tmp_path / "Data.zip", files=FILES)
    data = bytearray(path.read_bytes())
    for mark, start in ((b"PK\x01\x02", offset), (b"PK\x03\x04", offset - 2)):  # directory, then the members themselves
        place = data.find(mark)
        while place >= 0:
            data[place + start] = value
            place = data.find(mark, place + 4)
    path.write_bytes(data)

    with raises(SourceBroken, "unsupported-archive", "images/10.png"):
        raw(path).read("images/10.png")


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_images(tmp_path, data):
    write(tmp_path, files=FILES | {"images/3.png": data})

    with pytest.raises(SourceBroken, match=r"images/3.png in .*: not a readable"):
        raw(tmp_path).image("images/3.png")


def test_an_image_with_a_long_side_is_refused_before_it_decodes(tmp_path):
    buffer = io.BytesIO()
    Image.new("L", (10_001, 1)).save(buffer, "PNG")
    write(tmp_path, files=FILES | {"images/3.png": buffer.getvalue()})

    with pytest.raises(SourceBroken, match=r"images/3.png in .*10001x1 pixels"):
        raw(tmp_path).image("images/3.png")


def test_litter_is_not_listed(tmp_path):
    write(tmp_path, files=FILES | dict.fromkeys(LITTER, b"x"))
    zipped(tmp_path / "a.zip", files=FILES | dict.fromkeys(LITTER, b"x"))

    assert FolderFiles(tmp_path).names() == ["a.zip", "images/10.png", "images/2.png", "table.csv"]
    assert ZipFiles(tmp_path / "a.zip").names() == ["images/10.png", "images/2.png", "table.csv"]
