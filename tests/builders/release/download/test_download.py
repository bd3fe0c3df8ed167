"""Downloading a release from a server that misbehaves in every way that servers do."""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from fakes.errors import raises
from fakes.release.server import FILE, Answer, archive, md5
from medimeta.builders.release import download
from medimeta.builders.release.download import download_release
from medimeta.errors import DownloadFailed, SourceNotFound
from medimeta.files.remote import network, transfer


def part(tmp_path):
    return next(tmp_path.rglob("*.part"), None)


def test_a_download_is_checked_and_noted_and_done_once(server, fetch, tmp_path):
    path = fetch()
    assert path.name == "bus.zip"
    assert path.read_bytes() == FILE
    assert json.loads(path.with_name("bus.zip.json").read_text()) == {
        "url": f"{server.base}/bus.zip",
        "size": len(FILE),
        "md5": md5(FILE),
        "sha256": hashlib.sha256(FILE).hexdigest(),
        "checked_by": "record",
        "intact": [len(FILE), path.stat().st_mtime_ns],
    }
    assert part(tmp_path) is None
    assert server.requests[0]["Accept-Encoding"] == "identity"  # else lengths and positions mean something else
    server.shutdown()
    assert fetch() == path
    assert (len(server.requests), server.record_requests) == (1, 1)


def test_no_server_at_all(server, fetch):
    server.shutdown()
    server.server_close()
    with raises(DownloadFailed, "no-answer", "ConnectionError"):
        fetch()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_errors_are_retried_when_the_server_says(server, fetch, waits, status):
    server.answers = [Answer(status=status, headers={"Retry-After": "7"}), Answer(status=status)]
    server.record_answers = [Answer(status=status, headers={"Retry-After": "3"})]
    assert fetch().read_bytes() == FILE
    assert waits == [3, 7, network.delay(2)]


