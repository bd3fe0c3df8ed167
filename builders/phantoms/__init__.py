"""Miniatures: small archives of phantoms (drawn images, no patients) in the layout of each source.

They have the folder names, file names, formats and tables of the source, and a texture per class that a small model
can learn. The demo and the tests run on them, offline, through the same readers.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from ...cards.catalogue import DATASETS
from ..modules import find_phantom

File = tuple[str, str, bytes]  # archive ("" for a file next to the archives), path in it, content


def write_miniature(dataset: str, folder: Path, *, per_class: int = 12, seed: int = 0, packed: bool = True) -> Path:
    """Write the miniature source of a dataset.

    Args:
        dataset: Its id.
        folder: Where to; created if need be. The datasets of one source share it.
        per_class: Images per class of the main task.
        seed: Of the generator; the same seed gives the same bytes.
        packed: Zip archives as downloaded; False writes what they unpack to.

    Returns:
        The folder.
    """
    module = find_phantom(DATASETS[dataset])
    folder.mkdir(parents=True, exist_ok=True)
    archives: dict[str, zipfile.ZipFile] = {}
    try:
        for archive, path, data in module.files(np.random.default_rng(seed), per_class):
            if packed and archive:
                if archive not in archives:
                    archives[archive] = zipfile.ZipFile(folder / archive, "w", zipfile.ZIP_DEFLATED)
                entry = zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0))  # a fixed date: the same seed, the same archive
                archives[archive].writestr(entry, data, zipfile.ZIP_DEFLATED)
            else:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    finally:
        for file in archives.values():
            file.close()
    return folder


def texture(
    rng: np.random.Generator, label: int, labels: int, size: tuple[int, int], *, colour: bool = False
) -> Image.Image:
    """Draw stripes whose angle shows the label; with many labels, their spacing does too.

    Args:
        rng: Draws phase, noise and a meaningless blob.
        label: 0 to labels - 1.
        labels: How many there are.
        size: Width and height in pixels.
        colour: RGB instead of grayscale; the colour does not depend on the label.
    """
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angles = min(labels, 5)
    angle = np.pi * (label % angles) / angles
    period = max(size) / (9.0 + 8.0 * (label // angles))
    stripes = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + rng.uniform(0, 2 * np.pi))
    centre = rng.uniform(0.3, 0.7, 2) * (width, height)
    blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * (min(size) * rng.uniform(0.1, 0.2)) ** 2))
    noise = np.asarray(
        Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)).filter(ImageFilter.BoxBlur(1)),
        dtype=np.float32,
    )
    grey = 110 + 50 * stripes + 45 * blob + 0.25 * (noise - 128)
    if not colour:
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    tint = rng.uniform(0.8, 1.2, 3)
    return Image.fromarray((grey[..., None] * tint).clip(0, 255).astype(np.uint8))


def layered(
    rng: np.random.Generator, present: Sequence[int], labels: int, size: tuple[int, int], *, colour: bool = False
) -> Image.Image:
    """Draw an image for a multilabel task: the textures of all labels present, averaged.

    Args:
        rng: Draws everything that does not depend on the labels.
        present: The labels; an image without labels has its own texture.
        labels: How many there are.
        size: Width and height in pixels.
        colour: RGB instead of grey.
    """
    layers = [texture(rng, label, labels + 1, size, colour=colour) for label in present or [labels]]
    return Image.fromarray(np.mean([np.asarray(layer) for layer in layers], axis=0).astype(np.uint8))


def spread(rng: np.random.Generator, labels: int, per_class: int) -> Iterator[int]:
    """Yield each label `per_class` times, in random order."""
    yield from rng.permutation(np.repeat(np.arange(labels), per_class)).tolist()


def parts(count: int, *shares: float) -> list[int]:
    """Divide a number of images among a source's parts so that none is empty; the first gets the rest.

    Args:
        count: Number of images; at least one per part.
        shares: Of the parts; the first is implied by the others.
    """
    others = [max(1, round(count * share)) for share in shares[1:]]
    return [max(1, count - sum(others)), *others]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode an image as a file of some format ("PNG", "JPEG", "TIFF")."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
