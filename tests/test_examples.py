"""The examples can be copied: they use public names only, and run offline on what `medimeta demo` draws."""

from __future__ import annotations

import ast
import json
import re
import runpy

import pytest

import medimeta
from fakes.pages import ROOT
from medimeta.upload.folder.miniatures import build_miniatures

TUTORIAL = ROOT / "examples" / "tutorial.ipynb"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHORT = {
    "finetune_vit.py": ["--epochs", "1", "--lr", "1e-3"],
    "train_with_trainer.py": ["--epochs", "1"],
    "few_shot.py": ["-n", "2", "--shots", "2", "--queries", "2"],
    "bench_own_model.py": ["--out", "own"],
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub folder of drawn bus images, as the demo leaves it."""
    return build_miniatures(["bus"], tmp_path_factory.mktemp("demo"), version=medimeta.__version__, per_class=24)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_use_public_names_only(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    imported += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "medimeta"
    }

    assert "medimeta" in imported
    assert not [name for name in imported if name.startswith("medimeta.")]
    assert used <= set(medimeta.__all__)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_run_offline(path, hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main = runpy.run_path(str(path))["main"]

    assert main(["--tiny", "--data-dir", str(hub), *SHORT[path.name]]) is not None
    assert "auroc" in capsys.readouterr().out.lower()


@pytest.mark.parametrize(("path", "most"), [(path, {"finetune_vit.py": 115}.get(path.name, 75)) for path in EXAMPLES])
def test_examples_are_short(path, most):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most


def test_the_tutorial_shows_its_outputs_and_nothing_of_a_machine():
    notebook = json.loads(TUTORIAL.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]

    shown = [output for cell in code for output in cell["outputs"]]
    assert len(shown) >= 10
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not re.search(r"/(home|root|Users|work|tmp)/", TUTORIAL.read_text(encoding="utf-8"))
    source = "".join("".join(cell["source"]) for cell in code)
    assert not re.search(r"from medimeta|import medimeta\.", source)
    assert set(re.findall(r"\bmedimeta\.(\w+)", source)) <= set(medimeta.__all__)


@pytest.mark.slow
@pytest.mark.e2e
def test_the_tutorial_runs_offline(tmp_path, monkeypatch):
    from fakes.notebooks import run_notebook

    build_miniatures(["bus"], tmp_path / "demo", version=medimeta.__version__, per_class=60)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "examples").mkdir()
    ran = run_notebook(TUTORIAL, tmp_path / "examples")  # where Jupyter starts its kernel

    kept = json.loads(TUTORIAL.read_text(encoding="utf-8"))
    kinds = [[output["output_type"] for output in cell.get("outputs", ())] for cell in ran.cells]
    assert [set(one) for one in kinds] == [
        {output["output_type"] for output in cell.get("outputs", ())} for cell in kept["cells"]
    ]
