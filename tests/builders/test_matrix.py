"""No folder that people have is read as other rows; `matrix.py` prints the table."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFile

from fakes.habits import KINDS, picture
from medimeta.errors import SourceBroken

SCRIPT = Path(__file__).with_name("matrix.py")
QUICK = ("bus", "mammo_mass", "organs_axial")  # the quick tests see each habit once, with one of these in turn


def _load():
    spec = importlib.util.spec_from_file_location("matrix", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


matrix = _load()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    home = tmp_path_factory.mktemp("matrix")

    def get(dataset):
        folder = home / dataset
        return folder if folder.exists() else matrix.miniature(dataset, folder)

    return get


@pytest.mark.parametrize(
    ("dataset", "kind"),
    [
        pytest.param(dataset, kind, marks=[] if dataset == QUICK[i % len(QUICK)] else pytest.mark.slow)
        for dataset in matrix.DATASETS
        for i, kind in enumerate(KINDS)
    ],
)
def test_equal_rows_or_an_error_that_names_the_file(dataset, kind, template, tmp_path):
    result = matrix.outcome(dataset, kind, template(dataset), tmp_path)

    assert not result.startswith("WRONG"), result


@pytest.fixture
def foreign_settings(monkeypatch):
    """What other libraries and users set for the whole process."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with np.errstate(all="raise"), pd.option_context("future.infer_string", False, "mode.string_storage", "python"):
        yield


@pytest.mark.parametrize(
    "dataset", [pytest.param(d, marks=[] if d in QUICK else pytest.mark.slow) for d in matrix.DATASETS]
)
def test_settings_of_other_libraries_change_nothing(dataset, template, request):
    expected = matrix.rows(dataset, template(dataset))
    request.getfixturevalue("foreign_settings")

    assert matrix.rows(dataset, template(dataset)) == expected
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("dataset", ["bus", pytest.param("pbc", marks=pytest.mark.slow)])
def test_a_cut_image_is_refused_whatever_other_libraries_set(dataset, tmp_path, foreign_settings):
    path = picture(matrix.miniature(dataset, tmp_path))
    path.write_bytes(path.read_bytes()[:-2000])

    with pytest.raises(SourceBroken, match=path.stem.replace("(", r"\(").replace(")", r"\)")):
        matrix.rows(dataset, tmp_path)


@pytest.mark.slow
def test_the_script_prints_the_table():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, SCRIPT, "bus"], capture_output=True, text=True, check=False, env=environment)

    assert run.returncode == 0, run.stdout[-500:] + run.stderr[-500:]
    assert all(kind in run.stdout for kind in KINDS)
