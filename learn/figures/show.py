"""`medimeta.show`: images of a task with their labels, as a figure."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from datasets import ClassLabel, Dataset

from ...cards.catalogue import DATASETS, TaskLike
from ...cards.facts import DatasetCard
from ...errors import MedIMetaError
from ..data.views import load_task
from .style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 15  # labels that are shown, the most frequent ones
_NONE, _UNKNOWN = "none of these", "unknown"


@styled
def show(
    what: TaskLike | DatasetCard | Dataset,
    task: Any = None,
    *,
    split: str = "train",
    columns: int = 6,
    seed: int = 0,
    data_dir: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Figure:
    """Show images of a task, a row of them per label, as a matplotlib figure.

        medimeta.show("bus")
        medimeta.show(medimeta.load_task("cxr", split="test", corruption="gaussian_noise"))

    Notebooks show the figure; elsewhere write it: `medimeta.show("bus").savefig("bus.png")`.

    Args:
        what: A dataset or task, named as for `medimeta.load_task`, or a view that it returned.
        task: The task: as for `medimeta.load_task`. With a view of a multilabel task, the task that names its labels.
        split: The split to load.
        columns: Images per label.
        seed: Seed of the choice of images.
        data_dir: Where the data are, as for `medimeta.load_task`.
        **options: Further arguments of `medimeta.load_task`, e.g. `corruption="pixelate"`.

    Returns:
        The figure. At most 15 labels are shown, the most frequent ones; the title gives the number of images.

    Raises:
        MissingExtra: If matplotlib is not installed.
        UnknownName, SourceNotFound: As for `medimeta.load_task`.
        MedIMetaError: If a view has no images and labels, or `columns` is not positive.
    """
    if isinstance(columns, bool) or not isinstance(columns, int) or columns < 1:
        raise MedIMetaError(f"columns is {columns!r}; it must be a whole number, 1 or more.")
    if isinstance(what, Dataset):
        view, title = what, "" if task is None else DATASETS.find_task(task).name
        names = None if task is None else DATASETS.find_task(task).labels
    else:
        chosen_task = DATASETS.find_task(what, task)
        view = load_task(chosen_task, split=split, data_dir=data_dir, **options)
        title, names = f"{DATASETS[chosen_task.dataset].name}: {chosen_task.name}, {split}", chosen_task.labels
    rows = _rows_by_label(view, names)
    chosen = sorted(sorted(rows, key=lambda name: -len(rows[name]))[:MOST], key=list(rows).index)
    more = f"; {len(rows) - len(chosen)} labels not shown" if len(rows) > len(chosen) else ""
    heading = f"{title} ({len(view):,} images{more})".strip()
    return _grid(view, {name: _some(rows[name], columns, seed) for name in chosen}, columns, heading, rows)


def _rows_by_label(view: Dataset, names: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Return the rows of each label, in the order of the labels, without empty ones; rows without a label are last."""
    if missing := {"image", "label"} - set(view.column_names):
        raise MedIMetaError(
            f"There is no column {' and no column '.join(sorted(missing))}; the columns are "
            f"{', '.join(view.column_names)}. Show a view of medimeta.load_task, or a dataset by its id."
        )
    labels = view.select_columns(["label"]).with_format("arrow")[:]["label"].to_pylist()
    feature = view.features["label"]
    if isinstance(feature, ClassLabel):
        names = feature.names
    count = len(names) if names is not None else getattr(feature, "length", 0)
    names = names if names is not None else [f"label {number}" for number in range(count)]
    places: dict[str, list[int]] = {name: [] for name in (*names, _NONE, _UNKNOWN)}
    for place, label in enumerate(labels):
        for name in _names(label, names):
            places[name].append(place)
    return {name: np.array(rows) for name, rows in places.items() if rows}


def _names(label: Any, names: Sequence[str]) -> list[str]:
    """Return the names of one label: an id, a vector of 0 and 1, or an unknown one."""
    vector = label if isinstance(label, list) else []
    if label is None or (vector and all(value is None or value != value for value in vector)):
        return [_UNKNOWN]
    if isinstance(label, list):
        return [name for name, value in zip(names, vector, strict=True) if value == 1] or [_NONE]
    return [names[int(label)]]


def _some(places: np.ndarray, count: int, seed: int) -> list[int]:
    """Choose rows at random, in the order of the rows."""
    return cast("list[int]", sorted(np.random.RandomState(seed).permutation(places)[:count].tolist()))


def _grid(
    view: Dataset, chosen: Mapping[str, Sequence[int]], columns: int, heading: str, rows: Mapping[str, np.ndarray]
) -> Figure:
    from .notebook import Shown

    figure = Shown(figsize=(1.15 * columns + 1.6, 1.15 * len(chosen) + 0.4))
    lines = figure.subplots(len(chosen), columns, squeeze=False)
    for (name, places), line in zip(chosen.items(), lines, strict=True):
        for axes in line:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(
            f"{_wrapped(name)}\n({len(rows[name]):,})", rotation=0, ha="right", va="center", fontsize="small"
        )
        for axes, place in zip(line, places, strict=False):
            axes.imshow(np.asarray(view[place]["image"]), cmap="gray", vmin=0, vmax=255)
            axes.set_title(f"row {place}", fontsize="xx-small", pad=2, color="0.35")
    figure.suptitle(heading)
    return figure


def _wrapped(name: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(name, 22)[:3])
