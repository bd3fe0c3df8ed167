"""The examples can be copied: they use public names only, and run offline on what `medimeta demo` draws."""

from __future__ import annotations

import ast
import runpy

import pytest

import medimeta
from fakes.pages import ROOT
from medimeta.upload.folder.miniatures import build_miniatures

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHORT = {
    "finetune_vit.py": ["--epochs", "2", "--lr", "1e-3"],
    "train_with_trainer.py": ["--epochs", "1"],
    "few_shot.py": ["-n", "3", "--shots", "2", "--queries", "2"],
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A Hub folder of drawn bus images, as the demo leaves it."""
    return build_miniatures(["bus"], tmp_path_factory.mktemp("demo"), version=medimeta.__version__, per_class=40)


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

    assert main(["--tiny", "--data-dir", str(hub), *SHORT[path.name]])
    assert "AUROC" in capsys.readouterr().out
