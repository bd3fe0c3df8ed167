"""Download one file over HTTP, resume it where it stopped, and never mix two versions of it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from urllib3.exceptions import HTTPError

from ...errors import DownloadFailed, SourceNotFound, visible
from .network import TRANSIENT, TRIES, asked_wait, delay

TIMEOUT = (10, 60)  # seconds to connect, and between two chunks
CHUNK = 1 << 16  # bytes; a lost connection loses at most this much
OTHER_WAYS = (
    "Alternatives: a local copy (data_dir or the environment variable MEDIMETA_DATA), or a mirror "
    "(MEDIMETA_RELEASE_URL)."
)

logger = logging.getLogger("medimeta")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Expected:
    """Size and checksum of a file as stated by its record; None where the record does not say."""

    size: int | None = None
    md5: str | None = None
    sha256: str | None = None


class Interrupted(Exception):
    """A request that failed in a way that may pass.

    Args:
        reason: Why it failed.
        wait: Seconds that the server asks to wait, or None.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class WrongBytes(Exception):
    """A complete response whose content is not the expected file."""


class Part:
    """A partial download: the file, its checksums, and the version of the server's file that it belongs to.

    Args:
        path: The partial file; an existing one is continued.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(f"{path.name}.json")
        self._reset()
        if path.is_file():
            self._resume()

    def _reset(self) -> None:
        self.size = 0
        self.validator: str | None = None
        self.md5 = hashlib.md5(usedforsecurity=False)  # what records state
        self.sha256 = hashlib.sha256()

    def _resume(self) -> None:
        try:
            self.validator = json.loads(self._note.read_text(encoding="utf-8"))["validator"]
        except (OSError, ValueError, LookupError, TypeError):
            self.validator = None
        with self.path.open("rb") as file:
            while chunk := file.read(CHUNK):
                self.count(chunk)

    def count(self, chunk: bytes) -> None:
        """Add a chunk that was written to the file to size and checksums."""
        self.size += len(chunk)
        self.md5.update(chunk)
        self.sha256.update(chunk)

    def discard(self) -> None:
        """Delete all bytes."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self._reset()

    def start_over(self, validator: str | None) -> None:
        """Delete all bytes and note the version of the file that follows."""
        self.discard()
        self._note.write_text(json.dumps({"validator": validator}), encoding="utf-8")
        self.validator = validator

    def become(self, path: Path) -> None:
        """Sync the complete file to disk and give it its final name."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(path)
        self._note.unlink(missing_ok=True)


def fetch(session: requests.Session, url: str, part: Part, expected: Expected, bar: Any) -> None:
    """Request the missing bytes once; return when the file has its full length.

    Args:
        session: HTTP session.
        url: Address of the file.
        part: The partial download to extend.
        expected: What the record states about the file.
        bar: Progress bar with `total`, `n` and `update`, as in tqdm.

    Raises:
        Interrupted: If the same request may work later.
        WrongBytes: If the size differs from the stated one.
        DownloadFailed: If the server refuses, or the disk has too little space.
        SourceNotFound: If the server does not have the file.
    """
    if expected.size is not None and part.size == expected.size:
        return
    headers = {"Accept-Encoding": "identity"}
    if part.size and (part.validator or expected.md5 or expected.sha256):  # otherwise a changed file would go unnoticed
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    with get(session, url, headers=headers, stream=True) as response:
        total = _align(response, part)
        if response.status_code == 416:
            return
        if total is not None and expected.size not in (None, total):
            raise WrongBytes(f"{total:,} bytes, expected {expected.size:,}")
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
                        raise WrongBytes(f"more than the {total:,} bytes announced")
            except requests.RequestException as error:
                raise Interrupted(f"connection lost ({type(error).__name__})") from None
        if total is not None and part.size < total:
            raise Interrupted(f"connection closed after {part.size:,} of {total:,} bytes")


def _align(response: requests.Response, part: Part) -> int | None:
    """Make the part end where the response begins; return the length of the whole file if the response states it."""
    content_range = response.headers.get("Content-Range", "")
    validator = _validator(response)
    if response.status_code == 200:  # the whole file: first request, no support for ranges, or another version
        part.start_over(validator)
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() and len(length) < 20 else None
    if response.status_code == 206:
        match = re.fullmatch(rf"bytes {part.size}-\d+/(\d{{1,19}}|\*)", content_range)
        if match and (None in (validator, part.validator) or validator == part.validator):
            return None if match[1] == "*" else int(match[1])
    if response.status_code == 416 and content_range == f"bytes */{part.size}":
        return part.size
    part.discard()
    raise Interrupted("the file on the server has changed, or the response starts at another byte")


def _validator(response: requests.Response) -> str | None:
    """Return the name of this version of the file for If-Range, which allows no weak ETag."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _check_space(part: Part, total: int | None) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if total is not None and total - part.size > free:
        raise DownloadFailed(
            f"{part.path.parent} has {free:,} bytes free; the download needs {total - part.size:,} more. Free some "
            "space, or choose another cache_dir (environment variable HF_HOME).",
            code="no-space",
        )


