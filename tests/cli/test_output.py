"""Output that reaches a terminal: no control characters, nothing that an encoding lacks, ids in one piece."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from fakes.pages import ROOT
from fakes.processes.shell import new_process
from medimeta import DATASETS
from medimeta.cli import app as cli
from medimeta.cli.shared import console
from medimeta.errors import some, visible

# Clipboard, title, faked line by carriage return, C1 control, text direction, undecodable byte, line separator.
ATTACKS = (
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]0;title\x07",
    "\rClean: no findings.",
    "\x9b2J",
    "\u202egpj",
    "\udcff",
    "\u2028x",
)
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture
def terminal(monkeypatch):
    """Make consoles of terminals with a width, and return what is written to them, without colours."""
    shown = io.StringIO()

    def open_terminal(width=200):
        made = Console(file=shown, force_terminal=True, width=width, highlight=False, color_system=None)
        monkeypatch.setattr(console, "out", lambda: made)
        monkeypatch.setattr(console, "err", lambda: made)
        return shown

    return open_terminal


@pytest.mark.parametrize("attack", ATTACKS)
def test_escaped_text_shows_what_it_holds(attack):
    shown = visible(f"a{attack}b")

    assert not UNSAFE.search(shown)
    assert shown.encode().decode("unicode_escape") == f"a{attack}b"
    assert some([attack]) == visible(attack)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    "show",
    [
        console.print_text,
        console.print_error,
        console.print_styled,
        console.print_hint,
        lambda name: console.print_table(["id", "name"], [["a", name], [name, "b"]]),
        lambda name: console.print_facts({"file": name, "files": [name, "b"]}),
        lambda name: console.print_json({name: name}),
        lambda name: console._SafeHandler().emit(logging.makeLogRecord({"msg": name})),
    ],
    ids=["text", "error", "styled", "hint", "table", "facts", "json", "log"],
)
@pytest.mark.parametrize("on_terminal", [True, False])
def test_nothing_that_a_terminal_acts_upon_is_printed(attack, show, on_terminal, terminal, capsys):
    shown = terminal() if on_terminal else None
    show(f"a{attack}b")
    printed = shown.getvalue() if on_terminal else "".join(capsys.readouterr())

    # Styles of the console itself are the only escape sequences.
    assert not UNSAFE.search(re.sub(r"\x1b\[[\d;]*m", "", printed))


def test_a_name_cannot_fake_a_line_of_its_own(capsys):
    console.print_error("x\nClean: no findings. is missing", "Error:")

    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("Clean")] == []


def test_findings_about_hostile_names_stay_on_their_lines(tmp_path, capsys):
    folder = tmp_path / "hub" / "bus"
    folder.mkdir(parents=True)
    name = os.fsencode(folder) + b"/a\x1b[2J\xff\nClean: no findings.-00000.parquet"
    with open(name, "wb") as file:  # noqa: PTH123  not a name that Path could hold
        file.write(b"PAR1")
    with pytest.raises(SystemExit):
        cli.main(["verify", str(tmp_path / "hub")])

    printed = "".join(capsys.readouterr())
    assert not UNSAFE.search(re.sub(r"\x1b\[[\d;]*m", "", printed))
    assert not [line for line in printed.splitlines() if line.startswith("Clean")]


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
@pytest.mark.parametrize("command", [["info", "glaucoma"], ["cite"], ["list"], ["info", "bus", "--json"]])
def test_streams_of_any_encoding_take_everything(command, encoding, monkeypatch):
    shown, said = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stderr", said)
    with pytest.raises(SystemExit) as ended:
        cli.main(command)
    shown.flush()
    said.flush()

    assert not ended.value.code
    assert said.buffer.getvalue() == b""
    assert shown.buffer.getvalue().decode(encoding)


def test_a_process_writes_in_the_encoding_of_its_stream():
    done = new_process("cite", text=False, env={"PYTHONIOENCODING": "ascii"})

    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert done.stdout.decode("ascii")


@pytest.mark.parametrize("width", [50, 60, 70, 80, 120])
def test_ids_and_numbers_are_never_broken(width, terminal):
    shown = terminal(width)
    cli.app(["list"], standalone_mode=False)

    lines = shown.getvalue().splitlines()
    assert max(map(len, lines[: 2 + len(DATASETS)])) <= width
    words = {word for line in lines for word in line.split()}
    assert set(DATASETS) <= words
    assert {f"{card.total:,}" for card in DATASETS.values()} <= words


@pytest.mark.parametrize("width", ["40", "80"])
def test_help_is_never_cut(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    for name, command in [("", None), *((n, c) for group in cli.COMMANDS.values() for n, c in group.items())]:
        with pytest.raises(SystemExit):
            cli.main([*name.split(), "--help"])
        shown = capsys.readouterr().out
        assert not re.search(r"\w\.\.\.$|<bool>", shown, flags=re.MULTILINE), name
        if command is not None and "usage:" not in shown:
            assert "".join(command.__doc__.partition("\n")[0].split()) in "".join(shown.split())


def test_json_is_printed_for_every_value(capsys):
    console.print_json({"a": "\udcff\x1b", "b": [1, None]})

    assert json.loads(capsys.readouterr().out) == {"a": "\udcff\x1b", "b": [1, None]}


def test_grey_images_are_called_so(capsys):
    cli.app(["info", "bus"], standalone_mode=False)

    assert "780 grayscale images" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["episodes", "bus", "--out", "e.parquet"], ["evaluate", "p.csv", "bus"]])
def test_no_download_begins_unasked(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("index,normal,benign,malignant\n")
    monkeypatch.setattr("medimeta.builders.dataset.download_release", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(SystemExit) as ended:
        cli.main(command)

    assert ended.value.__context__.code == "source-not-found"


def test_a_missing_file_is_reported_before_data_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("medimeta.builders.loading.load_dataset", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", str(tmp_path / "nope.csv"), "bus", "--release"])

    assert ended.value.__context__.code == "predictions-not-found"


def test_the_bare_checkout_runs(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "medimeta", "list"], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == len(DATASETS)
