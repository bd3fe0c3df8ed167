"""A Hub folder of three datasets and its preview."""

from __future__ import annotations

import pytest

from medimeta.builders.locate import open_source
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options
from medimeta.upload.folder.writing import build
from medimeta.upload.preview.contents import contents
from medimeta.upload.preview.page import render


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    home = tmp_path_factory.mktemp("hubs")
    for dataset, per_class in (("bus", 6), ("cxr", 3), ("skinl_derm", 4)):
        raw = write_miniature(dataset, home / dataset, per_class=per_class)
        source = open_source(dataset, raw, Options(partial=True, with_masks=dataset == "bus"))
        build(source, home / "hub", version="0")
    return home / "hub"


@pytest.fixture(scope="module")
def datasets(hub):
    return contents(hub)


@pytest.fixture(scope="module")
def page_file(datasets, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "preview.html"
    path.write_text(render(datasets, "hub", "0"), encoding="utf-8")
    return path
