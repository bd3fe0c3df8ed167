"""Pictures, their plain pixels and batches, as the fast paths should give them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Features, Image
from PIL import Image as Pillow

from medimeta.learn.data import store

ROOT = Path(__file__).parents[3]


def pictures(view):
    """Return pixels and labels, decoded row by row."""
    images = np.stack([np.atleast_3d(np.asarray(row["image"])) for row in view])
    return torch.from_numpy(images), torch.tensor(view["label"][:])


def plain(images, mean, std):
    """Normalise by the formula."""
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    return (images.permute(0, 3, 1, 2).float() / 255 - mean) / std


def gathered(found):
    """Concatenate all batches."""
    found = list(found)
    return {key: torch.cat([batch[key] for batch in found]) for key in ("pixel_values", "labels")}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def encoded(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return buffer.getvalue()


def rows(pictures):
    """Return rows that hold only encoded images."""
    cells = [None if data is None else {"bytes": data, "path": None} for data in pictures]
    return Dataset.from_dict({"image": cells}, features=Features({"image": Image()}))


def noise(count, shape=(24, 16, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def start(code, *arguments):
    """Start a Python process with this package and the cache of the test."""
    script = "import os, sys, time, datasets; from pathlib import Path\n"
    script += "datasets.config.HF_DATASETS_CACHE = Path(sys.argv[1])\n" + textwrap.dedent(code)
    command = [sys.executable, "-c", script, str(store.folder().parent), *map(str, arguments)]
    return subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT / ".editable")}, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
