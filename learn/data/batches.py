"""Batches of a `PixelDataset`: epoch after epoch, one epoch, or given rows, prepared in a thread ahead of their use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from ...errors import MedIMetaError
from ...files.parallel import ordered_map
from .augmentation.stand_in import StandIn
from .pixel_dataset import PixelDataset, Tensors
from .pixels import PixelStore, RowNumbers
from .store import THREADS


class Loader:
    """Batches of a view; every pass over it is the next epoch, with its own order and augmentation.

    Args:
        dataset: The dataset to serve.
        batch_size: Images per batch.
        shuffle: Whether rows come in random order.
        drop_last: Whether to leave out a last batch with fewer images.
        device: Device of the batches.

    Attributes:
        dataset: As given.
        epoch: Number of the next epoch, initially 0; set it to continue an interrupted training.
    """

    def __init__(
        self,
        dataset: PixelDataset,
        batch_size: int,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        device: torch.device | str | None = None,
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise MedIMetaError(f"batch_size is {batch_size!r}; it must be a whole number, 1 or more.")
        self.dataset, self.epoch = dataset, 0
        self._batch_size, self._shuffle, self._drop_last, self._device = batch_size, shuffle, drop_last, device

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self._batch_size)
        return whole + (rest > 0 and not self._drop_last)

    def __iter__(self) -> Iterator[Tensors]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return batches(
            self.dataset,
            self._batch_size,
            epoch=epoch,
            shuffle=self._shuffle,
            drop_last=self._drop_last,
            device=self._device,
        )

    def __repr__(self) -> str:
        return f"Loader({len(self):,} batches of {self._batch_size}, {len(self.dataset):,} images, epoch {self.epoch})"


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
    """Serve one epoch of batches.

    Args:
        dataset: The dataset to serve.
        batch_size: Images per batch; the last batch may have fewer.
        epoch: Number of the epoch; together with the dataset's seed it determines order and augmentation.
        shuffle: Serve rows in random order rather than in their own.
        drop_last: Leave out a last batch with fewer images.
        device: As for `PixelDataset.batch`.
        ahead: Number of batches prepared in advance, each in its own thread; 0 uses no threads. By default 1, or one
            per core (at most 8) where images are decoded each time or augmented on the CPU. A callable used instead of
            an `Augmentation` is always called in the caller's thread.

    Yields:
        Batches as `PixelDataset.batch` returns them.
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
    """Serve the batches of given rows, for an order of your own.

    Args:
        dataset: The dataset to serve, in the epoch that it is set to.
        batches: The rows of each batch.
        device: As for `PixelDataset.batch`.
        ahead: As for `batches`.

    Yields:
        Batches as `PixelDataset.batch` returns them.
    """
    if isinstance(dataset.augmentation, StandIn):
        ahead = 0
    if ahead is None:
        # Images of one batch are prepared in one thread, so that threads do not wait for the last image of each batch.
        on_cpu = device is None or torch.device(device).type == "cpu"
        busy = not isinstance(dataset.pixels, PixelStore) or (dataset.augmentation is not None and on_cpu)
        ahead = min(THREADS, 8) if busy else 1
    if ahead == 0:
        yield from (dataset.batch(rows, device) for rows in batches)
        return
    with ThreadPoolExecutor(ahead) as executor:
        yield from ordered_map(lambda rows: dataset.batch(rows, device), batches, executor, ahead + 1)
