"""Ctrl-C while a command works: one line, exit code 130, and nothing half written."""

from __future__ import annotations

import functools
import io
import os
import signal
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress

from fakes.release import write_release, zip_release
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.cli import app as cli
from medimeta.cli.shared import console, progress
from medimeta.files import atomic
from medimeta.files.remote import transfer
from medimeta.files.version import VERSION
from medimeta.learn.data import store
from medimeta.upload.folder.writing import build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=10)


@pytest.fixture(scope="module")
def hub(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "hub"
    build(open_source("bus", raw, Options(partial=True)), folder, version=VERSION)
    return folder


def interrupt(*_, **__):
    raise KeyboardInterrupt


def run(arguments, capsys):
    """Run a command that is interrupted; return the last line of what it says."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert ended.value.code == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    return said.err.splitlines()[-1]


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EPISODES = ("episodes", "bus", "--shots", "1", "--queries", "1", "-n", "2")
WORKING, WRITING = (Progress, "advance"), (atomic, "_sync")


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["verify", "HUB"], WORKING),
        (["verify", "bus", "--source", "RAW", "--against", "HUB", "--partial"], WORKING),
        (["audit", "HUB", "--out", "ledger.parquet"], WORKING),
        (["audit", "HUB", "--out", "ledger.parquet"], WRITING),
        (["preview", "HUB"], WORKING),
        (["preview", "HUB"], WRITING),
        (["preview", "HUB", "--space", "space"], WRITING),
        (["card", "HUB"], WRITING),
        ([*EPISODES, "--data-dir", "HUB", "--out", "e.parquet"], WRITING),
        (["cache"], (store, "cache_entries")),
        (["cache", "--clean"], (store, "cache_entries")),
    ],
)  # fmt: skip
def test_a_command_ends_in_one_line(arguments, place, raw, hub, tmp_path, monkeypatch, capsys):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    before = files(hub)
    if arguments[0] == "card":
        (hub / "README.md").write_text("the old one", encoding="utf-8")

    with monkeypatch.context() as patch:
        patch.setattr(*place, interrupt)
        said = run([{"HUB": hub, "RAW": raw}.get(word, word) for word in arguments], capsys)

    assert said.startswith("Interrupted. No file is half written")
    assert files(here) == {}
    if arguments[0] == "card":
        assert (hub / "README.md").read_text(encoding="utf-8") == "the old one"
        cli.app(["card", str(hub)], standalone_mode=False)
    assert files(hub) == before


def test_a_download_is_kept_for_the_next_time(raw, tmp_path, monkeypatch, capsys):
    release = write_release(open_source("bus", raw, Options(partial=True)), tmp_path / "release", hdf5=False)
    (tmp_path / "served").mkdir()
    zip_release(release, tmp_path / "served" / "bus.zip")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    # A client that is interrupted closes its connection, of which the server would print a traceback.
    monkeypatch.setattr(ThreadingHTTPServer, "handle_error", lambda *_: None)
    arguments = [*EPISODES, "--partial", "--release", "--out", tmp_path / "e.parquet"]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MEDIMETA_RELEASE_URL", f"http://127.0.0.1:{server.server_port}")
        with monkeypatch.context() as patch:
            patch.setattr(transfer.Part, "count", interrupt)
            assert run(arguments, capsys).startswith("Interrupted. No file is half written")
        kept = {path.name for path in (tmp_path / "hf-cache").rglob("bus.zip*")}
        assert kept == {"bus.zip.lock", "bus.zip.part", "bus.zip.part.json"}
        cli.app([str(argument) for argument in arguments], standalone_mode=False)
        server.shutdown()

    assert (tmp_path / "e.parquet").exists()


def test_a_signal_ends_a_process_with_workers(hub, tmp_path):
    code = (
        "import sys\n"
        "from rich.progress import Progress\n"
        "from medimeta.cli import app as cli\n"
        "from medimeta.files import parallel\n"
        "parallel.PATIENCE = 0\n"
        "seen = Progress.advance\n"
        "def advance(*given):\n"
        "    seen(*given)\n"
        "    print('working', flush=True)\n"
        "    import time; time.sleep(60)\n"
        "Progress.advance = advance\n"
        "cli.main(sys.argv[1:])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "verify", str(hub), "--num-proc", "2"],
        env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == "working\n"
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("Interrupted.")
    assert "Traceback" not in said


def test_debug_shows_where(hub, monkeypatch, capsys):
    monkeypatch.setattr(*WORKING, interrupt)
    with pytest.raises(SystemExit):
        cli.main(["--debug", "verify", str(hub)])

    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("completed", "shown"), [(19, "0.26"), (0, "0"), (740, "10"), (740_000, "10,000")])
def test_bars_show_slow_rates_too(completed, shown):
    task = SimpleNamespace(completed=completed, elapsed=74.0)

    assert progress.Rate("datasets").render(task).plain == f"{shown} datasets/s"


def test_bars_show_real_totals(raw, hub, tmp_path, monkeypatch):
    shown = io.StringIO()
    monkeypatch.setattr(console, "err", lambda: Console(file=shown, force_terminal=True, width=120))
    for arguments in (
        ["build", "bus", "--source", raw, "--partial", "--out", tmp_path / "hub"],
        ["audit", f"bus={raw}", "--partial"],
        ["verify", hub],
        ["verify", "bus", "--source", raw, "--against", hub, "--partial"],
    ):
        shown.truncate(0)
        cli.app(list(map(str, arguments)), standalone_mode=False)
        assert "30/30" in shown.getvalue(), arguments
        assert "30/?" not in shown.getvalue()
