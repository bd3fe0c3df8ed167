"""Shuffled training batches next to the published `medimeta` loader, on the same images in one run.

    python benchmarks/batches.py --real ../shared/real [--peer .venv-peer/bin/python]

Sides take turns. Each is measured with 0, 1 and 2 workers of a `DataLoader`, ours also in a plain loop (`batches`);
printed are images per second (median of the rounds), the best of them, and ratios of the best.

The peer (medimeta 0.0.6 with torchcross and torchvision) brings a CUDA build of torch, several GB, and an import name
that is ours too; so it is in its own environment, which `make bench PEER=1` makes. It reads the HDF5 file of
a release and gives float32 with mean and deviation 0.5, one channel for grey images; so do we here. Without it, a
stand-in that follows its description is measured.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
import h5py
import numpy as np
import torch
import yaml
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from build import SAMPLES, images_of
from medimeta.builders.source import RawSource
from medimeta.learn.data.augmentation.augment import Augmentation
from medimeta.learn.data.batches import batches
from medimeta.learn.data.pixel_dataset import PixelDataset, collate
from medimeta.learn.data.pixels import PixelStore
from medimeta.learn.data.views import load_task

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from fakes.release import write_release

BATCH = 64
LOOP, WORKERS = "loop", (0, 1, 2)
Measure = Callable[[Any], float]  # from LOOP or a number of workers to images per second


class StandIn(Dataset):
    """Reads one row per item from an HDF5 file opened in the constructor, through Pillow, as the peer does."""

    def __init__(self, release: Path, task: str) -> None:
        self.labels = np.load(release / "task_labels" / f"{task}.npy")
        self.images = h5py.File(release / "images.hdf5", "r")["images"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = np.atleast_3d(np.array(Image.fromarray(self.images[row, ...])))
        pixels = torch.from_numpy(image).permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        return pixels.sub_(0.5).div_(0.5), torch.as_tensor(self.labels[row])


class Published:
    """The published augmentation, step by step, of a float tensor (channels, height, width)."""

    def __init__(self) -> None:
        try:
            from torchvision import transforms as t
        except ModuleNotFoundError:
            self.name, self._steps = "Pillow", None
            return
        cut = t.Compose([t.RandomCrop(200), t.Resize(224, antialias=True)])
        turn = t.RandomRotation(10, interpolation=t.InterpolationMode.BILINEAR)
        flips = t.RandomHorizontalFlip(0.25), t.RandomVerticalFlip(0.25)
        self.name, self._steps = "torchvision", t.Compose([*flips, t.RandomApply([cut], 0.25), turn])

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Augment one image."""
        if self._steps is not None:
            return self._steps(pixels)
        planes = (pixels.permute(1, 2, 0).numpy() * 127.5 + 127.5).astype(np.uint8)
        image = Image.fromarray(planes.squeeze())
        horizontal, vertical, cropped, left, top, turn = np.random.random(6)
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if horizontal < 0.25 else image
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if vertical < 0.25 else image
        if cropped < 0.25:
            x, y = int(25 * left), int(25 * top)
            image = image.resize((224, 224), Image.Resampling.BILINEAR, (x, y, x + 200, y + 200))
        image = image.rotate(20 * turn - 10, Image.Resampling.BILINEAR)
        return torch.from_numpy(np.atleast_3d(np.array(image))).permute(2, 0, 1).float().div(127.5).sub(1)


class AugmentedStandIn(StandIn):
    """The same with the published augmentation."""

    def __init__(self, release: Path, task: str) -> None:
        super().__init__(release, task)
        self.augment = Published()

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        pixels, label = super().__getitem__(row)
        return self.augment(pixels), label


