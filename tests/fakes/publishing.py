"""What the tests of `push` share: small Hub folders and a client that does not wait."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import datasets
import huggingface_hub.constants
import huggingface_hub.file_download
import huggingface_hub.utils._http as http
import huggingface_hub.utils._xet as xet
import pytest
from huggingface_hub import HfApi, RepoUrl

try:
    from huggingface_hub.utils import close_session
except ImportError:  # before version 1
    from huggingface_hub.utils import reset_sessions as close_session

from fakes.parquet import set_values
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.cards.card import NAMELESS
from medimeta.files.remote import retry as patience
from medimeta.upload.folder.writing import build, write_card
from medimeta.upload.push import publish as push
from medimeta.upload.push.options import PushOptions

REPO = "ns/medimeta"
# Older clients have no Xet, or one that the Hub of the tests does not know.
XET = hasattr(xet, "XetSessionHolder")
NEEDS_XET = pytest.mark.skipif(not XET, reason="needs a newer client")
BOTH = [pytest.param("xet", marks=NEEDS_XET), "lfs"]
TRANSPORTS = [pytest.param("xet", marks=[NEEDS_XET, pytest.mark.slow]), "lfs"]
PARTIAL = Options(partial=True)


def build_folder(home, datasets, *, options=PARTIAL, seed=0, name="hub"):
    """A Hub folder of miniatures.

    Args:
        home: Where sources and folder go.
        datasets: Images per class, by dataset.
        options: How they are built.
        seed: Of the pictures.
        name: Of the folder.
    """
    for dataset, per_class in datasets.items():
        raw = write_miniature(dataset, home / f"{name}-{dataset}", per_class=per_class, seed=seed)
        build(open_source(dataset, raw, options), home / name, version="0")
    return home / name


def publish(hub, folder, **options):
    """Push to the Hub of the tests; miniatures are incomplete."""
    return push.push(
        folder, REPO, PushOptions(**{"partial": True} | options), version="0", api=HfApi(hub.url, hub.token)
    )


def contents(folder, place=None):
    """What the Hub should hold of a folder: all of it, and `card.json` next to each build record (None here)."""
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    if place is None:  # pushed, the card names the repository
        card = files["README.md"].decode()
        card = card.replace(f"Replace `{NAMELESS}` with the name of this repository.\n", "").replace(NAMELESS, REPO)
        files["README.md"] = card.encode()
    return files | {path.replace("build.json", "card.json"): None for path in files if path.endswith("/build.json")}


def holds(hub, folder, revision="main", foreign=None):
    """Whether a revision holds just the folder and the foreign files."""
    found, wanted = hub.files(REPO, revision), contents(folder) | (foreign or {})
    del found[".gitattributes"]
    return set(found) == set(wanted) and all(data in (None, found[path]) for path, data in wanted.items())


def in_another_process(hub, home, script, *arguments):
    """What a script prints that uses the Hub of the tests; the client reads its address only when imported."""
    more = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HOME": str(home / "hf"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-P", "-c", script, *arguments]
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_this_process(monkeypatch, hub):
    """Let the clients of this process find the Hub of the tests, logged in."""
    constants = huggingface_hub.constants
    elsewhere = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
    for module in (constants, huggingface_hub.file_download):  # older clients copy it
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", elsewhere, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", hub.token)


def without_waiting(monkeypatch, *, lfs):
    """The client's transport, and what it waited for; nothing really sleeps for long."""
    waits = []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", lfs, raising=False)
    monkeypatch.setattr(http, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setattr(patience, "sleep", waits.append)
    monkeypatch.setenv("HF_XET_CLIENT_RETRY_BASE_DELAY", "1ms")
    if XET:
        monkeypatch.setattr(xet, "_GLOBAL_XET_HOLDER", xet.XetSessionHolder())
    else:  # older clients take the endpoint of a commit from the environment
        made = RepoUrl.__init__
        at = lambda self, url, endpoint=None: made(self, url, endpoint or "/".join(url.split("/")[:3]))  # noqa: E731
        monkeypatch.setattr(RepoUrl, "__init__", at)
    huggingface_hub.utils.disable_progress_bars()
    return waits


@contextmanager
def other_client():
    """Connections that are not shared with tests before or after."""
    close_session()
    try:
        yield
    finally:
        close_session()


def shard_of(folder, dataset="bus", split="train"):
    """The first shard of a split."""
    return folder / dataset / f"{split}-00000-of-00001.parquet"


def change_a_row(folder):
    """Another subject for one row of bus, with the card that goes with it."""
    set_values(shard_of(folder), 0, subject_id="someone")
    write_card(folder, "0")
