"""Checksums of the rows of miniatures, to notice a change of rows without a change of version."""

from __future__ import annotations

import hashlib
import io
import json
import platform
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from medimeta.builders.keys import PIPELINE
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import batches, features, splits_of, to_table
from medimeta.builders.source import Options, RawSource
from medimeta.cards.catalogue import DATASETS

TABLE = Path(__file__).parents[1] / "golden" / "miniatures.json"
RECORD = "python tests/golden/record.py"
DRAWN_WITH = f"Pillow {PIL.__version__}, numpy {np.__version__}, {platform.system()} {platform.machine()}"


def name_of(dataset: str) -> str:
    """Name of the entry that the rows of a dataset must equal now."""
    return f"{dataset} {DATASETS[dataset].version}, pipeline {PIPELINE}"


def recorded() -> dict[str, dict[str, str]]:
    """All entries by name."""
    return json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}


def checksums(dataset: str, folder: Path) -> dict[str, str]:
    """Draw a miniature, build its rows with released and with corrected labels, and return checksums by aspect."""
    write_miniature(dataset, folder, per_class=2, packed=False)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    seen = {"miniature": [[str(p.relative_to(folder)), hashlib.sha256(p.read_bytes()).hexdigest()] for p in files]}
    for labels in ("released", "corrected"):
        options = Options(labels=labels, partial=True, with_masks=True)
        for aspect, values in _aspects(RawSource(dataset, folder, options)).items():
            seen.setdefault(aspect, []).append(values)
    digests = {
        aspect: hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
        for aspect, values in seen.items()
    }
    return {"drawn_with": DRAWN_WITH} | digests


def _aspects(source: RawSource) -> dict[str, object]:
    manifest = source.manifest()
    card = source.card
    rows = [
        {"split": split} | row
        for split in splits_of(manifest)
        for batch in batches(manifest, split)
        for row in to_table(source, batch).to_pylist()
    ]
    rows.sort(key=lambda row: row["index"])
    pictures = ["image", *card.masks]
    labels = [task.column for task in card.tasks]
    others = [name for name in rows[0] if name not in (*pictures, *labels, "split")]
    return {
        "columns": [[field.name, str(field.type)] for field in features(card, source.options).arrow_schema],
        "vocabulary": [[task.name, task.kind, task.labels, task.scores] for task in card.tasks],
        "pixels": [[_pixels(row[name]) for name in pictures] for row in rows],
        "labels": [[row[name] for name in labels] for row in rows],
        "splits": [row["split"] for row in rows],
        "annotations": [[row[name] for name in others] for row in rows],
    }


def _pixels(picture: dict | None) -> str | None:
    if picture is None:
        return None
    image = Image.open(io.BytesIO(picture["bytes"]))
    return f"{image.mode} {hashlib.sha256(np.asarray(image).tobytes()).hexdigest()}"
