"""The cost of an encoder: parameters, and images per second in a short forward pass."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...builders.images import SIDE
from ...files.atomic import whole_file

if TYPE_CHECKING:
    from ..encoders.encoder import Encoder

FILE = "encoder.json"
PASSES, IMAGES = 2, 8  # measured passes, after one to warm up, and images per pass


@dataclass(frozen=True)
class Cost:
    """The cost of an encoder.

    Attributes:
        name: Name of the encoder.
        width: Number of features.
        size: Height and width of its input, in pixels.
        parameters: Number of parameters; None for a function.
        images_per_second: Images encoded per second, including preprocessing, on `device`.
        device: Device of the measurement.
    """

    name: str
    width: int
    size: int
    parameters: int | None
    images_per_second: float
    device: str

    @classmethod
    def measure(cls, encoder: Encoder) -> Cost:
        """Return the cost of an encoder, measured on a few images of noise."""
        from torch import nn

        pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3), np.uint8)
        encoder.images(pixels)
        started = time.perf_counter()
        for _ in range(PASSES):
            encoder.images(pixels)
        seconds = (time.perf_counter() - started) / (PASSES * IMAGES)
        model = encoder.model
        parameters = sum(one.numel() for one in model.parameters()) if isinstance(model, nn.Module) else None
        return cls(encoder.name, encoder.width, encoder.size, parameters, round(1 / seconds, 1), str(encoder.device))

    def save(self, folder: Path) -> None:
        """Write the cost into the folder of the encoder's results."""
        with whole_file(folder / FILE) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def forecast(self, images: int | None) -> str:
        """Return a line of text with the time that encoding will take.

        Args:
            images: Largest number of images; None if unknown, in which case only the speed is given.
        """
        if images is None:
            return f"{self.name}: encodes {self.images_per_second:,.0f} images per second"
        seconds = images / self.images_per_second
        minutes, hours = seconds / 60, seconds / 3600
        time = f"{hours:.1f} h" if hours >= 1 else f"{minutes:.0f} min" if minutes >= 1 else f"{seconds:.0f} s"
        return f"{self.name}: up to {images:,} images to encode at {self.images_per_second:,.0f} per second: {time}"


def costs(paths: list[Path]) -> dict[str, Cost]:
    """Return the costs that were saved next to results, by the name of the encoder.

    Args:
        paths: Files of results.
    """
    read: dict[str, Cost] = {}
    for folder in dict.fromkeys(parent for path in paths for parent in path.parents):
        try:
            cost = Cost(**json.loads((folder / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        read[cost.name] = cost
    return read
