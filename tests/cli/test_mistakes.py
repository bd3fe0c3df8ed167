"""Mistakes that users make (`mistakes.yaml`): each message names the thing, the reason and the next step."""

from __future__ import annotations

import errno
import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
import yaml

import medimeta
from medimeta import DATASETS
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.cli import app as cli
from medimeta.errors import MedIMetaError, MissingExtra
from medimeta.upload.folder.writing import build

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs" / "troubleshooting.md"
ROOMS = yaml.safe_load((HERE / "mistakes.yaml").read_text(encoding="utf-8"))
WRITE = "MEDIMETA_WRITE_TROUBLESHOOTING"
MISTAKES = [mistake for room in ROOMS.values() for mistake in room]
HEADINGS = {id(mistakes[0]): f"\n## {room}\n" for room, mistakes in ROOMS.items()}
HEAD = """# Troubleshooting, by error message

Search this page for words of the message on your screen; names of files and datasets differ. Every message says what is
wrong, the reason, and what to do next. `medimeta --debug COMMAND` also shows the traceback and the stable code of the
error; in Python, the code is `error.code`. Exit codes: 0 success, 1 failure (or `verify` found errors or differences),
2 wrong usage, 130 interrupted.

<!-- The messages are what the tests get for the mistakes in tests/cli/mistakes.yaml.
     Write the page with: python tests/cli/test_mistakes.py -->

## Messages of other packages

**`datasets.load_dataset("medimeta", "bus")` without `import medimeta`.** The name "medimeta" is then looked up on the
Hub. Write `import medimeta` above the call, or use `medimeta.load_dataset("bus")`. The message is one of these:

> Couldn't find any data file at ...

> Couldn't find cache for medimeta for config 'bus'

> Couldn't reach 'medimeta' on the Hub

> Dataset 'medimeta' doesn't exist on the Hub or cannot be accessed.

**A `DataLoader` in whose worker processes medimeta is not imported**, as in a notebook on macOS or Windows. Use
`view.with_format("torch")`, or `medimeta.loader(view)`, which needs no worker processes.

> default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found &lt;class 'PIL...

**An image processor that expects RGB**, given greyscale images. Load the view with `mode="RGB"`.

> mean must have 1 elements if it is an iterable, got 3
"""


def entry(mistake, said):
    """The paragraph of docs/troubleshooting.md on one mistake."""
    call = "Python" if "python" in mistake else f"`medimeta {mistake['command'].split()[0]}`"
    code = f" Code: `{mistake['error']}`." if "error" in mistake else ""
    return f"**{mistake['mistake']}** ({call}).{code}\n\n> {html.escape(said, quote=False)}\n"


