"""A view as a torch dataset that serves whole batches of pixels and labels, and its collate functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import default_collate

from ...errors import MedIMetaError, unknown
from .augmentation.augment import Augmentation
from .augmentation.stand_in import StandIn
from .normalise import IMAGENET_MEAN, IMAGENET_STD, check_form, normalise
from .pixels import RowNumbers, pixels

Tensors = dict[str, torch.Tensor]


class PixelDataset(torch.utils.data.Dataset[Tensors]):
    """A view as a `torch.utils.data.Dataset` of `pixel_values` and `labels`.

    It serves whole batches, so pass it to a `DataLoader` with `collate_fn=collate`. Without augmentation it is fastest
    without workers. Pass it to Trainer with `data_collator=collate` and `remove_unused_columns=False`; otherwise
    Trainer takes batches apart and collates them again.

    Augmentation differs between epochs only if the epoch is known. `batches` sets it, and so do Accelerate and Trainer
    when they run in one process. In other loops call `set_epoch` before each epoch.

    Args:
        view: A view from `load_task`.
        dtype: torch.uint8 for pixels as they are, shape (N, height, width, channels), or a floating-point type for
            normalised images, shape (N, 3, height, width).
        mean: Mean per channel of the model's input, on a scale from 0 to 1.
        std: Standard deviation per channel, on the same scale.
        augmentation: Augmentation for training, or any callable, see `StandIn`; None serves the images as they are.
        seed: Seed of augmentation and order.
        store: Whether to decode the images once or each time; see `pixels`.
        label: The column of labels; None serves images alone.

    Attributes:
        pixels: The images by row number.
        labels: int64 ids, shape (N,), or float32 of 0, 1 and NaN (unknown), shape (N, k); None without labels.
        subject_ids: Subject of each row, None where it is unknown.
        split: The split of the view, e.g. "train"; None where it is unknown.

    Raises:
        MedIMetaError: If the images cannot be served in this form, or the labels are not as `load_task` returns them.
    """

    def __init__(
        self,
        view: Dataset,
        *,
        dtype: torch.dtype = torch.float32,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        augmentation: Augmentation | Callable[..., Any] | None = None,
        seed: int = 0,
        store: bool = True,
        label: str | None = "label",
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise MedIMetaError(f"seed is {seed!r}; it must be a whole number, 0 or more.")
        self.pixels = pixels(view, store=store)
        self.dtype, self.mean, self.std = dtype, tuple(mean), tuple(std)
        self.augmentation: Augmentation | StandIn | None
        if augmentation is None or isinstance(augmentation, Augmentation):
            self.augmentation = augmentation
        else:
            self.augmentation = StandIn(augmentation)
        self.seed = seed
        if dtype != torch.uint8:
            check_form(dtype, self.mean, self.std, self.pixels.shape[-1])
        self._repeat = _repeats(view, self.pixels.shape[-1])
        self.labels = None if label is None else _labels(view, label)
        has_subjects = "subject_id" in view.column_names
        self.subject_ids: list[str | None] = view["subject_id"][:] if has_subjects else [None] * len(view)
        self.split = None if view.split is None else str(view.split)
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # persistent workers see it change
        self._draws = (-1, torch.empty(0))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_draws": (-1, torch.empty(0))}

    @property
    def epoch(self) -> int:
        """Number of the epoch, initially 0."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, on which augmentation depends, here and in worker processes."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def __getitem__(self, row: int) -> Tensors:
        tensors: Tensors = self.__getitems__([row])[0]
        return tensors

    def __getitems__(self, rows: Sequence[int]) -> Batch:
        return Batch(self.batch(rows))

    def batch(self, rows: RowNumbers, device: torch.device | str | None = None) -> Tensors:
        """Return the batch of some rows.

        Args:
            rows: Row numbers; a row may occur several times.
            device: Device for augmentation, normalisation and the result; pixels are copied to it as uint8.

        Returns:
            `pixel_values` of type `dtype`, and `labels`.
        """
        rows = np.asarray(rows, np.int64)
        images = torch.from_numpy(self.pixels.take(rows))
        labels = None if self.labels is None else torch.from_numpy(self.labels[rows])
        if device is not None:
            images = _copied(images, device)
            labels = None if labels is None else labels.to(device, non_blocking=True)
        if self.augmentation is not None:
            images = self.augmentation(images, self._draws_of(rows, self.augmentation))
        if self.dtype != torch.uint8:
            images = normalise(images, dtype=self.dtype, mean=self.mean, std=self.std)
        elif self._repeat:
            images = images.repeat(1, 1, 1, 3)
        return {"pixel_values": images} if labels is None else {"pixel_values": images, "labels": labels}

    def _draws_of(self, rows: np.ndarray[Any, Any], augmentation: Augmentation | StandIn) -> torch.Tensor:
        if self._draws[0] != self.epoch:
            self._draws = self.epoch, augmentation.draw(len(self), self.seed, self.epoch)
        return self._draws[1][torch.from_numpy(rows)]