class Before(Augmentation):
    """Our augmentation as it was: grid_sample on float32, image by image."""

    def __call__(self, pixels: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augment images on the CPU."""
        matrices = self.matrices(draws, *pixels.shape[1:3]).float().numpy()
        out = np.empty(pixels.shape, np.uint8)
        y, x = (np.arange(size, dtype=np.float32) + (0.5 - size / 2) for size in pixels.shape[1:3])
        for image, rows, place in zip(pixels.numpy(), matrices, out, strict=True):
            planes = torch.from_numpy(np.array(image.transpose(2, 0, 1), np.float32, order="C"))
            sizes = zip(rows, image.shape[1::-1], strict=True)
            grid = np.stack([(row[0] * x + row[1] * y[:, None] + row[2]) * (2 / size) for row, size in sizes], axis=-1)
            grid = torch.from_numpy(grid.astype(np.float32))
            moved = torch.nn.functional.grid_sample(planes[None], grid[None], align_corners=False)[0].numpy()
            place[:] = np.rint(moved, out=moved).transpose(1, 2, 0)
        return torch.from_numpy(out)


class Epochs:
    """Images per second of whole epochs, with loaders whose workers stay.

    Args:
        data: A map-style dataset.
        loop: One epoch without a `DataLoader`.
        options: Of the `DataLoader`.
    """

    def __init__(self, data: Any, loop: Callable[[], Iterable[Any]] | None = None, **options: Any) -> None:
        self.data, self.loop, self.options = data, loop, options
        self.loaders: dict[int, DataLoader] = {}

    def __call__(self, how: Any) -> float:
        """Measure one way."""
        if how == LOOP:
            return rate(self.loop, len(self.data)) if self.loop else float("nan")
        if how not in self.loaders:
            self.loaders[how] = DataLoader(
                self.data, BATCH, shuffle=True, num_workers=how, persistent_workers=how > 0, **self.options
            )
            next(iter(self.loaders[how]))
        return rate(lambda: self.loaders[how], len(self.data))


def rate(epoch: Callable[[], Iterable[Any]], images: int, seconds: float = 0.5) -> float:
    """Images per second over as many epochs as fill the time."""
    epochs, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < seconds:
        for _ in epoch():
            pass
        epochs += 1
    return epochs * images / taken


def ours(view: Any, ahead: int | None = None, **options: Any) -> Epochs:
    """A side of ours."""
    half = (0.5,) * (3 if view[0]["image"].mode == "RGB" else 1)
    data = PixelDataset(view, mean=half, std=half, **options)
    return Epochs(data, lambda: batches(data, BATCH, ahead=ahead), collate_fn=collate)


def gather(store: PixelStore) -> Iterable[Any]:
    """What no loader can beat: rows of the memory map in random order, nothing else."""
    array = np.load(store.path, mmap_mode="r").view(np.ndarray)
    order = np.random.default_rng().permutation(len(array))
    return (np.take(array, order[start : start + BATCH], axis=0) for start in range(0, len(order), BATCH))


def peer(python: Path, release: Path, task: str, *augmented: str) -> Measure:
    """The peer, in a process in its own environment."""
    script = Path(__file__).with_name("peer_batches.py")
    info = yaml.safe_load((release / "info.yaml").read_text(encoding="utf-8"))
    (release / "info.yaml").write_text(yaml.safe_dump(info | {"domain": "any"}), encoding="utf-8")
    # Isolated, or its `medimeta` could be ours.
    command = [str(python), "-I", str(script), str(release.parent), release.name, task, str(BATCH), *augmented]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(how: Any) -> float:
        if how == LOOP:
            return float("nan")
        print(how, file=process.stdin, flush=True)
        return float(process.stdout.readline())

    return measure


def sides(source: RawSource, home: Path, python: Path | None) -> dict[str, Measure]:
    """All sides on the images of one source."""
    options = {"data_dir": source.location, "partial": True, "cache_dir": str(home / "cache")}
    view = load_task(source.dataset, split="train+validation+test", **options)
    task = source.card.tasks[0].name
    release = write_release(source, home / "release", tiff=False)
    store = PixelDataset(view, dtype=torch.uint8).pixels
    if python:
        other = {"peer": peer(python, release, task)}
        augmented: dict[str, Measure] = {"peer, augmented": peer(python, release, task, "augmented")}
    else:
        other = {"stand-in": Epochs(StandIn(release, task))}
        augmented = {"stand-in, augmented": Epochs(AugmentedStandIn(release, task))}
    bare = Epochs(view, lambda: gather(store))
    return other | {
        "bare gather, uint8": lambda how: bare(how) if how == LOOP else float("nan"),
        "store, uint8": ours(view, dtype=torch.uint8),
        "store, float32 normalised": ours(view),
        "store, bfloat16 normalised": ours(view, dtype=torch.bfloat16),
        "decoded each time, float32": ours(view, store=False),
        **augmented,
        "store, float32 augmented as before": ours(view, ahead=2, augmentation=Before()),
        "store, float32 augmented": ours(view, augmentation=Augmentation()),
    }


def table(measures: dict[str, Measure], rounds: int) -> None:
    """Measure in turns and print."""
    ways = (LOOP, *WORKERS)
    rates: dict[tuple[str, Any], list[float]] = {(side, how): [] for side in measures for how in ways}
    for _ in range(rounds):
        for side, how in rates:
            rates[side, how].append(measures[side](how))
    medians = {key: statistics.median(values) for key, values in rates.items()}
    best = {side: np.nanmax([medians[side, how] for how in ways]) for side in measures}
    other, bare = list(best.values())[:2]
    *_, augmented, before, own = best.values()
    for side in measures:
        cells = ["-" if np.isnan(medians[side, how]) else f"{medians[side, how]:,.0f}" for how in ways]
        print("|", side, "|", " | ".join(cells), f"| {best[side]:,.0f} | {best[side] / other:.2f} |", end=" ")
        print(f"{best[side] / bare:.2f} |", flush=True)
    print(f"\nAugmented: {own / augmented:.2f} times the published augmentation, {own / before:.2f} times ours before")


def main() -> None:
    """Print a Markdown table per dataset."""
    datasets.disable_progress_bars()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of the real samples; miniatures without it")
    parser.add_argument("--peer", type=Path, default=Path(".venv-peer/bin/python"), help="python of its environment")
    parser.add_argument("--rows", type=int, default=4000, help="images per dataset at least")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--datasets", nargs="+", choices=SAMPLES, default=list(SAMPLES))
    arguments = parser.parse_args()
    python = arguments.peer.absolute() if arguments.peer.exists() else None
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), {os.cpu_count()} core(s)")
    if python is None:
        print("The peer was not measured: its environment is not there (make bench PEER=1 makes it).")
    for dataset in arguments.datasets:
        with tempfile.TemporaryDirectory() as temporary:
            home = Path(temporary)
            datasets.config.HF_DATASETS_CACHE = home / "cache"
            measures = sides(images_of(dataset, arguments.real, home, arguments.rows), home, python)
            other = next(iter(measures))
            print(f"\n{dataset}, images/s\n")
            print(f"| side | loop | 0 workers | 1 worker | 2 workers | best | x {other} | x bare gather |")
            print("|---|" + "--:|" * 7)
            table(measures, arguments.rounds)


if __name__ == "__main__":
    main()
