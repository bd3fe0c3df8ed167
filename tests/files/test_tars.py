"""Reading tar.gz archives in one direction: any order, one pass where the order allows, and nothing unsafe."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from fakes.errors import raises
from medimeta.errors import SourceBroken, SourceNotFound, UnsafeArchive
from medimeta.files import tars
from medimeta.files.archives import ZipFiles
from medimeta.files.folders import FolderFiles
from medimeta.files.tars import TarFiles

NAMES = [f"images/{n:03d}.png" for n in range(60)]
CONTENT = {name: name.encode() * 100 for name in NAMES}  # 1,400 bytes each


def tar_gz(*members: tarfile.TarInfo | str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(f"./{member}")
                info.size = len(CONTENT[member])
                tar.addfile(info, io.BytesIO(CONTENT[member]))
    return buffer.getvalue()


def opened(folder, archives: dict[str, bytes], *, zipped: bool = False) -> TarFiles:
    if zipped:
        with zipfile.ZipFile(folder / "all.zip", "w") as file:
            for name, data in archives.items():
                file.writestr(name, data)
        home = ZipFiles(folder / "all.zip")
    else:
        for name, data in archives.items():
            (folder / name).write_bytes(data)
        home = FolderFiles(folder)
    return TarFiles([(home, name) for name in home.names() if name.endswith(".tar.gz")])


@pytest.fixture(params=[False, True], ids=["folder", "zip"])
def three(request, tmp_path) -> TarFiles:
    folder = tarfile.TarInfo("images")
    folder.type = tarfile.DIRTYPE
    parts = {f"images_{i}.tar.gz": tar_gz(folder, *NAMES[20 * i : 20 * i + 20]) for i in range(3)}
    return opened(tmp_path, parts, zipped=request.param)


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """Where each way through the archives began."""
    begun = []
    members = tars._Tape.members

    def counted(self, first, **options):
        begun.append(first)
        return members(self, first, **options)

    monkeypatch.setattr(tars._Tape, "members", counted)
    return begun


def test_names_are_those_of_all_archives(three):
    assert three.names() == NAMES


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    "order",
    [NAMES, NAMES[::-1], NAMES[30:] + NAMES[:30], NAMES[::7] * 2],
    ids=["forward", "backward", "second half first", "some twice"],
)
@pytest.mark.parametrize("window", [0, 3_000, 1 << 20])
def test_any_order_gives_the_right_bytes(three, monkeypatch, listed, order, window):
    monkeypatch.setattr(tars, "WINDOW", window)
    if listed:
        three.names()

    assert all(three.read(name) == CONTENT[name] for name in order)
    assert three._thread.reader._held <= window


def test_nearly_the_order_of_the_members_takes_one_pass(three, passes):
    order = [name for i in range(0, 60, 6) for name in reversed(NAMES[i : i + 6])]

    assert [three.read(name) for name in order] == [CONTENT[name] for name in order]
    assert passes == [0]


def test_what_has_left_the_window_is_sought_in_its_own_archive(three, passes, monkeypatch):
    monkeypatch.setattr(tars, "WINDOW", 5_000)
    for name in (NAMES[59], NAMES[25], NAMES[45]):
        three.read(name)

    assert passes == [0, 1, 2]


def test_every_thread_reads_on_its_own_way(three):
    with ThreadPoolExecutor(4) as executor:
        assert list(executor.map(three.read, NAMES * 3)) == [CONTENT[name] for name in NAMES * 3]


def test_workers_get_a_copy_without_position(three):
    three.read(NAMES[5])

    assert pickle.loads(pickle.dumps(three)).read(NAMES[4]) == CONTENT[NAMES[4]]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert executor.submit(three.read, NAMES[33]).result() == CONTENT[NAMES[33]]


def test_a_forked_worker_does_not_move_its_parents_position(three):
    three.read(NAMES[0])
    SHARED[:] = [three]
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as executor:
        assert executor.submit(_read_shared, NAMES[59]).result() == CONTENT[NAMES[59]]

    assert three.read(NAMES[1]) == CONTENT[NAMES[1]]


SHARED: list[TarFiles] = []  # a fork finds the very object here; as an argument it would be pickled


def _read_shared(name: str) -> bytes:
    return SHARED[0].read(name)


def test_a_member_that_is_nowhere_is_named(three):
    with raises(SourceNotFound, "member-not-found", "images/x.png", "images_0.tar.gz"):
        three.read("images/x.png")
    assert three.read(NAMES[0]) == CONTENT[NAMES[0]]


WHOLE = tar_gz(*NAMES)
DAMAGED = {
    "empty": b"",
    "cut": WHOLE[:-300],
    "without its checksum": WHOLE[:-8],
    "wrong checksum": WHOLE[:-8] + b"12345678",
    "no gzip": b"<html>not logged in</html>",
    "no tar": gzip.compress(b"text" * 1000),
    "cut tar": gzip.compress(gzip.decompress(WHOLE)[:20_000]),
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_damaged_archive_is_named_with_what_to_do(tmp_path, damage, zipped):
    files = opened(tmp_path, {"images_1.tar.gz": DAMAGED[damage]}, zipped=zipped)

    for attempt in (files.names, lambda: files.read("images/x.png"), lambda: files.read("images/x.png")):
        with raises(SourceBroken, "broken-archive", "images_1.tar.gz"):
            attempt()


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "/etc/passwd"
    return info


UNSAFE = [
    (member("/images/a.png"), "unsafe-path"),
    (member("images/../../a.png"), "unsafe-path"),
    (member("C:/a.png"), "unsafe-path"),
    (member("../a", tarfile.DIRTYPE), "unsafe-path"),
    (member("images/a.png", tarfile.SYMTYPE), "unsafe-link"),
    (member("images/a.png", tarfile.LNKTYPE), "unsafe-link"),
    (member("images/a.png", tarfile.CHRTYPE), "unsafe-link"),
    (member("images/a.png", tarfile.FIFOTYPE), "unsafe-link"),
    (member("images/a.png", size=tars.MAX_MEMBER + 1), "unsafe-size"),
]


@pytest.mark.parametrize(("unsafe", "code"), UNSAFE)
def test_unsafe_members_are_refused(tmp_path, unsafe, code):
    header = unsafe.tobuf()
    data = gzip.compress(gzip.decompress(tar_gz(NAMES[0]))[: 512 + 1536] + header + bytes(1024))
    files = opened(tmp_path, {"images_1.tar.gz": data})

    for attempt in (files.names, lambda: files.read("images/x.png")):
        with raises(UnsafeArchive, code):
            attempt()


def test_litter_is_not_listed(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for name in ("images/._1.png", "__MACOSX/images/1.png", "images/1.png"):
            tar.addfile(tarfile.TarInfo(name))

    assert TarFiles([(FolderFiles(tmp_path), "a.tar.gz")]).names() == ["images/1.png"]


def test_a_header_of_any_size_is_not_read_into_memory(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("images/1.png")
        member.pax_headers = {"comment": "x" * 100_000}
        tar.addfile(member)

    with pytest.raises(SourceBroken, match="header of 100,"):
        TarFiles([(FolderFiles(tmp_path), "a.tar.gz")]).names()
