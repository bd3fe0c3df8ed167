"""Computing feature banks, next to the bare forward pass of the model.

    python benchmarks/encoders.py

The bare side passes batches of normalised values, which are in memory, through the model and keeps what comes out. Ours
reads uint8 pixels from the pixel store, resizes, crops and normalises them, encodes them, checks that all features are
finite, and writes and opens the bank. The networks have random weights, and the images are noise of 224 x 224 pixels.
Sides take turns, and the fastest round of each counts. On the CPU, seconds are those that the processor spent on it in
all threads, so that other work on the machine does not count. The last column is the time of opening the finished bank.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import torch
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from medimeta.learn.encoders.encoder import Encoder
from medimeta.learn.encoders.feature_banks import banks
from medimeta.learn.encoders.features import BATCH, features_of, pixels_of
from medimeta.learn.encoders.libraries.transformers_models import TransformersBackbone, before_head
from medimeta.learn.encoders.transform import ImageTransform

TARGET = 0.95  # of the speed of the bare forward pass
SMALL = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6}


def encoders() -> dict[str, Encoder]:
    """Return the networks that are measured, in the layouts of their published checkpoints."""
    torch.manual_seed(0)
    resnet = ResNetForImageClassification(
        ResNetConfig(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", num_labels=0)
    )
    vit = ViTForImageClassification(ViTConfig(**SMALL, num_labels=0))
    half = ImageTransform(mean=(0.5,) * 3, std=(0.5,) * 3)
    layouts = {
        "ResNet-18, 224 px": (resnet, ImageTransform()),
        "ResNet-18, resized to 256 px and cropped": (resnet, ImageTransform(interpolation="bicubic", resize=256)),
        "ViT-S/16, 224 px": (vit, half),
    }
    return {
        name: Encoder.of(name, TransformersBackbone(model, before_head, transform, {}), transform)
        for name, (model, transform) in layouts.items()
    }


def noise(images: int) -> datasets.Dataset:
    """Return rows of drawn images."""
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (224, 224, 3), np.uint8) for _ in range(images)]
    return datasets.Dataset.from_dict({"image": pixels}, features=datasets.Features({"image": datasets.Image()}))


def seconds(side: Callable[[], object], device: torch.device) -> float:
    """Return the time that a side takes: of the processor, or with a GPU of the clock."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    started = clock()
    side()
    return clock() - started


def compare(name: str, encoder: Encoder, rows: datasets.Dataset, rounds: int) -> None:
    """Time both sides in turn, and print a row."""
    store = pixels_of(rows)
    ready = [encoder.transform(store.take(range(start, min(start + BATCH, len(rows)))), encoder.device)
             for start in range(0, len(rows), BATCH)]  # fmt: skip
    model: torch.nn.Module = encoder.model  # type: ignore[assignment]

    def bare() -> list[np.ndarray]:
        with torch.inference_mode():
            return [model(values).cpu().numpy() for values in ready]

    def ours() -> np.ndarray:
        return features_of(encoder, rows, "bus", "train")

    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        shutil.rmtree(banks.folder(), ignore_errors=True)
        for side, times in zip((bare, ours), taken, strict=True):
            times.append(seconds(side, encoder.device))
    again = seconds(ours, encoder.device)
    speeds = [len(rows) / min(times) for times in taken]
    ratio = speeds[1] / speeds[0]
    row = f"| {name} | {speeds[1]:.1f} | {speeds[0]:.1f} | {ratio:.3f} | {TARGET} | {1000 * again:.0f} |"
    print(row, flush=True)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    rows = noise(arguments.images)
    print("| encoder | medimeta images/s | bare images/s | ratio | at least | opened again, ms |")
    print("|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as cache:
        datasets.config.HF_DATASETS_CACHE = Path(cache)
        for name, encoder in encoders().items():
            compare(name, encoder, rows, arguments.rounds)


if __name__ == "__main__":
    main()
