"""A file server like that of the published record, which can misbehave in every way that servers do."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import sys
import threading
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def archive(seed: int = 0) -> bytes:
    """A zip archive of about one megabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        entry = zipfile.ZipInfo("bus/annotations.csv")  # its time is fixed, so that all archives of a seed are equal
        file.writestr(entry, random.Random(seed).randbytes(1_000_000))
    return buffer.getvalue()


FILE = archive()


@dataclass
class Answer:
    """How the server deviates in its answer to one request for the file."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes to send before the connection breaks
    body: bytes | None = None  # instead of the file
    lie: str | None = None  # Content-Range to claim


class Server(ThreadingHTTPServer):
    """A file server like that of the record, with a list of deviations to use up, one per request for the file."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.file = FILE
        self.etag: str | None = '"v1"'
        self.has_ranges = True
        self.has_length = True
        self.record: Any = {"files": [{"key": "bus.zip", "size": len(FILE), "checksum": "md5:" + md5(FILE)}]}
        self.answers: list[Answer] = []
        self.record_answers: list[Answer] = []
        self.requests: list[dict[str, str]] = []  # headers of the requests for the file
        self.record_requests = 0
        self.sent: list[int] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may well hang up
            super().handle_error(request, client_address)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/records/7/files"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        if self.path == "/api/records/7":
            server.record_requests += 1
            answer = server.record_answers.pop(0) if server.record_answers else Answer()
            if server.record is None:
                answer = Answer(status=404, body=b"no such page")
            self.reply(answer.status or 200, answer.headers, answer.body or json.dumps(server.record).encode())
        elif self.path.partition("?")[0] == "/records/7/files/bus.zip":
            server.requests.append(dict(self.headers))
            self.send_file(server.answers.pop(0) if server.answers else Answer())
        else:
            self.reply(404, {}, b"")

    def send_file(self, answer: Answer) -> None:
        server, headers = self.server, dict(answer.headers)
        if answer.status is not None:
            return self.reply(answer.status, headers, answer.body or b"")
        body, status = server.file if answer.body is None else answer.body, 200
        if server.etag:
            headers["ETag"] = server.etag
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and server.has_ranges and self.headers.get("If-Range", server.etag) == server.etag:
            start, total = int(match[1]), len(body)
            if start >= total:
                return self.reply(416, {"Content-Range": f"bytes */{total}"}, b"")
            status, body = 206, body[start:]
            headers["Content-Range"] = answer.lie or f"bytes {start}-{total - 1}/{total}"
        self.reply(status, headers, body, answer.cut)

    def reply(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.has_length:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body[:cut])
        self.server.sent.append(len(body[:cut]))
        if cut is not None:
            self.close_connection = True


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


@contextmanager
def running():
    """A server that runs in a thread."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
