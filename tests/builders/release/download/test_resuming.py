"""A download that broke off continues, unless the file may have changed meanwhile."""

from __future__ import annotations

import random

import pytest

from fakes.errors import raises
from fakes.release.server import FILE, Answer, Handler, archive
from medimeta.errors import DownloadFailed
from medimeta.files.remote import network, transfer


def part(tmp_path):
    return next(tmp_path.rglob("*.part"), None)


def test_connections_cut_at_random_points_lose_little(server, fetch, waits):
    points = random.Random(1)
    server.answers = [Answer(cut=points.randint(0, 300_000)) for _ in range(12)]
    assert fetch().read_bytes() == FILE
    assert len(server.requests) <= 13
    again = sum(server.sent) - len(FILE) - server.sent[0]  # the record's answer is the first
    assert again <= 12 * transfer.CHUNK
    resumed = [request for request in server.requests[1:] if "Range" in request]
    assert resumed
    assert {request["If-Range"] for request in resumed} == {'"v1"'}
    assert max(waits) <= network.delay(network.TRIES - 1)


def test_a_later_call_goes_on_from_where_an_earlier_one_failed(server, fetch, tmp_path):
    server.answers = [Answer(cut=400_000)] + [Answer(status=503)] * 20
    with raises(DownloadFailed, "no-answer", "503"):
        fetch()
    kept = part(tmp_path).stat().st_size
    assert 400_000 - transfer.CHUNK <= kept <= 400_000
    server.answers.clear()
    assert fetch().read_bytes() == FILE
    assert server.requests[-1]["Range"] == f"bytes={kept}-"
    assert server.sent[-1] == len(FILE) - kept


def test_the_download_ends_when_nothing_helps(server, fetch, waits):
    server.answers = [Answer(status=500)] * 50
    with raises(DownloadFailed, "no-answer", "500", "data_dir", "MEDIMETA_DATA", "MEDIMETA_RELEASE_URL"):
        fetch()
    assert len(server.requests) == network.TRIES
    assert waits == [1, 2, 4, 8, 16, 32]


def test_a_damaged_part_is_noticed(server, fetch, tmp_path):
    server.answers = [Answer(cut=500_000)] + [Answer(status=503)] * 20
    with pytest.raises(DownloadFailed):
        fetch()
    with part(tmp_path).open("rb+") as file:
        file.write(b"damage")
    server.answers.clear()
    assert fetch().read_bytes() == FILE
    assert "Range" not in server.requests[-1]


def test_a_server_without_ranges_starts_over(server, fetch):
    server.has_ranges = False
    server.answers = [Answer(cut=400_000), Answer(cut=100_000)]
    assert fetch().read_bytes() == FILE
    assert len(server.requests) == 3
    assert server.sent[-1] == len(FILE)


def test_a_server_without_ranges_that_always_cuts_ends(server, fetch):
    server.has_ranges = False
    points = random.Random(2)
    server.answers = [Answer(cut=points.randint(0, 900_000)) for _ in range(200)]
    with raises(DownloadFailed, "no-answer"):
        fetch()
    assert len(server.requests) < 60


@pytest.fixture
def changes(server, monkeypatch):
    """The file becomes another one while the client waits to try again, and no record tells which is right."""
    server.record = None
    server.answers = [Answer(cut=500_000)]

    def change(_):
        server.file, server.etag = archive(1), '"v2"'

    monkeypatch.setattr(transfer, "sleep", change)


@pytest.mark.usefixtures("changes")
def test_a_file_that_changed_in_between_starts_over(server, fetch):
    assert fetch().read_bytes() == archive(1)
    assert [request.get("If-Range") for request in server.requests] == [None, '"v1"']
    assert server.sent[-1] == len(archive(1))


@pytest.mark.usefixtures("changes")
def test_a_changed_file_from_a_server_that_ignores_if_range(server, fetch, monkeypatch):
    send_file = Handler.send_file

    def ignoring_if_range(self, answer):
        del self.headers["If-Range"]
        send_file(self, answer)

    monkeypatch.setattr(Handler, "send_file", ignoring_if_range)
    assert fetch().read_bytes() == archive(1)
    assert ["Range" in request for request in server.requests] == [False, True, False]


def test_an_answer_from_the_wrong_place_starts_over(server, fetch):
    server.answers = [Answer(cut=500_000), Answer(lie=f"bytes 5-{len(FILE) - 1}/{len(FILE)}")]
    assert fetch().read_bytes() == FILE
    assert ["Range" in request for request in server.requests] == [False, True, False]


def test_without_etag_the_checksum_makes_resuming_safe(server, fetch):
    server.etag = None
    server.answers = [Answer(cut=500_000)]
    assert fetch().read_bytes() == FILE
    assert "Range" in server.requests[1]
    assert "If-Range" not in server.requests[1]


def test_without_etag_and_checksum_nothing_is_resumed(server, fetch):
    server.etag = server.record = None
    server.answers = [Answer(cut=500_000)]
    assert fetch().read_bytes() == FILE
    assert "Range" not in server.requests[1]


def test_a_weak_etag_is_not_sent_as_condition(server, fetch):
    server.etag = 'W/"v1"'
    server.answers = [Answer(cut=500_000)]
    assert fetch().read_bytes() == FILE
    assert "If-Range" not in server.requests[1]


def test_a_part_that_is_complete_already_needs_no_more_bytes(server, fetch, tmp_path, monkeypatch):
    for record in (server.record, None):
        server.record = record
        with monkeypatch.context() as broken:
            broken.setattr(transfer.Part, "become", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                fetch()
        server.sent.clear()
        path = fetch()
        assert path.read_bytes() == FILE
        assert max(server.sent) < 1000
        path.unlink()
