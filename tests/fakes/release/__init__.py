"""Writes the published release's layout for a small dataset of any source, and packs it."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from medimeta.builders.release.release import ReleaseSource
from medimeta.builders.rows import to_table
from medimeta.builders.source import Options, Source
from medimeta.cards.facts import Task

WITH_MASKS = Options(partial=True, with_masks=True)
TARGETS = {
    "multiclass": "MULTICLASS_CLASSIFICATION",
    "binary": "BINARY_CLASSIFICATION",
    "multilabel": "MULTILABEL_CLASSIFICATION",
    "ordinal": "ORDINAL_REGRESSION",
}


def write_release(source: Source, folder: Path, *, hdf5: bool = True, tiff: bool = True) -> Path:
    """Write all rows of a source to `folder/<id>` as the release would have them; returns that folder."""
    card, manifest = source.card, source.manifest()
    rows = to_table(source, manifest).to_pylist()
    home = folder / card.id
    paths = [f"images/{i:06d}.tiff" for i in range(len(rows))]
    table: dict[str, list[Any]] = {"filepath": paths, "split": [_short(split) for split in manifest["split"]]}
    for task in card.tasks:
        keys = np.array([_keys(task, row[task.column]) for row in rows], dtype=np.int64)
        _write(home / "task_labels" / f"{task.name}.npy", _npy(keys))
        table[f"tasks/{task.name}"] = [str(key) for key in keys.tolist()]
    for name in ("original_filepath", "original_split"):
        table[name] = [row[name] for row in rows]
    if card.subject == "patient":
        table["patient_id"] = [row["subject_id"] for row in rows]
    for annotation in card.annotations:
        table[annotation.release_column] = [_text(row.get(annotation.column)) for row in rows]
    for mask in card.masks if source.options.with_masks else ():
        where, column = source.reader.released.masks[mask]
        table[column] = [f"{where}/{i:06d}.tiff" if row[mask] else "" for i, row in enumerate(rows)]
        for path, row in zip(table[column], rows, strict=True):
            if path:
                _write(home / path, _tiff(_image(row[mask])))
    _write(home / "annotations.csv", pd.DataFrame(table).to_csv(index=False).encode())
    for column, lists in (("split", "splits"), ("original_split", "original_splits")):
        for split in sorted(set(table[column])):
            names = [path for path, name in zip(paths, table[column], strict=True) if name == split]
            _write(home / lists / f"{split}.txt", "\n".join(names).encode())
    images = [_image(row["image"]) for row in rows]
    if tiff:
        for path, image in zip(paths, images, strict=True):
            _write(home / path, _tiff(image))
    if hdf5:
        import h5py

        with h5py.File(home / "images.hdf5", "w") as file:
            file["images"] = np.stack([np.asarray(image) for image in images])
    info = {
        "id": card.id,
        "name": card.name,
        "domain": card.domain,
        "tasks": [
            {
                "task_name": task.name,
                "task_target": TARGETS[task.kind],
                "labels": dict(zip(task.keys, task.labels, strict=True)),
            }
            for task in card.tasks
        ],
        "input_size": [card.channels, 224, 224],
        "total_num_samples": len(rows),
        "splits_num_samples": {"train": 0, "val": 0, "test": 0} | Counter(table["split"]),
        "original_splits_num_samples": {"train": 0, "val": 0, "test": 0} | Counter(table["original_split"]),
    }
    _write(home / "info.yaml", yaml.safe_dump(info, sort_keys=False, allow_unicode=True).encode())
    _write(home / "LICENSE", b"A fake release for tests.\n")
    return home


def zip_release(
    home: Path, archive: Path, *, compression: int = zipfile.ZIP_STORED, root: str | None = None, without: str = "-"
) -> Path:
    """Pack a release folder.

    Args:
        home: The folder `<id>`.
        archive: The zip archive to write.
        compression: ZIP_STORED or ZIP_DEFLATED.
        root: Folder inside the archive, the id by default; "" for none.
        without: Beginning of the paths to leave out.
    """
    root = home.name if root is None else root
    with zipfile.ZipFile(archive, "w", compression) as file:
        for path in sorted(home.rglob("*")):
            name = path.relative_to(home).as_posix()
            if path.is_file() and not name.startswith(without):
                file.write(path, f"{root}/{name}" if root else name)
    return archive


def _short(split: str) -> str:
    return "val" if split == "validation" else split


def _keys(task: Task, label: Any) -> Any:
    return [int(i in label) for i in range(len(task.labels))] if task.kind == "multilabel" else task.keys[label]


def _text(value: Any) -> str:
    """An annotation as the release prints it."""
    if value is None:
        return ""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return str([f"{box['label']}: ({box['x']},{box['y']},{box['width']},{box['height']})" for box in value])
    return str(tuple(value)) if isinstance(value, list) else str(value)


def _image(cell: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(cell["bytes"]))


def _tiff(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def read_bus(location: Path, options: Options = WITH_MASKS) -> Any:
    """The rows of a release of bus."""
    source = ReleaseSource("bus", location, options)
    return to_table(source, source.manifest())


def edit(folder: Path, name: str, change: Callable[[str], str]) -> None:
    """Change the text of a file of a release."""
    path = folder / name
    path.write_text(change(path.read_text()))


def edit_table(folder: Path, row: int, column: str, value: str) -> None:
    """Change a cell of the annotations of a release."""
    table = pd.read_csv(folder / "annotations.csv", dtype=str, keep_default_na=False)
    table.loc[row, column] = value
    table.to_csv(folder / "annotations.csv", index=False)
