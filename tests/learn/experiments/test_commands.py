"""The command lines of training: fast to read, and mistakes in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medimeta.cli.app import main
from medimeta.cli.learning import experiments
from medimeta.learn.experiments import options, sweep
from medimeta.learn.experiments.options import PARSERS
from medimeta.learn.training import launch

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("command", PARSERS)
def test_help_names_every_option_and_shows_an_example(command, capsys):
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    shown = capsys.readouterr().out

    assert shown.startswith(f"usage: medimeta {command} ")
    assert all(action.help and action.option_strings[0] in shown for action in PARSERS[command]()._actions)
    assert f"  medimeta {command} --" in shown


def test_a_command_line_is_read_without_torch():
    program = (
        "import sys\nfrom medimeta.cli.app import main\n"
        "for command in sys.argv[1:]:\n"
        "    try:\n        main([*command.split(), '--help'])\n    except SystemExit:\n        pass\n"
        "assert not {'torch', 'transformers', 'accelerate'} & {*sys.modules}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *PARSERS],
        env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("train --tasks bus --epochs 0", 2, "--epochs: 0 is too small; give 1 or more"),
        ("train --tasks bus --epochs many", 2, "--epochs: 'many' is not a whole number"),
        ("train", 2, "required: --tasks"),
        ("train --tasks bsu --tiny", 2, "Did you mean 'bus'?"),
        ("train --tasks bus --data-dir nowhere --tiny", 1, "nowhere"),
        ("pretrain everything", 2, "multitask, maml"),
        ("pretrain maml --target bus --sources bus --tiny", 1, "Not in the source pool of bus"),
        ("few-shot --dataset bus --model nowhere/nothing --data-dir nowhere", 1, "nowhere"),
        ("sweep --tasks bus --epochs 2", 2, "unrecognized arguments: --epochs 2"),
    ],
)
def test_a_mistake_is_answered_in_a_message(words, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(words.split())

    assert ended.value.code == code
    assert message in " ".join(capsys.readouterr().err.split())


def test_several_seeds_are_several_runs(tmp_path):
    args = options.parse("train", ["--tasks", "bus", "--seeds", "3", "5", "--output-dir", str(tmp_path)])
    runs = []

    experiments._run(lambda given: runs.append((given.seed, given.output_dir)), args)

    assert runs == [(3, tmp_path / "seed-3"), (5, tmp_path / "seed-5")]


def test_methods_of_a_sweep_are_those_that_can_be_chosen():
    assert tuple(sweep.METHODS) == options.SWEEP_METHODS


def test_processes_start_the_same_program_again(monkeypatch):
    program = sys.modules["__main__"]
    monkeypatch.setattr(sys, "argv", ["script.py", "--option"])

    monkeypatch.setattr(program, "__spec__", None, raising=False)
    assert launch.program() == ["script.py"]
    for name in ("medimeta", "medimeta.__main__"):
        monkeypatch.setattr(program, "__spec__", type("Spec", (), {"name": name}), raising=False)
        assert launch.program() == ["-m", "medimeta"]
