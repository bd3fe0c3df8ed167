"""Where commands write: a user's own files stay, special files are written to, and a wrong place is named at once."""

from __future__ import annotations

import os
import shutil
import stat
import threading

import numpy as np
import pandas as pd
import pytest

from fakes.processes.shell import medimeta as run
from medimeta.builders.loading import load_dataset
from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.upload.folder.writing import build

LABELS = ("normal", "benign", "malignant")
FROM = ("--data-dir", "hub", "--partial")
FILES = {
    "evaluate": ("evaluate", "p.csv", "bus", *FROM, "--resamples", "5", "--out"),
    "table --markdown": ("table", "a.json", "b.json", "--markdown"),
    "table --latex": ("table", "a.json", "b.json", "--latex"),
    "table --csv": ("table", "a.json", "b.json", "--csv"),
    "table --plot": ("table", "a.json", "b.json", "--plot"),
    "show": ("show", "bus", *FROM, "--columns", "1", "--out"),
    "corruptions --show": ("corruptions", "bus", *FROM, "--show"),
    "episodes": ("episodes", "bus", *FROM, "-n", "2", "--shots", "1", "--queries", "1", "--split", "train", "--out"),
    "audit": ("audit", "hub", "--out"),
    "preview": ("preview", "hub", "--out"),
}
FOLDERS = {
    "bench-report": (("bench-report", "a.json", "b.json", "--out"), "index.html"),
    "audit --flags": (("audit", "hub", "--flags"), "bus.parquet"),
    "preview --space": (("preview", "hub", "--space"), "index.html"),
}
pytestmark = pytest.mark.slow


def said(done):
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("places")
    raw = write_miniature("bus", home / "raw", per_class=8, packed=False)
    image = next(raw.rglob("benign (1).png"))
    shutil.copy(image, next(raw.rglob("normal (1).png")))  # a duplicate for the audit
    build(open_source("bus", raw, Options(partial=True)), home / "hub", version="0")
    count = len(load_dataset("bus", split="test", data_dir=home / "hub", partial=True))
    pd.DataFrame(np.full((count, 3), 1 / 3), columns=LABELS).to_csv(home / "p.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        for name in "ab":
            done = run(*FILES["evaluate"], f"{name}.json", "--method", name)
            assert done.returncode == 0, said(done)
    return home


@pytest.fixture(autouse=True)
def here(home, monkeypatch):
    monkeypatch.chdir(home)


@pytest.mark.parametrize("command", FILES)
def test_a_file_of_the_user_stays_and_ones_own_is_replaced(command, tmp_path):
    target = tmp_path / "out"
    target.write_text("my thesis")

    refused = run(*FILES[command], str(target))

    assert refused.returncode == 1
    assert "delete it" in said(refused)
    assert target.read_text() == "my thesis"
    assert {path.name for path in tmp_path.iterdir()} - {"hf-cache"} == {"out"}
    target.write_bytes(b"")
    for _ in range(2):
        done = run(*FILES[command], str(target))
        assert done.returncode == 0, said(done)
    assert target.stat().st_size > 0


@pytest.mark.parametrize("command", FILES)
def test_a_fifo_is_written_to_and_nothing_appears_next_to_it(command, tmp_path):
    os.mkfifo(tmp_path / "out")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "out").read_bytes()), daemon=True)
    reader.start()

    done = run(*FILES[command], str(tmp_path / "out"))
    reader.join(20)

    assert done.returncode == 0, said(done)
    assert received[0]
    assert stat.S_ISFIFO((tmp_path / "out").stat().st_mode)
    assert {path.name for path in tmp_path.iterdir()} - {"hf-cache"} == {"out"}


@pytest.mark.parametrize("place", ["", "p.csv/out", "hub"])
@pytest.mark.parametrize("command", FILES)
def test_a_wrong_place_is_named_before_anything_is_computed(command, place):
    done = run(*FILES[command], place)

    assert done.returncode == 1
    assert (place.split("/")[0] or "'.'") in said(done)
    assert "Traceback" not in said(done)


@pytest.mark.parametrize("command", FOLDERS)
def test_a_folder_with_a_file_of_the_user_is_refused(command, tmp_path):
    arguments, name = FOLDERS[command]
    (tmp_path / name).write_text("mine")

    done = run(*arguments, str(tmp_path))

    assert done.returncode == 1
    assert name in said(done)
    assert (tmp_path / name).read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} - {"hf-cache"} == {name}


@pytest.mark.parametrize("command", [*FOLDERS, "table --confusion", "table --reliability"])
def test_a_file_is_not_a_folder(command, tmp_path):
    arguments = FOLDERS[command][0] if command in FOLDERS else ("table", "a.json", command.split()[1])
    (tmp_path / "out").write_text("mine")

    done = run(*arguments, str(tmp_path / "out"))

    assert done.returncode == 1
    assert "is a file" in said(done)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("shape", [("--per-class",), ("--compare",), ("--transpose",)])
def test_tables_of_every_shape_are_known_again(shape, tmp_path):
    outputs = [word for kind in ("markdown", "latex", "csv", "plot") for word in (f"--{kind}", str(tmp_path / kind))]
    for _ in range(2):
        done = run("table", "a.json", "b.json", *shape, *outputs)
        assert done.returncode == 0, said(done)