def test_retry_after_as_a_date_and_beyond_reason(server, fetch, waits):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    answers = [soon, "86400", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"]
    server.answers = [Answer(status=429, headers={"Retry-After": text}) for text in answers]
    assert fetch().read_bytes() == FILE
    assert 0 < waits[0] <= 60
    assert waits[1:] == [network.LONGEST_WAIT, network.delay(3), network.delay(4)]


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_not_there(server, fetch, status):
    server.answers = [Answer(status=status)]
    with pytest.raises(SourceNotFound) as raised:
        fetch()
    for words in (f"{server.base}/bus.zip", f"HTTP {status}", "data_dir", "MEDIMETA_DATA", "MEDIMETA_RELEASE_URL"):
        assert words in str(raised.value)
    assert len(server.requests) == 1


def test_a_file_that_the_record_does_not_name(server, fetch):
    server.record["files"][0]["key"] = "pbc.zip"
    with raises(SourceNotFound, "not-on-server", "api/records/7", "bus.zip", "pbc.zip"):
        fetch()
    assert not server.requests


def test_a_refusal_is_not_repeated(server, fetch):
    server.answers = [Answer(status=403)]
    with raises(DownloadFailed, "refused-by-server", "403"):
        fetch()
    assert len(server.requests) == 1


def test_wrong_bytes_once_are_fetched_again_from_the_start(server, fetch, caplog):
    server.answers = [Answer(body=b"x" * len(FILE))]
    assert fetch().read_bytes() == FILE
    assert len(server.requests) == 2
    assert "Range" not in server.requests[1]
    assert f"MD5 {md5(b'x' * len(FILE))}, expected {md5(FILE)}" in caplog.text


def test_wrong_bytes_twice_are_an_error_that_names_both_checksums(server, fetch, tmp_path):
    wrong = archive(1)
    server.file = wrong
    with raises(DownloadFailed, "wrong-bytes", md5(wrong), md5(FILE)):
        fetch()
    assert len(server.requests) == 2
    assert part(tmp_path) is None
    assert not list(tmp_path.rglob("bus.zip"))


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", FILE + b"more", FILE[:-10]])
def test_another_length_than_the_record_says(server, fetch, body):
    server.answers = [Answer(body=body)] * 2
    with raises(DownloadFailed, "wrong-bytes", f"{len(body):,}", f"{len(FILE):,}"):
        fetch()
    assert len(server.requests) == 2


def test_more_bytes_than_announced(server, fetch):
    server.has_length = False
    server.answers = [Answer(body=FILE + b"x" * 500_000)] * 2
    with raises(DownloadFailed, "wrong-bytes", f"{len(FILE):,}"):
        fetch()


@pytest.mark.parametrize("record", [None, "no dict", {"files": []}, {"files": [{"key": "bus.zip"}]}, []])
def test_a_mirror_without_record_is_checked_by_length_and_zip_directory(server, fetch, record, caplog):
    server.record = record
    server.answers = [Answer(cut=600_000)]
    path = fetch()
    assert path.read_bytes() == FILE
    assert json.loads(path.with_name("bus.zip.json").read_text())["checked_by"] == "zip directory"
    assert "gives no checksums" in caplog.text


def test_a_plain_folder_on_a_web_server_is_not_asked_for_a_record(server, tmp_path):
    base = server.base.replace("/records/7/files", "/elsewhere")
    with raises(SourceNotFound, "not-on-server", "elsewhere/bus.zip"):
        download_release("bus", base_url=base, cache_dir=tmp_path)
    assert server.record_requests == 0


def test_a_mirror_that_sends_a_page_instead_of_the_file(server, fetch):
    server.record = None
    server.answers = [Answer(body=b"<html>Please log in</html>")] * 2
    with raises(DownloadFailed, "wrong-bytes", "26"):
        fetch()


def test_an_answer_without_length_is_measured_by_the_record(server, fetch):
    server.has_length = False
    server.answers = [Answer(cut=700_000)]
    assert fetch().read_bytes() == FILE
    assert server.requests[1]["Range"] == "bytes=700000-"


def test_without_any_length_a_cut_is_found_by_the_zip_directory(server, fetch):
    server.record, server.has_length = None, False
    server.answers = [Answer(cut=700_000)]
    assert fetch().read_bytes() == FILE


def test_no_record_because_it_never_answers_is_no_mirror(server, fetch):
    server.record_answers = [Answer(status=503)] * 50
    with raises(DownloadFailed, "no-answer", "api/records/7", "503"):
        fetch()
    assert not server.requests


def test_too_little_room(server, fetch, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with raises(DownloadFailed, "no-space", "1,000", "HF_HOME"):
        fetch()


def test_mirrors_do_not_mix(server, tmp_path, monkeypatch):
    first = download_release("bus", base_url=server.base, cache_dir=tmp_path)
    monkeypatch.setenv("MEDIMETA_RELEASE_URL", server.base.replace("127.0.0.1", "localhost") + "/")
    second = download_release("bus", cache_dir=tmp_path)
    assert first != second
    assert len(server.requests) == 2


def test_credentials_are_not_shown(server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG, logger="medimeta")
    secret = server.base.replace("http://", "http://user:s3cret@")
    server.answers = [Answer(status=503), Answer(status=404)]
    with pytest.raises(SourceNotFound) as raised:
        download_release("bus", base_url=secret, cache_dir=tmp_path)
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadFailed) as failed:
        download_release("bus", base_url=secret, cache_dir=tmp_path)
    shown = f"{raised.value} {failed.value} {caplog.text} {list(tmp_path.rglob('*'))}"
    assert "127.0.0.1" in shown
    assert "s3cret" not in shown
    assert "user" not in shown.replace(str(tmp_path), "")


def test_addresses_that_are_none(tmp_path):
    for base in ("file:///data", "/data", "zenodo.org/records/1/files"):
        with raises(DownloadFailed, "invalid-address"):
            download_release("bus", base_url=base, cache_dir=tmp_path)


def test_the_default_is_the_record_on_zenodo(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(download, "_ask_record", lambda session, base, name: asked.append((base, name)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        download_release("crc", cache_dir=tmp_path)
    assert asked == [("https://zenodo.org/records/7884735/files", "crc.zip")]


def test_a_sha256_in_the_record_is_checked(server, fetch):
    server.record["files"][0]["checksum"] = "sha256:" + hashlib.sha256(FILE).hexdigest().upper()
    assert json.loads(fetch().with_name("bus.zip.json").read_text())["checked_by"] == "record"
    server.record["files"][0]["checksum"] = "sha256:" + "0" * 64
    with raises(DownloadFailed, "wrong-bytes"):
        fetch(force=True)


@pytest.mark.parametrize("size", ["Infinity", "1" * 5000, "[" * 50_000, "NaN", '"many"'])
def test_a_record_with_impossible_sizes_is_as_good_as_none(server, fetch, size):
    body = f'{{"files": [{{"key": "bus.zip", "checksum": "md5:0", "size": {size}}}]}}'
    server.record_answers = [Answer(body=body.encode())]
    assert fetch().read_bytes() == FILE


@pytest.mark.parametrize("place", ["http://[", "ftp://x/y", "http://a\u2100.b:x/", "//", "http://x:99999999/"])
def test_a_redirect_to_an_impossible_address(server, fetch, place):
    server.answers = [Answer(status=302, headers={"Location": place})] * 50
    with pytest.raises((DownloadFailed, SourceNotFound)):
        fetch()


@pytest.mark.parametrize("length", ["1" * 5000, "-5", "x"])
def test_an_impossible_length(server, fetch, length):
    server.has_length = False
    server.answers = [Answer(headers={"Content-Length": length})] * 50
    with suppress(DownloadFailed):
        assert fetch().read_bytes() == FILE


@pytest.mark.parametrize("base", ["http://[", "http://[::1", "file:///etc", "http://"])
def test_an_impossible_address(tmp_path, base):
    with pytest.raises((DownloadFailed, SourceNotFound)):
        download_release("bus", base_url=base, cache_dir=tmp_path)
