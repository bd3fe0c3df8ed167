"""A server for the preview page on this machine only: the page, and rows of the folder as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ...errors import MedIMetaError
from .finder import Finder

HOSTS = ("127.0.0.1", "localhost")  # other names of this machine could belong to a page of somebody else


def serve(html: str, finder: Finder, *, port: int = 0, ready: Callable[[str], object] = lambda address: None) -> None:
    """Serve a page and the rows of its folder until the process is interrupted.

    Args:
        html: The page.
        finder: The rows.
        port: Port of 127.0.0.1; 0 chooses a free one.
        ready: Called with the address.

    Raises:
        MedIMetaError: If the port is taken.
    """
    with server(html, finder, port=port) as running:
        ready(f"http://127.0.0.1:{running.server_port}/")
        running.serve_forever()


def server(html: str, finder: Finder, *, port: int = 0) -> ThreadingHTTPServer:
    """Return the server of a page; arguments as for `serve`."""
    page = html.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Host", "").partition(":")[0] not in HOSTS:
                return self._answer(403, b"only for this machine", "text/plain")
            address = urlsplit(self.path)
            if address.path == "/":
                return self._answer(200, page, "text/html; charset=utf-8")
            if address.path != "/rows":
                return self._answer(404, b"no such page", "text/plain")
            try:
                status, content = 200, _rows(finder, parse_qs(address.query))
            except (MedIMetaError, ValueError) as error:
                status, content = 400, {"error": str(error)}
            return self._answer(status, json.dumps(content).encode(), "application/json")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            headers = {"Content-Type": kind, "Content-Length": str(len(body)), "X-Content-Type-Options": "nosniff"}
            for name, value in (headers | {"Cache-Control": "no-store"}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing of requests."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise MedIMetaError(f"Port {port} cannot be used ({error}). Give another one with --port.") from error


def _rows(finder: Finder, query: dict[str, list[str]]) -> dict[str, Any]:
    given = {name: values[0] for name, values in query.items()}
    texts = {name: given[name] for name in ("split", "label", "text") if name in given}
    row = int(given["row"]) if "row" in given else None
    return finder.find(
        given.get("dataset", ""), given.get("task", ""), **texts, row=row, offset=int(given.get("offset", "0"))
    )