def get(session: requests.Session, url: str, accept_any: bool = False, **options: Any) -> requests.Response:
    """Send one GET request.

    Args:
        session: HTTP session.
        url: Address.
        accept_any: Return responses of any status, except those that may pass.
        **options: For `requests`.

    Raises:
        Interrupted: If the same request may work later.
        SourceNotFound: If the address does not exist.
        DownloadFailed: If the server refuses.
    """
    try:
        response = session.get(url, timeout=TIMEOUT, **options)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise Interrupted(f"no answer ({type(error).__name__})") from None  # its text may contain credentials
    except (requests.RequestException, HTTPError, ValueError) as error:  # also an invalid address in a redirect
        raise DownloadFailed(f"{shown(url)} cannot be read ({type(error).__name__}). {OTHER_WAYS}") from None
    status = response.status_code
    if (accept_any and status not in TRANSIENT) or status in (200, 206, 416):
        return response
    response.close()
    reason = f"HTTP {status} {visible(str(response.reason))}"
    if status in TRANSIENT:
        raise Interrupted(reason, asked_wait(response.headers))
    if status in (404, 410):
        raise SourceNotFound(f"{shown(url)} does not exist (HTTP {status}). {OTHER_WAYS}", code="not-on-server")
    raise DownloadFailed(f"{shown(url)} was refused ({reason}). {OTHER_WAYS}", code="refused-by-server")


def retry(action: Callable[[], Result], url: str, part: Part | None = None) -> Result:
    """Repeat an action while it is interrupted; failures count only while no bytes arrive.

    Args:
        action: What to do; may raise `Interrupted`.
        url: Address, for messages.
        part: The download whose size shows progress.

    Raises:
        DownloadFailed: After `TRIES` attempts in a row without progress.
    """
    failures, most = 0, part.size if part else 0
    while True:
        try:
            return action()
        except Interrupted as fault:
            size = part.size if part else 0
            failures, most = (1, size) if size > most else (failures + 1, most)
            if failures >= TRIES:
                kept = f" {size:,} bytes are kept; rerun to continue from there." if size else ""
                raise DownloadFailed(
                    f"{shown(url)}: {fault}, {failures} attempts in a row without progress.{kept} {OTHER_WAYS}",
                    code="no-answer",
                ) from None
            seconds = delay(failures, fault.wait)
            logger.warning("%s: %s; trying again in %.0f s.", shown(url), fault, seconds)
            sleep(seconds)


def shown(url: str) -> str:
    """Return an address without user name, password and query, which may contain credentials."""
    try:
        parts = urlsplit(url)
    except ValueError:  # not a valid address
        return visible(url.partition("?")[0].rpartition("@")[2])
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
