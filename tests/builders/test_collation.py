"""A plain `DataLoader` batches views, whichever package is imported first, or says what to do."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import medimeta
from fakes.pages import ROOT
from medimeta.upload.folder.miniatures import build_miniatures

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.utils.data import DataLoader  # noqa: E402

BATCH = """
from PIL import Image
from torch.utils.data import default_collate
assert default_collate([Image.new("L", (2, 3))] * 4).shape == (4, 1, 3, 2)
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    return build_miniatures(["bus", "derm"], tmp_path_factory.mktemp("hub"), version="0", per_class=2)


@pytest.mark.parametrize("dataset", ["bus", "derm"])
@pytest.mark.parametrize("options", [{}, {"mode": "RGB"}, {"streaming": True}], ids=str)
def test_batches_are_those_of_the_torch_format(dataset, options, hub):
    view = medimeta.load_task(dataset, data_dir=hub, **options)
    plain = next(iter(DataLoader(view, batch_size=2)))
    formatted = next(iter(DataLoader(view.with_format("torch"), batch_size=2)))

    assert plain["image"].dtype == torch.uint8
    for column in ("image", "label"):
        assert torch.equal(plain[column], formatted[column])


def test_worker_processes_batch_too(hub):
    view = medimeta.load_task("bus", data_dir=hub)
    batches = list(DataLoader(view, batch_size=2, num_workers=2))

    assert sum(len(batch["image"]) for batch in batches) == len(view)
    np.testing.assert_array_equal(batches[0]["image"][0, 0], np.asarray(view[0]["image"]))


def test_a_column_without_values_is_answered(hub):
    rows = medimeta.load_dataset("bus", split="train", data_dir=hub)

    with pytest.raises(medimeta.MedIMetaError, match=r"load_task"):
        next(iter(DataLoader(rows, batch_size=2)))


@pytest.mark.slow
@pytest.mark.parametrize("code", ["import torch, medimeta", "import medimeta, torch", "import medimeta"])
def test_either_package_may_come_first(code):
    environment = os.environ | {"PYTHONPATH": str(ROOT / ".editable")}
    done = subprocess.run([sys.executable, "-c", code + BATCH], env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_the_entry_of_another_library_stays(monkeypatch):
    from medimeta.builders import collation

    table = torch.utils.data._utils.collate.default_collate_fn_map
    own = object()
    monkeypatch.setitem(table, Image.Image, own)
    collation.register()

    assert table[Image.Image] is own