class Batch(Sequence[Tensors]):
    """A batch as a sequence of its rows: what a `DataLoader` passes from dataset to collate function.

    Attributes:
        tensors: The whole batch.
    """

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors["pixel_values"])

    def __getitem__(self, row: Any) -> Any:
        return {name: values[row] for name, values in self.tensors.items()}


def collate(rows: Sequence[Any]) -> Tensors:
    """Collate rows of a `PixelDataset`: return a whole batch as it is, and stack single rows."""
    tensors: Tensors = rows.tensors if isinstance(rows, Batch) else default_collate(list(rows))
    return tensors


def collate_images(
    rows: Sequence[dict[str, Any]],
    *,
    dtype: torch.dtype = torch.float32,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Tensors:
    """Collate streamed rows, whose images are decoded already.

    Args:
        rows: Rows with `image` and `label`.
        dtype: As for `PixelDataset`.
        mean: As for `PixelDataset`.
        std: As for `PixelDataset`.
    """
    images = torch.from_numpy(np.stack([np.atleast_3d(np.asarray(row["image"])) for row in rows]))
    labels = torch.as_tensor(np.array([row["label"] for row in rows]))
    if dtype != torch.uint8:
        images = normalise(images, dtype=dtype, mean=mean, std=std)
    return {"pixel_values": images, "labels": labels}


def _copied(images: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    if torch.device(device).type == "cuda":
        images = images.pin_memory()  # only a copy from pinned memory runs in parallel with other work
    return images.to(device, non_blocking=True)


def _repeats(view: Dataset, channels: int) -> bool:
    """Whether the view asks for RGB images of greyscale pixels.

    Raises:
        MedIMetaError: If it asks for another conversion.
    """
    mode = getattr(view.features["image"], "mode", None)
    if mode in (None, "RGB" if channels == 3 else "L"):
        return False
    if mode == "RGB":
        return True
    raise MedIMetaError(f'Images of {channels} channels cannot be served in mode {mode!r}. Use load_task(mode="RGB").')


def _labels(view: Dataset, column: str) -> np.ndarray[Any, Any]:
    if column not in view.column_names:
        raise unknown("column", column, view.column_names, hint="label=None serves images alone.")
    table = view.select_columns([column])
    if unlabelled := table.with_format("arrow")[:][column].null_count:
        raise MedIMetaError(
            f"Column {column!r} is null in {unlabelled:,} of {len(view):,} rows, whose label is unknown. Leave them "
            f"out: view.select([i for i, label in enumerate(view[{column!r}]) if label is not None])"
        )
    labels = np.asarray(table.with_format("numpy")[:][column])
    kind = labels.dtype.kind, labels.ndim
    if kind not in (("i", 1), ("f", 2)):
        raise MedIMetaError(
            f"Column {column!r} holds neither an id nor a vector of floats per row. medimeta.load_task returns such "
            "labels for every task."
        )
    return labels.astype(np.int64 if kind == ("i", 1) else np.float32)
