"""Miniature of Kermany / ZhangLab version 3: grey and RGB JPEG files, named by class, patient and number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from . import File, encoded, spread, texture

ARCHIVE = "ZhangLabData.zip"
SCANS = {name: name for name in ("CNV", "DME", "DRUSEN", "NORMAL")}  # start of the file's name -> folder
RADIOGRAPHS = {"NORMAL": "NORMAL", "BACTERIA": "PNEUMONIA", "VIRUS": "PNEUMONIA"}


def files(rng: np.random.Generator, per_class: int) -> Iterator[File]:
    """`per_class` scans and radiographs of each class, every fourth in test; hidden files that are not images."""
    yield from _part(rng, "OCT", SCANS, per_class, ((256, 248), (240, 225), (224, 224)), "")
    yield from _part(rng, "chest_xray", RADIOGRAPHS, per_class, ((301, 256), (330, 205), (150, 152)), "04")
    yield ARCHIVE, "CellData/OCT/train/CNV/.CNV-15307-1.jpeg", b"no image"
    yield ARCHIVE, "CellData/chest_xray/.DS_Store", b"no image"


def _part(
    rng: np.random.Generator,
    part: str,
    folders: Mapping[str, str],
    per_class: int,
    sizes: tuple[tuple[int, int], ...],
    digits: str,
) -> Iterator[File]:
    """Patients have two files each, often of two classes, and are never in both train and test."""
    seen = dict.fromkeys(folders, 0)
    count = {"train": 0, "test": 0}
    for n, label in enumerate(spread(rng, len(folders), per_class)):
        name = list(folders)[label]
        split = "test" if (seen[name] + label) % 4 == 3 else "train"
        patient = {"train": 99_980, "test": 2_000_000}[split] + 7 * (count[split] // 2)  # numbers of unequal length
        seen[name] += 1
        count[split] += 1
        picture = texture(rng, label, len(folders), sizes[n % len(sizes)], colour=n % 5 == 0)
        path = f"CellData/{part}/{split}/{folders[name]}/{name}-{patient}-{format(n + 1, digits)}.jpeg"
        yield ARCHIVE, path, encoded(picture, "JPEG")
