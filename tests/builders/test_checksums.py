"""Every file of a source is compared with a list of checksums, if one is given."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from medimeta.builders.keys import cache_key
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.reading.checksums import Checksums
from medimeta.builders.source import Options
from medimeta.cards.catalogue import DATASETS
from medimeta.errors import SourceBroken, SourceNotFound


def rows(dataset, folder, checksums=None):
    options = Options(partial=True, checksums=None if checksums is None else str(checksums))
    source = open_source(dataset, folder, options)
    manifest = source.manifest()
    return [row["image"] for row in source.encode(manifest[:4])]


def listed(folder, *, algorithm="sha256", form="{0}  {1}", start=None):
    lines = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest = hashlib.new(algorithm, path.read_bytes()).hexdigest()
        lines.append(form.format(digest, path.relative_to(start or folder).as_posix()))
    return "\n".join(lines) + "\n"


def unpacked(dataset, folder):
    return write_miniature(dataset, folder / "raw", per_class=1, packed=False)


@pytest.mark.parametrize(
    ("algorithm", "form"),
    [
        ("md5", "{0}  {1}"),
        ("sha1", "{0} *{1}"),
        ("sha256", "{0}  ./{1}"),
        ("sha512", "SHA512 ({1}) = {0}"),
        ("sha256", "# by hand\r\n\r\n{0}  {1}"),
    ],
)
def test_lists_of_the_usual_programs_are_read(algorithm, form, tmp_path):
    folder = unpacked("pbc", tmp_path)
    (tmp_path / "SUMS").write_text(listed(folder, algorithm=algorithm, form=form), encoding="utf-8")

    assert rows("pbc", folder, tmp_path / "SUMS") == rows("pbc", folder)


@pytest.mark.parametrize("dataset", ["aml", "pbc", "mammo_mass", "organs_axial", "dr_regular", "skinl_derm"])
def test_a_changed_file_is_named(dataset, tmp_path):
    folder = unpacked(dataset, tmp_path)
    (tmp_path / "SUMS").write_text(listed(folder, start=folder.parent), encoding="utf-8")
    expected = rows(dataset, folder)
    assert rows(dataset, folder, tmp_path / "SUMS") == expected
    manifest = open_source(dataset, folder, Options(partial=True)).manifest()
    name = manifest["path"][0].rpartition("/")[2]
    for path in sorted(folder.rglob(name)):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)

    with pytest.raises(SourceBroken, match="checksum") as caught:
        rows(dataset, folder, tmp_path / "SUMS")
    assert name in str(caught.value)
    assert caught.value.code == "wrong-checksum"


def test_a_hole_in_a_jpeg_is_noticed(tmp_path):
    folder = unpacked("pbc", tmp_path)
    (tmp_path / "SUMS").write_text(listed(folder), encoding="utf-8")
    path = sorted(folder.rglob("basophil/*.jpg"))[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : -2] = bytes(len(data) - len(data) // 2 - 2)
    path.write_bytes(data)

    assert rows("pbc", folder)
    with pytest.raises(SourceBroken, match=path.name):
        rows("pbc", folder, tmp_path / "SUMS")


def test_a_file_that_is_not_listed_is_refused(tmp_path):
    folder = unpacked("pbc", tmp_path)
    lines = listed(folder).splitlines(keepends=True)
    (tmp_path / "SUMS").write_text("".join(line for line in lines if "basophil" not in line), encoding="utf-8")

    with pytest.raises(SourceBroken, match=r"does not list .*basophil"):
        rows("pbc", folder, tmp_path / "SUMS")


@pytest.mark.parametrize("dataset", ["bus", "cxr"])
def test_archives_are_compared_as_wholes(dataset, tmp_path):
    folder = write_miniature(dataset, tmp_path / "raw", per_class=1, packed=True)
    (tmp_path / "SUMS").write_text(listed(folder), encoding="utf-8")
    assert rows(dataset, folder, tmp_path / "SUMS") == rows(dataset, folder)

    (tmp_path / "SUMS").write_text(f"{'0' * 64}  {next(folder.glob('*.zip')).name}\n", encoding="utf-8")
    with pytest.raises(SourceBroken, match=r"\.zip has another checksum"):
        rows(dataset, folder, tmp_path / "SUMS")
    (tmp_path / "SUMS").write_text(f"{'0' * 64}  other.zip\n", encoding="utf-8")
    with pytest.raises(SourceBroken, match="does not list"):
        rows(dataset, folder, tmp_path / "SUMS")


def test_names_are_found_by_the_end_of_their_paths(tmp_path):
    one, two = "1" * 32, "2" * 32
    (tmp_path / "SUMS").write_text(f"{one}  a/x.png\n{two}  b/x.png\n", encoding="utf-8")
    known = Checksums(tmp_path / "SUMS")

    assert known.find("raw/a/x.png") == {one}
    assert known.find("b/x.png") == {two}
    assert known.find("x.png") == {one, two}  # no content has both
    assert known.find("c/x.png") == set()


@pytest.mark.parametrize("text", ["", "# nothing\n", "not a list\n", f"{'0' * 63}  x\n", "\x00\x01\n"])
def test_other_files_are_refused(text, tmp_path):
    (tmp_path / "SUMS").write_text(text, encoding="utf-8")

    with pytest.raises(SourceBroken, match="SUMS"):
        Checksums(tmp_path / "SUMS")


def test_a_list_that_is_missing_is_named(tmp_path):
    with pytest.raises(SourceNotFound, match="SUMS"):
        Options(checksums=str(tmp_path / "SUMS"))


def test_rows_are_cached_by_the_content_of_the_list(tmp_path):
    (tmp_path / "a").write_text("a")
    shutil.copy(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").write_text("c")
    keys = [cache_key(DATASETS["bus"], Options(checksums=str(tmp_path / name)), "") for name in "abc"]

    assert keys[0] == keys[1] != keys[2]
    assert cache_key(DATASETS["bus"], Options(), "") not in keys
