"""Training batches from a view, for plain loops, `DataLoader`, Accelerate and Trainer.

A loop with the published augmentation:

    train = PixelDataset(load_task("pbc", split="train"), augmentation=Augmentation())
    for epoch in range(10):
        for batch in batches(train, 64, epoch=epoch):
            loss = model(**batch).loss
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ...files.parallel import ordered_map
from .pixel_dataset import PixelDataset, Tensors
from .pixels import PixelStore, RowNumbers
from .store import THREADS


def batches(
    dataset: PixelDataset,
    batch_size: int = 64,
    *,
    epoch: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
    device: torch.device | str | None = None,
    ahead: int | None = None,
) -> Iterator[Tensors]:
    """One epoch of batches.

    Args:
        dataset: What to serve.
        batch_size: Images per batch; the last one may have fewer.
        epoch: With the dataset's seed, it gives order and augmentation.
        shuffle: Serve rows in random order, or in theirs.
        drop_last: Leave out a last batch with fewer images.
        device: As for `PixelDataset.batch`.
        ahead: Batches that threads, one each, prepare while the last one is in use; 0 does without threads. By default
            one, or one per core (at most 8) where images are decoded each time.

    Yields:
        What `PixelDataset.batch` gives.
    """
    dataset.set_epoch(epoch)
    order = (
        np.random.default_rng([dataset.seed, epoch]).permutation(len(dataset)) if shuffle else np.arange(len(dataset))
    )
    rows = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if drop_last and rows and len(rows[-1]) < batch_size:
        rows.pop()
    yield from serve(dataset, rows, device=device, ahead=ahead)


def serve(
    dataset: PixelDataset,
    batches: Iterable[RowNumbers],
    *,
    device: torch.device | str | None = None,
    ahead: int | None = None,
) -> Iterator[Tensors]:
    """The batches of given rows, for an order of your own.

    Args:
        dataset: What to serve; its epoch is as it was set.
        batches: The rows of each batch.
        device: As for `PixelDataset.batch`.
        ahead: As for `batches`.

    Yields:
        What `PixelDataset.batch` gives.
    """
    if ahead is None:
        # One batch at a time is decoded in one thread, so that threads do not wait for the last image of each.
        ahead = 1 if isinstance(dataset.pixels, PixelStore) else min(THREADS, 8)
    if ahead == 0:
        yield from (dataset.batch(rows, device) for rows in batches)
        return
    with ThreadPoolExecutor(ahead) as executor:
        yield from ordered_map(lambda rows: dataset.batch(rows, device), batches, executor, ahead + 1)
