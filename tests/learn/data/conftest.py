"""Views of miniatures."""

from __future__ import annotations

import pytest

from medimeta.builders.phantoms import write_miniature
from medimeta.learn.data.views import load_task


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """A greyscale dataset, an RGB one with subjects, and a multilabel task, with all splits."""
    home = tmp_path_factory.mktemp("views")
    options = {"split": "train+validation+test", "partial": True, "subjects": True, "cache_dir": str(home / "cache")}
    sources = {id: write_miniature(id, home / id, per_class=5) for id in ("bus", "derm", "fundus")}
    found = {id: load_task(id, data_dir=sources[id], **options) for id in ("bus", "derm")}
    return found | {"fundus": load_task("fundus", "disease labels", data_dir=sources["fundus"], **options)}


@pytest.fixture(params=["bus", "derm"])
def view(views, request):
    return views[request.param]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Miniature sources by dataset id."""
    home = tmp_path_factory.mktemp("raw")
    return {id: write_miniature(id, home / id, per_class=4) for id in ("bus", "pbc")}


@pytest.fixture
def load(raw, tmp_path):
    def view(dataset, task=None, split="train+val+test", data_dir=None):
        cache = str(tmp_path / "prepared")
        return load_task(dataset, task, split=split, data_dir=data_dir or raw[dataset], partial=True, cache_dir=cache)

    return view