def quotable(error, shown):
    """A message without the folders of this machine, and with the first of many choices only."""
    said = str(error) if isinstance(error, MedIMetaError) else shown.partition("Error: ")[2]
    said = re.sub(r"(?<![\w:/])/(?:[^\s/:]+/)+", "", " ".join(said.split()))
    many = re.compile(r"Choices: ((?:[^,.]+, ){3})(?:[^,.]+, ){2,}[^,.]+\.")
    return many.sub(r"Choices: \1...", said)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    home = tmp_path_factory.mktemp("mistakes")
    raw = write_miniature("bus", home / "raw", per_class=6)
    build(open_source("bus", raw, Options(partial=True)), home / "hub", version="0")
    shutil.copytree(home / "hub", home / "half")
    (home / "half" / "records" / "bus" / "build.json").unlink()
    for folder in ("theses", "broken"):
        (home / folder).mkdir()
    (home / "theses" / "thesis.tex").write_text("mine")
    (home / "notes.txt").write_text("mine")
    (home / "predictions.csv").write_text("index,score\n0,1\n")
    archive = next(raw.glob("*.zip")).read_bytes()
    (home / "broken" / "Dataset_BUSI.zip").write_bytes(archive[: len(archive) // 2])
    names = {"own": "theses", "text": "notes.txt", "predictions": "predictions.csv"}
    found = {
        name: str(home / names.get(name, name)) for name in ("hub", "half", "own", "broken", "text", "predictions")
    }
    return found | {"raw": str(raw)}


def of_command(mistake, places, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([word.format(**places) for word in mistake["command"].split()])
    shown = capsys.readouterr().err
    assert ended.value.code == mistake["code"], shown
    assert "Traceback" not in shown
    return shown, ended.value.__context__


def of_python(mistake, places, monkeypatch):
    if "statistics" in mistake["python"] or "evaluate_scores" in mistake["python"] or "Episode" in mistake["python"]:
        pytest.importorskip("scipy", reason="SciPy is not installed")
    from medimeta.learn.data import statistics
    from medimeta.learn.episodes.episode_set import EpisodeSet
    from medimeta.learn.evaluation.measures import metrics

    names = {"medimeta": medimeta, "DATASETS": DATASETS, "np": np, "statistics": statistics, "EpisodeSet": EpisodeSet}
    names |= {"evaluate_scores": metrics.evaluate_scores, "setenv": monkeypatch.setenv, **places}
    names["offline"] = lambda: monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(MedIMetaError) as raised:
        eval(mistake["python"], names)
    return str(raised.value), raised.value


def answer(mistake, places, out, monkeypatch, capsys):
    """Make a mistake; return what was shown, and the error."""
    places = places | {"out": str(out)}
    if "system" in mistake:
        number = getattr(errno, mistake["system"])

        def refused(path, *_):
            raise OSError(number, os.strerror(number), f"shard {path.name}")

        monkeypatch.setattr("medimeta.upload.folder.writing.write_shard", refused)
    if "token" in mistake:
        monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    by_command = "command" in mistake
    return of_command(mistake, places, capsys) if by_command else of_python(mistake, places, monkeypatch)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one["mistake"])
def test_message_names_the_thing_and_says_why_and_what_to_do(mistake, places, tmp_path, monkeypatch, capsys):
    shown, error = answer(mistake, places, tmp_path / "out", monkeypatch, capsys)

    if "error" in mistake:
        assert error.code == mistake["error"], (error, shown)
    flat = " ".join(shown.split())
    for key in ("names", "why", "do"):
        assert mistake[key].format(**places | {"out": str(tmp_path / "out")}) in flat, (key, flat)
    paragraph = entry(mistake, quotable(error, shown))
    if WRITE in os.environ:
        with DOCS.open("a", encoding="utf-8") as page:
            page.write(HEADINGS.get(id(mistake), "") + f"\n{paragraph}")
    elif os.name != "nt":
        assert paragraph in DOCS.read_text(encoding="utf-8"), "run: python tests/cli/test_mistakes.py"


def test_there_are_enough_and_the_docs_have_no_others():
    page = DOCS.read_text(encoding="utf-8")

    assert len(MISTAKES) >= 40
    assert page.startswith(HEAD)
    assert page.removeprefix(HEAD).count("\n> ") == len(MISTAKES)


def test_an_outdated_datasets_is_reported_when_data_are_loaded():
    code = """import datasets; datasets.__version__ = '2.19.1'; import medimeta
try: datasets.load_dataset('medimeta', 'bus')
except medimeta.MedIMetaError as error: print(error.code, '2.19.1' in str(error))"""
    places = os.environ | {"PYTHONPATH": str(HERE.parents[1] / ".editable")}
    done = subprocess.run([sys.executable, "-c", code], env=places, capture_output=True, text=True)

    assert done.stdout.split() == ["outdated-datasets", "True"], done.stderr


def test_a_missing_extra_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SystemExit) as ended:
        cli.main(["build", "bus", "--source", str(HERE), "--dask", "tcp://here:1", "--out", str(HERE / "no")])

    assert ended.value.code == 1
    assert type(ended.value.__context__) is MissingExtra
    assert "pip install 'distributed>=" in capsys.readouterr().err


if __name__ == "__main__":
    DOCS.write_text(HEAD, encoding="utf-8")
    os.environ[WRITE] = "1"
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-n", "0", __file__, "-m", ""], check=True)
