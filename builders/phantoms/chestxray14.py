"""Miniature of ChestX-ray14: CXR8.zip with tar.gz files in it, patients with several images, quirky tables."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...cards.catalogue import DATASETS
from ..sources.chestxray14 import BOXES, COLUMNS, LISTS, NO_FINDING, TABLE
from . import File, encoded, layered, spread

ARCHIVE = "CXR8.zip"
TARS = 12
FREQUENT = ("Infiltration", "Effusion", "Atelectasis", "Nodule", "Mass")  # as in the source
SIZE = (256, 256)


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` images with each finding, many with a second, frequent one, and three times as many with none."""
    findings = DATASETS["cxr"].task("disease labels").labels
    rows: list[list[Any]] = []
    images: dict[str, bytes] = {}
    patients = _patients(rng, [*spread(rng, len(findings) + 3, per_class)])
    for number, labels in enumerate(patients, start=1):
        suffixes = range(len(labels))[::-1]  # follow-up order is not the order of the names
        for follow_up, (suffix, label) in enumerate(zip(suffixes, labels, strict=True)):
            present = {label} if label < len(findings) else set()
            if present and rng.random() < 0.4:
                present.add(findings.index(str(rng.choice(FREQUENT))))
            name = f"{number:08d}_{suffix:03d}.png"
            picture = layered(rng, sorted(present), len(findings), SIZE)
            images[name] = encoded(picture.convert("RGBA") if len(rows) % 20 == 0 else picture, "PNG")
            found = "|".join(findings[i] for i in sorted(present)) or NO_FINDING
            person = (number, 20 + number % 70, "FM"[number % 2], "PA")
            rows.append([name, found, follow_up, *person, 2500, 2048, 0.168, 0.168])
    table = pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False)
    yield ARCHIVE, f"CXR8/{TABLE}", table.encode()
    for split, path in LISTS.items():
        # By patient; the real first list ends without a newline.
        members = [name for name in images if (int(name[:8]) % 4 == 0) == (split == "test")]
        yield ARCHIVE, f"CXR8/{path}", "\n".join(members).encode()
    yield ARCHIVE, f"CXR8/{BOXES}", _boxes(rows).encode()
    names = np.array_split(sorted(images), TARS)
    for number, part in enumerate(names, start=1):
        yield ARCHIVE, f"CXR8/images/images_{number:03d}.tar.gz", _tar({name: images[name] for name in part.tolist()})


def _patients(rng: np.random.Generator, labels: list[int]) -> Iterator[Sequence[int]]:
    """The labels of the images of one patient after the other, one to four each."""
    while labels:
        count = int(rng.integers(1, 5))
        yield labels[:count]
        del labels[:count]


def _boxes(rows: list[list[Any]]) -> str:
    """Nine column names over six fields, and "Infiltrate" for Infiltration."""
    lines = ["Image Index,Finding Label,Bbox [x,y,w,h],,,"]
    for name, found, *_ in rows:
        if found in ("Mass", "Infiltration"):
            lines.append(f"{name},{found.replace('Infiltration', 'Infiltrate')},60.5,70.25,40.0,30.0")
    return "\n".join([*lines, ""])


def _tar(images: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in images.items():
            member = tarfile.TarInfo(f"images/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0)
