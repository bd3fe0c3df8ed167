"""A small Hugging Face Hub on loopback: the real protocol for the real client, with faults on demand.

    with Hub(tmp_path) as hub:
        hub.fail(Fault("status", r"POST .*/commit/", status=503))
        HfApi(hub.url, hub.token).upload_folder(...)

Dataset repositories only; files arrive as they are, through LFS or through Xet. `routes` has the answers.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from .routes import Refused, answer

TOKEN = "hf_" + "WriteTokenOfTheTester" * 2
READ_TOKEN = "hf_" + "ReadTokenOfTheTester" * 2
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER without time: closing resets the connection


@dataclass
class Fault:
    """Something that goes wrong with requests.

    Attributes:
        kind: "status" (an error for an answer), "reset" (the connection, before anything is read), "cut" (the
            connection, amid the body of the request), "lost" (done, but the answer does not arrive), "late" (the same,
            and done only a while after), "truncate" and "corrupt" (the answer), or "meanwhile" (only `act` happens,
            before the request is handled).
        where: Regular expression for "METHOD path".
        times: How many requests it hits.
        after: How many matching requests pass before.
        status: Status code of "status".
        headers: Headers of "status".
        act: Called first.
    """

    kind: str
    where: str = "."
    times: int = 1
    after: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    act: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Entry:
    """A file of a commit; of a large one, git has only a pointer."""

    sha256: str
    size: int
    oid: str
    large: bool


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    files: dict[str, Entry]
    title: str
    message: str = ""
    date: str = "2026-11-22T00:00:00.000Z"


@dataclass
class Repo:
    private: bool = False
    gated: str | bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)  # branches and refs/pr/N
    tags: dict[str, str] = field(default_factory=dict)
    discussions: list[dict] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def resolve(self, revision):
        """The commit that a branch, a tag, a pull request or an oid names."""
        oid = self.heads.get(revision) or self.tags.get(revision) or revision
        if oid not in self.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[oid]

    def history(self, revision="main"):
        """Commits, the newest first."""
        commit = self.resolve(revision)
        while commit is not None:
            yield commit
            commit = self.commits.get(commit.parent)

    def add_commit(self, head, files, title, message=""):
        parent = self.heads.get(head)
        text = repr((parent, title, message, time.time_ns(), sorted((p, e.oid) for p, e in files.items())))
        commit = Commit(git_oid("commit", text.encode()), parent, files, title, message)
        self.commits[commit.oid] = commit
        self.heads[head] = commit.oid
        return commit


class Hub:
    """The server, a context manager.

    Attributes:
        url: What `HfApi(endpoint=...)` wants.
        token: A token that may write to the namespace "ns".
        log: "METHOD path" of each request.
        received: Bytes of all request bodies, torn ones included.
        injected: How often each kind of fault happened.
        trouble: Gives the fault of a request, or None.
    """

    def __init__(self, root: Path, *, page: int = 1000, part_bytes: int | None = None) -> None:
        self.page, self.part_bytes, self.xet = page, part_bytes, root / "xet"
        self.token, self.tokens = TOKEN, {TOKEN: "write", READ_TOKEN: "read"}
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.log: list[str] = []
        self.received = 0
        self.injected: Counter[str] = Counter()
        self.trouble: Callable[[str], Fault | None] = lambda request: None
        self.lock = threading.RLock()
        self._xet_hashes: dict[str, str] = {}
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def fail(self, *faults):
        """From now on these faults happen, each as often as it says."""
        seen, lock = [0] * len(faults), threading.Lock()

        def trouble(request):
            with lock:
                fitting = [number for number, fault in enumerate(faults) if re.search(fault.where, request)]
                for number in fitting:
                    seen[number] += 1
                return next((faults[n] for n in fitting if 0 < seen[n] - faults[n].after <= faults[n].times), None)

        self.trouble = trouble

    def create(self, name, **settings):
        repo = self.repos[name] = Repo(**settings)
        repo.add_commit("main", {".gitattributes": self.regular(b"*.parquet filter=lfs\n")}, "initial commit")
        return repo

    def commit(self, name, files, head="main"):
        """A commit by someone else; None deletes a file."""
        repo = self.repos[name]
        with repo.lock:
            kept = {path: entry for path, entry in repo.resolve(head).files.items() if path not in files}
            new = {path: self.regular(data) for path, data in files.items() if data is not None}
            return repo.add_commit(head, kept | new, "by someone else")

    def files(self, name, revision="main"):
        """The contents of a revision."""
        return {path: self.content(entry) for path, entry in sorted(self.repos[name].resolve(revision).files.items())}

    @property
    def sent(self):
        """Bytes that clients have sent, with those that Xet's client puts into its storage by itself."""
        return self.received + sum(path.stat().st_size for path in self.xet.rglob("xorbs/*/*"))

    def regular(self, data):
        return Entry(self.put(data), len(data), git_oid("blob", data), large=False)

    def large(self, sha256, size):
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"
        return Entry(sha256, size, git_oid("blob", pointer.encode()), large=True)

    def put(self, data):
        sha256 = hashlib.sha256(data).hexdigest()
        self.blobs[sha256] = data
        return sha256

    def has(self, sha256):
        return sha256 in self.blobs or self.xet_hash(sha256) is not None

    def content(self, entry):
        """The bytes of a file; those that came through Xet are put together by Xet's own client."""
        if entry.sha256 not in self.blobs:
            import hf_xet

            path = self.xet / f"{entry.sha256}.{threading.get_ident()}"
            with hf_xet.XetSession().new_file_download_group(
                endpoint=f"local://{self.xet}", token="xet", token_expiry_unix_secs=int(time.time()) + 3600
            ) as group:
                group.start_download_file(hf_xet.XetFileInfo(self.xet_hash(entry.sha256), entry.size), str(path))
            self.put(path.read_bytes())
            path.unlink()
        return self.blobs[entry.sha256]

    def xet_hash(self, sha256):
        """Xet's name of a file that came through Xet, or None."""
        if sha256 not in self._xet_hashes:
            for path in self.xet.rglob("*.mdb"):
                self._xet_hashes |= dict(described_files(path.read_bytes()))
        return self._xet_hashes.get(sha256)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Nothing: a client may go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def log_message(self, *_):
        """Nothing is printed."""

    def handle_any(self):
        url = urlsplit(self.path)
        self.route, self.query, self.query_text = url.path, parse_qs(url.query), url.query
        self.base = f"http://{self.headers['Host']}"
        self.token = (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()
        self.length, self._body = int(self.headers.get("Content-Length") or 0), None
        request = f"{self.command} {self.path}"
        self.hub.log.append(request)
        self.fault = self.hub.trouble(request) or Fault("none")
        self.hub.injected[self.fault.kind] += 1
        with suppress(BrokenPipeError, ConnectionResetError):
            self.fault.act()
            if self.fault.kind in ("reset", "cut"):
                self._read(self.length // 2 if self.fault.kind == "cut" else 0)
                return self._reset()
            if self.fault.kind == "late":
                self.body  # noqa: B018
                self._reset()
                time.sleep(0.05)
                return answer(self)
            if self.fault.kind == "status":
                status, data, headers = self.fault.status, {"error": f"injected: {self.token}"}, self.fault.headers
            else:
                status, data, headers = answer(self)
            self.body  # noqa: B018  whoever keeps the connection must read it
            return self._reset() if self.fault.kind == "lost" else self._send(status, data, headers)
        return None

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

    @property
    def body(self):
        if self._body is None:
            self._body = self._read(self.length)
        return self._body

    @property
    def json(self):
        return json.loads(self.body)

    def _read(self, length):
        chunks = []
        while length:
            chunk = self.rfile.read1(min(length, 1 << 16))
            if not chunk:
                raise ConnectionResetError
            with self.hub.lock:
                self.hub.received += len(chunk)
            chunks.append(chunk)
            length -= len(chunk)
        return b"".join(chunks)

    def _send(self, status, data, headers):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": len(data), "X-Request-Id": len(self.hub.log)} | headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        middle = len(data) // 2
        if self.command == "HEAD":
            return
        if self.fault.kind == "truncate":
            self.wfile.write(data[:middle])
            self._reset()
        elif self.fault.kind == "corrupt" and data:
            self.wfile.write(data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :])
        else:
            self.wfile.write(data)

    def _reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.connection.close()


def git_oid(kind, data):
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data).hexdigest()


def described_files(data, record=48):
    """sha256 and Xet's name of each file in an `.mdb` file: a header, then a few records of 48 bytes per file."""
    position = record
    while (name := data[position : position + 32]) != b"\xff" * 32:
        flags, ranges = struct.unpack_from("<II", data, position + 32)
        position += record * (1 + ranges * (1 + (flags >> 31)))
        if flags >> 30 & 1:
            yield hash_text(data[position : position + 32]), hash_text(name)
            position += record


def hash_text(data):
    """Xet writes a hash as four little-endian numbers."""
    return b"".join(data[start : start + 8][::-1] for start in range(0, 32, 8)).hex()
