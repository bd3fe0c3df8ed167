"""The published `medimeta` loader, measured in its own environment; `batches.py` runs this and takes turns with it.

    .venv-peer/bin/python benchmarks/peer_batches.py FOLDER ID TASK BATCH

For every line on standard input, a number of workers, it prints the images per second of one epoch.
"""

from __future__ import annotations

import sys
import time

from torch.utils.data import DataLoader

from medimeta import MedIMeta


def main(folder: str, dataset: str, task: str, batch: str) -> None:
    """Answer until the input ends."""
    data = MedIMeta(folder, dataset, task, split=["train", "val", "test"])
    loaders: dict[int, DataLoader] = {}
    for line in sys.stdin:
        workers = int(line)
        if workers not in loaders:
            loaders[workers] = DataLoader(
                data, int(batch), shuffle=True, num_workers=workers, persistent_workers=workers > 0
            )
            next(iter(loaders[workers]))  # workers start
        start = time.perf_counter()
        images = sum(len(labels) for _, labels in loaders[workers])
        print(images / (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
