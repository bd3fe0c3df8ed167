"""The published `medimeta` loader, measured in its own environment; `batches.py` runs this and takes turns with it.

    .venv-peer/bin/python benchmarks/peer_batches.py FOLDER ID TASK BATCH [augmented]

For every line on standard input, a number of workers, it prints the images per second of one epoch.
"""

from __future__ import annotations

import sys
import time

from torch.utils.data import DataLoader, Dataset

from medimeta import MedIMeta


class Augmented(Dataset):
    """The peer's dataset with the published augmentation, in torchvision."""

    def __init__(self, data: Dataset) -> None:
        from torchvision import transforms as t

        cut = t.Compose([t.RandomCrop(200), t.Resize(224, antialias=True)])
        turn = t.RandomRotation(10, interpolation=t.InterpolationMode.BILINEAR)
        flips = t.RandomHorizontalFlip(0.25), t.RandomVerticalFlip(0.25)
        self.data, self.steps = data, t.Compose([*flips, t.RandomApply([cut], 0.25), turn])

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> tuple:
        image, *labels = self.data[row]
        return self.steps(image), *labels


def main(folder: str, dataset: str, task: str, batch: str, augmented: str = "") -> None:
    """Answer until the input ends."""
    data = MedIMeta(folder, dataset, task, split=["train", "val", "test"])
    if augmented:
        data = Augmented(data)
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
