"""One file over HTTP in as many requests as it takes: resumed where it stopped, never mixed from two versions."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests

from ..errors import DownloadFailed, SourceNotFound

BACKOFF = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before the next try; one more failure without progress is the end
LONGEST_WAIT = 120.0  # seconds, whatever a server asks for
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces
CHUNK = 1 << 16  # a lost connection loses at most this much
TRANSIENT = {408, 429, 500, 502, 503, 504}
OTHER_WAYS = (
    "Other ways: a copy on this machine, named by data_dir or the environment variable MEDIMETA_DATA, or a mirror, "
    "named by MEDIMETA_RELEASE_URL."
)

logger = logging.getLogger("medimeta")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Expected:
    """What the record says about a file; None where it says nothing."""

    size: int | None = None
    md5: str | None = None


class Interrupted(Exception):
    """A try that failed in a way that may pass; `wait` is how long the server asks to wait, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class WrongBytes(Exception):
    """A complete answer that is not the file."""


class Part:
    """The bytes so far: the file, its checksums, and the version of the server's file that they belong to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(f"{path.name}.json")
        self._reset()
        if path.is_file():
            self._take_up()

    def _reset(self) -> None:
        self.size = 0
        self.validator: str | None = None
        self.md5 = hashlib.md5(usedforsecurity=False)  # what records name
        self.sha256 = hashlib.sha256()

    def _take_up(self) -> None:
        try:
            self.validator = json.loads(self._note.read_text(encoding="utf-8"))["validator"]
        except (OSError, ValueError, LookupError, TypeError):
            self.validator = None
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                self.count(chunk)

    def count(self, chunk: bytes) -> None:
        """Add a piece that is in the file to size and checksums."""
        self.size += len(chunk)
        self.md5.update(chunk)
        self.sha256.update(chunk)

    def discard(self) -> None:
        """Delete all bytes."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self._reset()

    def start_over(self, validator: str | None) -> None:
        """Delete all bytes; what comes next belongs to this version."""
        self.discard()
        self._note.write_text(json.dumps({"validator": validator}), encoding="utf-8")
        self.validator = validator

    def become(self, path: Path) -> None:
        """Give the complete file its final name, durably."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(path)
        self._note.unlink(missing_ok=True)


def fetch(session: requests.Session, url: str, part: Part, expected: Expected, bar: Any) -> None:
    """One request for what is missing; returns when the file has its full length."""
    if expected.size is not None and part.size == expected.size:
        return
    headers = {"Accept-Encoding": "identity"}
    if part.size and (part.validator or expected.md5):  # else nothing could tell a changed file
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    with get(session, url, headers=headers, stream=True) as response:
        total = _place(response, part)
        if response.status_code == 416:
            return
        if total is not None and expected.size not in (None, total):
            raise WrongBytes(f"{total:,} bytes, where the record says {expected.size:,}")
        total = total or expected.size
        _check_space(part, total)
        bar.total, bar.n = total, part.size
        with part.path.open("ab") as file:
            try:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    part.count(chunk)
                    bar.update(len(chunk))
                    if total is not None and part.size > total:
                        raise WrongBytes(f"more than the {total:,} bytes that were announced")
            except requests.RequestException as error:
                raise Interrupted(f"connection lost ({type(error).__name__})") from None
        if total is not None and part.size < total:
            raise Interrupted(f"connection closed after {part.size:,} of {total:,} bytes")


def _place(response: requests.Response, part: Part) -> int | None:
    """Make the part end where the answer begins; returns the length of the whole file where the answer tells it."""
    told = response.headers.get("Content-Range", "")
    validator = _validator(response)
    if response.status_code == 200:  # the whole file: the first request, no ranges here, or another version
        part.start_over(validator)
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() else None
    if response.status_code == 206:
        match = re.fullmatch(rf"bytes {part.size}-\d+/(\d+|\*)", told)
        if match and (None in (validator, part.validator) or validator == part.validator):
            return None if match[1] == "*" else int(match[1])
    if response.status_code == 416 and told == f"bytes */{part.size}":
        return part.size
    part.discard()
    raise Interrupted("the file on the server has changed, or is sent from the wrong place", wait=0)


def _validator(response: requests.Response) -> str | None:
    """What names this version of the file in If-Range; a weak ETag may not."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _check_space(part: Part, total: int | None) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if total is not None and total - part.size > free:
        raise DownloadFailed(
            f"{part.path.parent} has {free:,} bytes free, but {total - part.size:,} more are to come. Make room, or "
            "choose another cache_dir (environment variable HF_HOME)."
        )


def get(session: requests.Session, url: str, accept_any: bool = False, **options: Any) -> requests.Response:
    """Ask once; what may pass becomes `Interrupted`."""
    try:
        response = session.get(url, timeout=TIMEOUT, **options)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise Interrupted(f"no answer ({type(error).__name__})") from None  # its text may hold credentials
    except requests.RequestException as error:
        raise DownloadFailed(f"{shown(url)} cannot be read ({type(error).__name__}). {OTHER_WAYS}") from None
    status = response.status_code
    if (accept_any and status not in TRANSIENT) or status in (200, 206, 416):
        return response
    response.close()
    if status in TRANSIENT:
        raise Interrupted(f"HTTP {status} {response.reason}", _retry_after(response))
    if status in (404, 410):
        raise SourceNotFound(f"{shown(url)} does not exist (HTTP {status}). {OTHER_WAYS}")
    raise DownloadFailed(f"{shown(url)} is refused (HTTP {status} {response.reason}). {OTHER_WAYS}")


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait: a number or a date."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def retry(action: Callable[[], Result], url: str, part: Part | None = None) -> Result:
    """Repeat an action while it is interrupted and, with a part, while bytes still come in."""
    failures, most = 0, part.size if part else 0
    while True:
        try:
            return action()
        except Interrupted as fault:
            size = part.size if part else 0
            failures, most = (1, size) if size > most else (failures + 1, most)
            if failures > len(BACKOFF):
                kept = f" {size:,} bytes are kept; the same call goes on from there." if size else ""
                raise DownloadFailed(
                    f"{shown(url)}: {fault}, {failures} tries in a row without progress.{kept} {OTHER_WAYS}"
                ) from None
            wait = min(BACKOFF[failures - 1] if fault.wait is None else fault.wait, LONGEST_WAIT)
            logger.warning("%s: %s; trying again in %.0f s.", shown(url), fault, wait)
            sleep(wait)


def shown(url: str) -> str:
    """An address without the parts that may hold credentials."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
