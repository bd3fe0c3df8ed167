"""Check that the files of a release agree with each other and with the catalogue."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd

from ...cards.facts import DatasetCard, Task
from ...errors import MedIMetaError
from ...files.yaml_values import read_yaml
from ..images import SIDE
from .files import TABLE, ReleaseFiles, image_path

SPLITS = ("train", "val", "test")  # as the release names them


def check_rows(files: ReleaseFiles, texts: pd.DataFrame) -> None:
    """Check that row i describes images/00000i.tiff and has a known split.

    Raises:
        SourceBroken: Naming the first row that does not.
    """
    for row, path in enumerate(texts["filepath"]):
        if path != image_path(row):
            raise files.broken(TABLE, f"row {row} is about {path!r}, expected {image_path(row)!r}")
    for column in ("split", "original_split"):
        for row, name in enumerate(texts[column]):
            if name not in SPLITS:
                raise files.broken(TABLE, f"row {row} has {column} {name!r}, not one of {', '.join(SPLITS)}")


def check_lists(files: ReleaseFiles, texts: pd.DataFrame, column: str, folder: str) -> None:
    """Check that the lists of paths per split agree with a column of annotations.csv.

    Args:
        files: The release.
        texts: Its annotations.csv.
        column: Column that names each row's split.
        folder: Folder of the lists; a split without rows has none.

    Raises:
        SourceBroken: Naming the first image whose split is not the same in both.
    """
    listed: dict[str, str] = {}
    for split in SPLITS:
        name = f"{folder}/{split}.txt"
        for path in files.read(name).decode("utf-8", "replace").splitlines() if name in files else ():
            if listed.setdefault(path, split) != split:
                raise files.broken(name, f"names {path!r}, which {folder}/{listed[path]}.txt names too")
    for row, (path, split) in enumerate(zip(texts["filepath"], texts[column], strict=True)):
        if (other := listed.pop(path, None)) != split:
            found = "does not name it" if other is None else f"has it in {folder}/{other}.txt"
            raise files.broken(
                f"{folder}/{split}.txt", f"{TABLE}, row {row} ({path}) has {column} {split!r}; {folder}/ {found}"
            )
    for path, split in listed.items():
        raise files.broken(f"{folder}/{split}.txt", f"names {path!r}, which is in no row of {TABLE}")


def check_info(files: ReleaseFiles, texts: pd.DataFrame, card: DatasetCard) -> None:
    """Check that info.yaml agrees with the catalogue and with the number of rows of annotations.csv.

    Raises:
        SourceBroken: Naming the first key that differs.
    """
    try:
        info = read_yaml(files.read("info.yaml"))
        tasks = {task["task_name"]: task for task in info["tasks"]}
        found = {
            "id": info["id"],
            "input_size": list(info["input_size"]),
            "total_num_samples": info["total_num_samples"],
            "splits_num_samples": {name: n for name, n in info["splits_num_samples"].items() if n},
            "names of tasks": sorted(tasks),
        }
        targets = {name: task["task_target"].partition("_")[0].lower() for name, task in tasks.items()}
        labels = {name: dict(task["labels"]) for name, task in tasks.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise files.broken("info.yaml", f"not a readable description ({type(error).__name__}: {error})") from error
    expected: dict[str, Any] = {
        "id": card.id,
        "input_size": [card.channels, SIDE, SIDE],
        "total_num_samples": len(texts),
        "splits_num_samples": texts["split"].value_counts().to_dict(),
        "names of tasks": sorted(task.name for task in card.tasks),
    }
    for key, value in expected.items():
        if found[key] != value:
            raise files.broken("info.yaml", f"{key}: {found[key]!r}, expected {value!r}")
    for task in card.tasks:
        if targets[task.name] != task.kind:
            raise files.broken("info.yaml", f"task {task.name!r} is {targets[task.name]}, not {task.kind}")
        for number, label in zip(task.keys, task.labels, strict=True):
            if labels[task.name].pop(number, None) != label:
                raise files.broken("info.yaml", f"task {task.name!r}: key {number} does not mean {label!r}")
        if labels[task.name]:
            raise files.broken("info.yaml", f"task {task.name!r} has unknown labels {labels[task.name]!r}")


def check_labels(files: ReleaseFiles, task: Task, labels: np.ndarray[Any, Any]) -> None:
    """Check that task_labels/<task>.npy holds the labels of annotations.csv.

    Args:
        files: The release.
        task: The task.
        labels: What annotations.csv says: one key per row, or one row of 0 and 1 each.

    Raises:
        SourceBroken: Naming the first row that differs, or if the file holds anything but an array of numbers.
    """
    name = f"task_labels/{task.name}.npy"
    try:
        stored = np.load(io.BytesIO(files.read(name)), allow_pickle=False)
    except Exception as error:  # its header is parsed like Python code
        raise files.broken(name, f"not a readable array ({error})") from error
    if not isinstance(stored, np.ndarray) or stored.dtype.kind not in "iuf":
        raise files.broken(name, "not an array of numbers")
    if stored.shape != labels.shape:
        raise files.broken(name, f"has shape {stored.shape}; the {len(labels):,} rows of {TABLE} give {labels.shape}")
    differ = (stored != labels).reshape(len(labels), -1).any(axis=1)
    if differ.any():
        row = int(differ.argmax())
        told = f"{np.asarray(labels[row]).tolist()} in column 'tasks/{task.name}' of {TABLE}"
        raise files.broken(name, f"row {row} is {stored[row].tolist()}, but {told}")


def check_size(card: DatasetCard, size: int | None) -> None:
    """Check that a release has images of the size that is asked for: 224x224 pixels.

    Raises:
        MedIMetaError: If it is another one.
    """
    if size not in (None, SIDE):
        raise MedIMetaError(
            f"The release of {card.id} holds images of {SIDE}x{SIDE} pixels. Images of {size}x{size} can only be made "
            f"from the source's archives: give their folder (data_dir=, --source; where to get them: medimeta info "
            f"{card.id}), or leave out the size.",
            code="another-size",
        )
