"""Corrupted batches of 64 images next to the same batches without corruption, as normalised float32.

    python benchmarks/corruptions.py [--rounds 10]

Both sides read the same images from a pixel store and take turns in one run. Printed is the CPU time per batch of the
fastest round; a ratio is the corruption alone (the difference of the two) to the batch without it. The target is a
ratio of at most 3 for the median corruption. Each corruption is measured at severity 3, on a dataset that uses it.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time

import datasets
import numpy as np
from PIL import Image

from medimeta.cards.catalogue import DATASETS
from medimeta.learn.data.corruptions.images import CorruptedImage
from medimeta.learn.data.corruptions.registry import CORRUPTIONS, corruptions
from medimeta.learn.data.pixel_dataset import PixelDataset

BATCH, SEVERITY, TARGET = 64, 3, 3


def view(channels: int) -> datasets.Dataset:
    """A batch of smooth images with texture."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:224, :224]
    rows = []
    for number in range(BATCH):
        smooth = 120 + 60 * np.sin(x / generator.uniform(9, 30)) * np.cos(y / generator.uniform(9, 30))
        pixels = smooth[..., None] * (1, 0.8, 0.6)[:channels] + generator.normal(0, 8, (224, 224, channels))
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8).squeeze()).save(file, "PNG")
        rows.append({"bytes": file.getvalue(), "path": f"{number:06d}.png"})
    columns = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    return datasets.Dataset.from_dict({"image": rows, "label": [0] * BATCH}, features=columns)


def milliseconds(data: PixelDataset) -> float:
    """CPU time of one batch."""
    start = time.process_time()
    data.batch(range(BATCH))
    return 1000 * (time.process_time() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        datasets.config.HF_DATASETS_CACHE = cache
        clean = {channels: view(channels) for channels in (1, 3)}
        print("| corruption | dataset | clean ms | corrupted ms | ratio of the corruption |\n|---|---|--:|--:|--:|")
        ratios = []
        for name in CORRUPTIONS:
            holders = [id for id in DATASETS if name in corruptions(id)]
            dataset = next((id for id in holders if DATASETS[id].mode == "RGB"), holders[0])
            images = clean[3 if DATASETS[dataset].mode == "RGB" else 1]
            feature = CorruptedImage(dataset=dataset, corruption=name, severity=SEVERITY)
            sides = [PixelDataset(images), PixelDataset(images.cast_column("image", feature))]
            times = [[milliseconds(side) for side in sides] for _ in range(rounds + 1)][1:]
            without, corrupted = map(min, zip(*times, strict=True))
            ratios.append((corrupted - without) / without)
            print(f"| {name} | {dataset} | {without:.1f} | {corrupted:.1f} | {ratios[-1]:.2f} |", flush=True)
        median = statistics.median(ratios)
        print(f"| median | | | | {median:.2f} |")
        print(f"\nTarget: at most {TARGET} for the median corruption: {'met' if median <= TARGET else 'missed'}.")


if __name__ == "__main__":
    main()
