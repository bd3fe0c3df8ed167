"""Download a published release, checked by the size and checksum in its record.

While it is incomplete, `<id>.zip.part` is next to `<id>.zip`, with `<id>.zip.part.json` (the version of the file that
the bytes belong to); afterwards `<id>.zip.json` (address, size, checksums, and when the file was last found intact).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import zipfile
from contextlib import suppress
from pathlib import Path

import requests

from ...cards.catalogue import DATASETS
from ...errors import DownloadFailed, SourceNotFound, some
from ...files.atomic import whole_file
from ...files.remote.network import offline_variable
from ...files.remote.transfer import OTHER_WAYS, Expected, Part, WrongBytes, fetch, get, retry, shown

BASE_URL = "https://zenodo.org/records/7884735/files"
RELEASE_VARIABLE = "MEDIMETA_RELEASE_URL"

logger = logging.getLogger("medimeta")


def download_release(
    dataset: str, *, base_url: str | None = None, cache_dir: str | os.PathLike[str], force: bool = False
) -> Path:
    """Download the published release of a dataset, unless an intact copy is in the cache.

    Args:
        dataset: Id of the dataset.
        base_url: Address of the folder that holds `<id>.zip`; by default MEDIMETA_RELEASE_URL, or else the record on
            Zenodo.
        cache_dir: Folder to keep downloads in, one subfolder per base URL.
        force: Download again.

    Returns:
        The zip archive.

    Raises:
        UnknownName: If the dataset does not exist.
        SourceNotFound: If the server does not have the file.
        DownloadFailed: If the server cannot be reached or sends wrong bytes, again and again.
    """
    from filelock import FileLock

    base = _checked(base_url)
    path = cached_release(dataset, base_url=base, cache_dir=cache_dir)
    if not force and path.is_file() and _is_intact(path):
        return path
    _refuse_offline(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if force or not (path.is_file() and _is_intact(path)):  # another process may have been faster
            with requests.Session() as session:
                _download(session, f"{base}/{path.name}", path, _ask_record(session, base, path.name))
    return path


def release_size(dataset: str, *, base_url: str | None = None) -> int | None:
    """Ask the server for the size of the published release of a dataset; nothing is downloaded.

    Args:
        dataset: Id of the dataset.
        base_url: As for `download_release`.

    Returns:
        Bytes; None if the server does not tell.

    Raises:
        UnknownName: If the dataset does not exist.
        SourceNotFound: If the server does not have the file, or downloads are forbidden.
        DownloadFailed: If the server cannot be reached.
    """
    base, name = _checked(base_url), f"{DATASETS[dataset].id}.zip"
    _refuse_offline(Path(name))
    with requests.Session() as session:
        if (size := _ask_record(session, base, name).size) is not None:
            return size
        url = f"{base}/{name}"
        headers = {"Accept-Encoding": "identity"}
        with retry(lambda: get(session, url, headers=headers, stream=True), url) as response:
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() and len(length) < 20 else None


def cached_release(dataset: str, *, base_url: str | None = None, cache_dir: str | os.PathLike[str]) -> Path:
    """Return the path at which `download_release` keeps a release, whether it is there or not.

    Args:
        dataset: Id of the dataset.
        base_url: As for `download_release`.
        cache_dir: As for `download_release`.

    Raises:
        UnknownName: If the dataset does not exist.
    """
    # One folder per address: the files of a mirror and of the record never mix.
    key = hashlib.sha256(shown(_base(base_url)).encode()).hexdigest()[:12]
    return Path(cache_dir) / "medimeta-releases" / key / f"{DATASETS[dataset].id}.zip"


def _is_intact(path: Path) -> bool:
    """Whether a downloaded file is what was downloaded; it is read only if it was touched since the last look."""
    note, status = path.with_name(f"{path.name}.json"), path.stat()
    state = [status.st_size, status.st_mtime_ns]
    try:
        seen = json.loads(note.read_text(encoding="utf-8"))
        if seen.get("intact") == state:
            return True
        with path.open("rb") as file:
            intact = bool(seen["sha256"] == hashlib.file_digest(file, "sha256").hexdigest())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):  # a note that was damaged
        seen, intact = {}, zipfile.is_zipfile(path)
    if intact:
        with suppress(OSError), whole_file(note) as partial:  # the cache may be read-only
            partial.write_text(json.dumps(seen | {"intact": state}, indent=2) + "\n", encoding="utf-8")
    else:
        logger.warning("%s is damaged; downloading it again.", path)
    return intact


def _base(base_url: str | None) -> str:
    return (base_url or os.environ.get(RELEASE_VARIABLE) or BASE_URL).rstrip("/")


def _checked(base_url: str | None) -> str:
    base = _base(base_url)
    if re.match("https?://", base) is None:
        raise DownloadFailed(
            f"{shown(base)} is not an address that begins with https:// or http://. {OTHER_WAYS}",
            code="invalid-address",
        )
    return base


def _download(session: requests.Session, url: str, path: Path, expected: Expected) -> None:
    from datasets.utils import tqdm

    part = Part(path.with_name(f"{path.name}.part"))
    with tqdm(desc=path.name, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        for attempt in (1, 2):
            try:
                retry(lambda: fetch(session, url, part, expected, bar), url, part)
                _check(part, expected)
                break
            except WrongBytes as wrong:
                part.discard()
                if attempt == 2:
                    raise DownloadFailed(
                        f"{shown(url)} gave wrong bytes twice: {wrong}. {OTHER_WAYS}", code="wrong-bytes"
                    ) from None
                logger.warning("%s gave wrong bytes (%s); trying once more from the start.", shown(url), wrong)
    seen = {
        "url": shown(url),
        "size": part.size,
        "md5": part.md5.hexdigest(),
        "sha256": part.sha256.hexdigest(),
        "checked_by": "record" if expected.md5 or expected.sha256 else "zip directory",
        "intact": [part.size, part.path.stat().st_mtime_ns],
    }
    with whole_file(path.with_name(f"{path.name}.json")) as partial:
        partial.write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")
    part.become(path)


def _check(part: Part, expected: Expected) -> None:
    if expected.size not in (None, part.size):
        raise WrongBytes(f"{part.size:,} bytes, expected {expected.size:,}")
    for name, have, want in (
        ("MD5", part.md5.hexdigest(), expected.md5),
        ("SHA-256", part.sha256.hexdigest(), expected.sha256),
    ):
        if want not in (None, have):
            raise WrongBytes(f"{name} {have}, expected {want}")
    if expected.md5 or expected.sha256:
        return
    try:
        zipfile.ZipFile(part.path).close()
    except (zipfile.BadZipFile, OSError) as error:
        raise WrongBytes(f"{part.size:,} bytes that are not a zip archive: {error}") from None


def _ask_record(session: requests.Session, base: str, name: str) -> Expected:
    """Return size and checksum from the record's API: `<x>/api/records/<n>` for `<x>/records/<n>/files`, as Zenodo."""
    if (match := re.fullmatch(r"(.+)/records/(\d+)/files", base)) is not None:
        url = f"{match[1]}/api/records/{match[2]}"
        response = retry(lambda: get(session, url, accept_any=True), url)
        try:
            files = {file["key"]: file for file in response.json()["files"]}
            if response.ok and files:
                if name not in files:
                    raise SourceNotFound(
                        f"{shown(url)} has no {name}; its files are {some(sorted(files))}. {OTHER_WAYS}",
                        code="not-on-server",
                    )
                kind, _, checksum = files[name]["checksum"].lower().partition(":")
                known = {kind: checksum} if kind in ("md5", "sha256") else {}
                return Expected(int(files[name]["size"]), **known)
        except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, SourceNotFound):
                raise
    logger.warning("%s gives no checksums: %s is checked by its length and zip directory only.", shown(base), name)
    return Expected()


def _refuse_offline(path: Path) -> None:
    from datasets import config

    if config.HF_HUB_OFFLINE:
        raise SourceNotFound(
            f"{path} does not exist, and {offline_variable() or 'HF_HUB_OFFLINE'} forbids downloads. {OTHER_WAYS}",
            code="offline",
        )
