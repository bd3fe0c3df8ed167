"""Loading a large Hub folder, counting its classes, and the memory of serving it, next to plain `datasets`.

    python benchmarks/loading.py

Miniature pictures are repeated: 112,120 grey rows, as many as ChestX-ray14 has, to load and to count; 17,092 in colour,
as many as the blood cells, to serve in shuffled batches of 64. Each number comes from a fresh process, and its clock
starts when everything is imported. Plain `datasets` loads the same folder with `load_dataset`, counts classes by going
over rows or by asking for the column, and serves batches with the format "torch" in a `DataLoader`; where it decodes
images it does so for some of the rows, and seconds are scaled to all. Memory is the most private memory that serving
adds to a process that has imported everything; pages of mapped files, which all processes share, are left out.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import psutil

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.source import Options, RawSource
from medimeta.learn.data.pixels import pixels
from medimeta.learn.data.statistics import class_weights
from medimeta.learn.data.views import load_task
from medimeta.upload.folder.writing import build

LOADED, SERVED = "oct", "pbc"
BATCH = 64


@dataclass(frozen=True)
class Repeated(RawSource):
    """Miniatures, all in training, repeated; each picture is encoded once.

    Attributes:
        count: Rows.
    """

    count: int = 0

    @cached_property
    def pictures(self) -> dict[str, dict[str, Any]]:
        """What `encode` gives, by file."""
        rows = super().manifest()
        return dict(zip(rows["original_filepath"], super().encode(rows), strict=True))

    def manifest(self) -> pd.DataFrame:
        """As many rows as are wanted."""
        rows = super().manifest()
        many = pd.concat([rows] * -(-self.count // len(rows)), ignore_index=True)[: self.count]
        return many.assign(split="train", index=range(self.count))

    def encode(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        """The pictures."""
        return [self.pictures[path] for path in rows["original_filepath"]]


def fresh(measure: Callable[..., Any], *arguments: Any) -> Any:
    """What a measurement gives in a process that has done nothing but import."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(measure, *arguments).result()


def ours(folder: Path) -> datasets.Dataset:
    """Our view of a folder that has one dataset."""
    return load_task(_id(folder), split="train", data_dir=folder)


def plain(folder: Path) -> datasets.Dataset:
    """The same rows by `datasets` alone."""
    return datasets.load_dataset(str(folder), _id(folder), split="train")


def _id(folder: Path) -> str:
    return next(path.parent.name for path in folder.glob("records/*/build.json"))


def load(how: Callable[[Path], datasets.Dataset], folder: Path) -> float:
    """Seconds until rows can be asked for."""
    start = time.perf_counter()
    how(folder)
    return time.perf_counter() - start


def weigh(folder: Path) -> float:
    """Seconds of our class weights."""
    view = ours(folder)
    start = time.perf_counter()
    class_weights(view, medimeta.DATASETS[_id(folder)].tasks[0])
    return time.perf_counter() - start


def count_column(folder: Path) -> float:
    """Seconds of counting the labels in a column."""
    rows = plain(folder)
    start = time.perf_counter()
    Counter(rows[medimeta.DATASETS[_id(folder)].tasks[0].column])
    return time.perf_counter() - start


def count_rows(folder: Path, some: int) -> float:
    """Seconds of counting row by row: of some, scaled to all."""
    rows, column = plain(folder), medimeta.DATASETS[_id(folder)].tasks[0].column
    start = time.perf_counter()
    Counter(row[column] for row in rows.take(some))
    return (time.perf_counter() - start) * len(rows) / min(some, len(rows))


def private(home: Path) -> int:
    """Bytes of memory that are this process's own; pages of files below a folder aside."""
    maps = psutil.Process().memory_maps()
    return sum(m.private_clean + m.private_dirty for m in maps if not m.path.startswith(str(home)))


def prepare(folder: Path) -> None:
    """Build the pixel store."""
    pixels(ours(folder))


def our_batches(folder: Path, dtype: str) -> Iterator[Any]:
    """Shuffled, from the pixel store."""
    import torch

    from medimeta.learn.data.batches import batches
    from medimeta.learn.data.pixel_dataset import PixelDataset

    yield from batches(PixelDataset(ours(folder), dtype=getattr(torch, dtype)), BATCH)


def plain_batches(folder: Path, some: int) -> Iterator[Any]:
    """Shuffled, each image decoded when it is asked for."""
    from torch.utils.data import DataLoader

    columns = ["image", medimeta.DATASETS[_id(folder)].tasks[0].column]
    rows = plain(folder).select_columns(columns).with_format("torch")
    yield from DataLoader(rows.shuffle(seed=0).take(some), BATCH)


def added(home: Path, serve: Callable[..., Iterable[Any]], *arguments: Any) -> tuple[int, float]:
    """How many images were served, and the private memory in MB that they took at most."""
    import medimeta.learn.data.batches  # noqa: F401  and torch with it, which only these processes need

    before, most, images = private(home), 0, 0
    for number, batch in enumerate(serve(*arguments)):
        images += len(next(iter(batch.values())))
        if number % 8 == 0:
            most = max(most, private(home))
    return images, (max(most, private(home)) - before) / 1e6


def hub_folder(dataset: str, count: int, home: Path) -> Path:
    """A Hub folder of repeated miniatures."""
    raw = write_miniature(dataset, home / "raw" / dataset, per_class=8, packed=False)
    build(Repeated(dataset, raw, Options(partial=True), count), home / dataset, version=medimeta.__version__)
    return home / dataset


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=112_120, help="rows that are loaded and counted")
    parser.add_argument("--served", type=int, default=17_092, help="images that are served")
    parser.add_argument("--some", type=int, default=2_000, help="rows of which plain `datasets` decodes the images")
    arguments = parser.parse_args()
    print("| step | rows | medimeta | plain datasets | ratio to plain | target |")
    print("|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        # Read when `datasets` is imported, by the fresh processes.
        os.environ |= {"HF_HOME": str(home / "hf"), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        folder, rows = hub_folder(LOADED, arguments.rows, home), f"{arguments.rows:,}"
        for turn, target in (("first", "-"), ("second", "under 1")):
            line(f"load, {turn} time, s", rows, fresh(load, ours, folder), fresh(load, plain, folder), target)
        weights = fresh(weigh, folder)
        line("class weights, s; plain by rows", rows, weights, fresh(count_rows, folder, arguments.some), "under 0.1")
        line("class weights, s; plain by column", rows, weights, fresh(count_column, folder), "under 0.1")
        folder = hub_folder(SERVED, arguments.served, home)
        fresh(prepare, folder)
        _, other = fresh(added, home, plain_batches, folder, arguments.some)
        for dtype in ("uint8", "float32"):
            images, most = fresh(added, home, our_batches, folder, dtype)
            line(f"private memory of shuffled {dtype} batches, MB", f"{images:,}", most, other, "under 300")


def line(step: str, rows: str, own: float, other: float, target: str) -> None:
    """One line of the table; a ratio over 1 is in our favour."""
    print(f"| {step} | {rows} | {own:.3g} | {other:.3g} | {other / own:.2f} | {target} |", flush=True)


if __name__ == "__main__":
    main()
