"""What importing costs, and what a wheel installs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from medimeta import DATASETS
from medimeta.builders.phantoms import write_miniature

ROOT = Path(__file__).parents[1]
HEAVY = (
    "torch",
    "transformers",
    "evaluate",
    "sklearn",
    "h5py",
    "pydicom",
    "nibabel",
    "openpyxl",
    "matplotlib",
    "jinja2",
)


def python(*arguments, cwd, **environment):
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light_and_touches_no_network(tmp_path):
    code = (
        "import sys, datasets; before = set(sys.modules); calls = []\n"
        "sys.addaudithook(lambda e, a: calls.append(e) if e in ('socket.connect', 'socket.getaddrinfo') else None)\n"
        "import medimeta; medimeta.DATASETS['bus']\n"
        f"print([name for name in {HEAVY} if name in sys.modules and name not in before], calls)"
    )

    assert python("-c", code, cwd=tmp_path, PYTHONPATH=str(ROOT / ".editable")).strip() == "[] []"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    python("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    return next(folder.glob("*.whl"))


def test_wheel_holds_one_importable_name(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()

    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"medimeta", "medimeta_hf"}
    page = [f"upload/preview/page.{kind}" for kind in ("html.jinja", "css", "js")]
    needed_files = ("__init__.py", "__main__.py", "py.typed", "cards/bus.yaml", "cards/card.md.jinja", "cli/app.py")
    for needed in (*needed_files, *page):
        assert f"medimeta/{needed}" in names
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_wheel_loads_data_and_runs_its_command(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    raw = write_miniature("bus", tmp_path / "raw", per_class=4)
    code = (
        "import medimeta, sys; from datasets import load_dataset\n"
        "assert 'site' in medimeta.__file__, medimeta.__file__\n"
        "print(sum(map(len, load_dataset('medimeta', 'bus', data_dir=sys.argv[1], partial=True).values())))"
    )
    here = tmp_path / "here"
    here.mkdir()
    places = {"PYTHONPATH": str(tmp_path / "site"), "HF_HOME": str(tmp_path / "hf")}

    assert python("-c", code, str(raw), cwd=here, **places).strip() == "12"
    assert python("-m", "medimeta", "list", cwd=here, **places).count("\n") == len(DATASETS)
