"""Building a dataset next to a plain Pillow loop that writes what the published release holds.

    python benchmarks/build.py --real ../shared/real

Both sides do the same decoding and geometry on the same images in one run, taking turns; the loop writes an
uncompressed TIFF per image and one HDF5 file, ours writes compressed Parquet with its card. "Nothing written" renders
and compresses in a thread per core and drops the result: no build can be faster on these cores. The target is a
share of this bound. The ratio to the loop varies on a shared host, where two busy cores are not always worth twice one.
"2 processes" starts the second process after 20 seconds, as `--num-proc 2` does; until then, threads work. "Second at
once" starts it with the first image. "Published order" writes images as they are read; the default order keeps them on
the disk in between, and should reach 0.9 of that rate. Printed: images per second (median of the rounds), the ratio to
the loop, and the size on disk. Images are repeated so that the time in which a process starts does not matter.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

import medimeta
from medimeta.builders.phantoms import write_miniature
from medimeta.builders.rows import BATCH
from medimeta.builders.source import Options, RawSource
from medimeta.builders.table.order import Order
from medimeta.files.parallel import pool
from medimeta.upload.folder.writing import build

SAMPLES = {"pbc": ("pbc", "*/*/[!.]*.jpg"), "bus": ("busi", "*/*/*.png")}
ROWS = {"pbc": 5000, "bus": 1000}  # the published ones have 17,092 and 780


def plain_loop(source: RawSource, folder: Path) -> None:
    """What the published pipeline does with an image: render, write a TIFF, write a row of an HDF5 file."""
    rows = source.manifest()
    (folder / "images").mkdir(parents=True)
    shape = (len(rows), 224, 224, 3) if source.card.channels == 3 else (len(rows), 224, 224)
    with h5py.File(folder / "images.hdf5", "w") as file:
        images = file.create_dataset("images", shape, np.uint8)
        for row in rows.to_dict("records"):
            image: Image.Image = source.reader.render(source.raw, row, 224)
            image.save(folder / "images" / f"{row['index']:06d}.tiff")
            images[row["index"]] = np.asarray(image)


def ours(source: RawSource, folder: Path, processes: int, at_once: bool = False, order: Order = "shuffled") -> None:
    """The Hub folder."""
    with pool(processes, at_once=at_once) as (executor, workers):
        build(source, folder, version=medimeta.__version__, executor=executor, workers=workers, order=order)


def nothing_written(source: RawSource, folder: Path) -> None:
    """The bound: every image rendered and compressed, and nothing else."""
    folder.mkdir()
    rows = source.manifest()
    parts = [rows.iloc[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    with pool() as (executor, _):
        for future in [executor.submit(source.encode, part) for part in parts]:
            future.result()


def repeated(sample: Path, pattern: str, folder: Path, rows: int) -> Path:
    """The sample's images under several names, so that a run lasts long enough to be timed."""
    folder.mkdir()
    files = [path for path in sorted(sample.glob(pattern)) if "_mask" not in path.name]
    for copy in range(-(-rows // len(files))):
        for path in files:
            name = path.relative_to(sample)
            target = folder / name.with_name(f"{name.stem}{copy:03d}{name.suffix}")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(path) if path.stat().st_dev == folder.stat().st_dev else shutil.copy(path, target)
    return folder


def images_of(dataset: str, real: Path | None, home: Path, rows: int) -> RawSource:
    """A source of at least so many images: the real samples, repeated, or miniatures."""
    if real is None:
        classes = len(medimeta.DATASETS[dataset].tasks[0].labels)
        raw = write_miniature(dataset, home / "raw", per_class=-(-rows // classes), packed=False)
    else:
        sample, pattern = SAMPLES[dataset]
        raw = repeated(real / sample, pattern, home / "raw", rows)
    return RawSource(dataset, raw, Options(partial=True))


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Time both sides and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of the real samples; miniatures without it")
    parser.add_argument("--rows", type=int, help=f"images per dataset at least (pbc {ROWS['pbc']}, bus {ROWS['bus']})")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    print("| dataset | images | side | images/s | ratio to the loop | MB on disk | share of the release layout |")
    print("|---|--:|---|--:|--:|--:|--:|")
    for dataset in SAMPLES:
        wanted = arguments.rows or ROWS[dataset]
        with tempfile.TemporaryDirectory() as temporary:
            home = Path(temporary)
            source = images_of(dataset, arguments.real, home, wanted)
            rows = len(source.manifest())
            sides = {
                "plain loop": lambda out, s=source: plain_loop(s, out),
                "medimeta, nothing written": lambda out, s=source: nothing_written(s, out),
                "medimeta, 1 process": lambda out, s=source: ours(s, out, 1),
                "medimeta, 1 process, published order": lambda out, s=source: ours(s, out, 1, order="published"),
                "medimeta, 2 processes": lambda out, s=source: ours(s, out, 2),
                "medimeta, second at once": lambda out, s=source: ours(s, out, 2, at_once=True),
            }
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            bytes_written = {}
            for turn in range(arguments.rounds):
                for side, run in sides.items():
                    out = home / f"{side} {turn}"
                    start = time.perf_counter()
                    run(out)
                    seconds[side].append(time.perf_counter() - start)
                    bytes_written[side] = size(out)
                    shutil.rmtree(out)
            loop = rows / statistics.median(seconds["plain loop"])
            for side in sides:
                rate = rows / statistics.median(seconds[side])
                share = bytes_written[side] / bytes_written["plain loop"]
                cells = dataset, rows, side, f"{rate:.0f}", f"{rate / loop:.2f}", f"{bytes_written[side] / 1e6:.0f}"
                print("|", *(f"{cell} |" for cell in cells), f"{share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
