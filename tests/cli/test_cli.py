"""The command line as a user meets it: what it prints, its exit codes, and no traceback for a mistake."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.processes.shell import medimeta, new_process
from medimeta import DATASETS
from medimeta.builders.phantoms import write_miniature
from medimeta.cli import app as cli

ROOT = Path(__file__).parents[2]
LINES = ("Median size in the source", "Largest useful --size")  # of `medimeta info`


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return write_miniature("bus", tmp_path_factory.mktemp("raw"), per_class=6)


def test_list_in_a_pipe_is_plain_lines():
    lines = medimeta("list").stdout.splitlines()

    assert [line.split("\t")[0] for line in lines] == list(DATASETS)
    assert "107,180" in lines[2]
    commercial = json.loads(medimeta("list", "--license", "commercial", "--json").stdout)
    assert {entry["id"] for entry in commercial} == set(DATASETS.commercial())
    fundus = medimeta("list", "--domain", "retinal fundus", "--target", "ordinal").stdout.splitlines()
    assert [line.split("\t")[0] for line in fundus] == ["dr_regular", "dr_uwf"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_info_says_where_to_get_the_archives_and_what_to_run(dataset):
    shown = medimeta("info", dataset).stdout

    assert f"medimeta build {dataset} --source FOLDER" in " ".join(shown.split())
    assert all(archive in shown for archive in DATASETS[dataset].archives)
    assert all(task.name in shown for task in DATASETS[dataset].tasks)
    sizes = DATASETS[dataset].originals
    facts = ["x".join(map(str, sizes.median or ())) or "not known", str(sizes.useful or "not known")]
    assert [re.search(f"{name}: ([^.;]+?)( pixels)?[.;]", " ".join(shown.split()))[1] for name in LINES] == facts


def test_info_counts_labels_where_the_data_are(raw):
    shown = medimeta("info", "bus", "--data-dir", raw).stdout
    counted = json.loads(medimeta("info", "bus", "--json", MEDIMETA_DATA=str(raw.parent)).stdout)

    assert "key\tlabel\ttrain\tvalidation\ttest\tall" in shown
    assert "balance" not in counted  # MEDIMETA_DATA has no bus
    counted = json.loads(medimeta("info", "bus", "--json", "--source", raw).stdout)["balance"]
    assert {label: sum(found.values()) for label, found in counted["case_category"].items()} == dict.fromkeys(
        DATASETS["bus"].tasks[0].labels, 6
    )
    malignant = counted["malignancy"]["malignant finding"]
    assert f"malignant finding\t{malignant['train']}\t{malignant['validation']}\t{malignant['test']}\t6" in shown


def test_help_names_every_command_in_its_group():
    shown = medimeta("--help").stdout
    names = [name for group in cli.COMMANDS.values() for name in group]

    assert re.findall(r"^  ([a-z][\w-]*) {2,}[A-Z]", shown, flags=re.MULTILINE) == names
    for name in names:
        assert medimeta(name, "-h").returncode == 0


def complete(words):
    shown = medimeta(_MEDIMETA_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    return shown.stdout.split()


def test_shell_completes_ids_tasks_and_words():
    assert complete("medimeta info skinl") == ["skinl_derm", "skinl_photo"]
    assert complete("medimeta episodes bus mal") == ["malignancy"]
    assert complete("medimeta list --target mul") == ["multiclass", "multilabel"]


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m medimeta list | head -1",
        shell=True, env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")}, capture_output=True, text=True,
    )  # fmt: skip

    assert done.stdout.startswith("aml")
    assert done.stderr == ""


def test_build_then_card(raw, tmp_path):
    done = new_process("build", "bus", "--source", raw, "--out", tmp_path / "hub", "--partial", "--num-proc", 2)
    assert done.returncode == 0, done.stderr
    assert "load_dataset" in done.stdout
    assert "incomplete, 18 of 780 images" in done.stderr
    card = (tmp_path / "hub" / "README.md").read_bytes()
    (tmp_path / "hub" / "README.md").unlink()

    assert medimeta("card", tmp_path / "hub").returncode == 0
    assert (tmp_path / "hub" / "README.md").read_bytes() == card


def test_debug_shows_the_traceback_and_the_code():
    done = medimeta("--debug", "info", "bsu")

    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "[unknown-dataset]" in done.stderr
    assert "[unknown-dataset]" not in medimeta("info", "bsu").stderr


@pytest.mark.slow
def test_interrupted_build_leaves_nothing_half_done(tmp_path):
    raw = write_miniature("pbc", tmp_path / "raw", per_class=60)
    code = (
        "import sys; from medimeta.cli import app as cli; from medimeta.files import parallel; parallel.PATIENCE = 0; "
    )
    code += "cli.main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "build", "pbc", "--source", str(raw), "--partial"]
    command += ["--out", str(tmp_path / "hub"), "--num-proc", "2"]
    terminal, own = pty.openpty()  # its own process group, as in a shell
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")},
        stderr=subprocess.PIPE,
        stdout=own,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".hub.medimeta/*/.*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    os.close(terminal)
    os.close(own)

    assert process.returncode == 130, shown
    assert b"Interrupted. Finished parts are kept" in shown
    assert b"Traceback" not in shown
    assert not (tmp_path / "hub").exists()
    assert subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")}).returncode == 0
    assert (tmp_path / "hub" / "records" / "pbc" / "build.json").exists()
