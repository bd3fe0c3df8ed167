"""A view as a torch dataset that serves whole batches of pixels and labels, and its collate functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import default_collate

from ...errors import MedIMetaError, unknown
from .augment import Augmentation, epoch_draws
from .normalise import IMAGENET_MEAN, IMAGENET_STD, check_form, normalise
from .pixels import RowNumbers, pixels

Tensors = dict[str, torch.Tensor]


class PixelDataset(torch.utils.data.Dataset[Tensors]):
    """A view as a `torch.utils.data.Dataset` of `pixel_values` and `labels`.

    It serves whole batches, so give it to a `DataLoader` with `collate_fn=collate`. Without augmentation it is fastest
    with no workers. Trainer takes it with `data_collator=collate`, and with `remove_unused_columns=False`, or it will
    take batches apart and put them together again.

    Augmentation differs from epoch to epoch only if the epoch is known. `batches` sets it, and so do Accelerate and
    Trainer when they run in one process; elsewhere call `set_epoch` before each epoch.

    Args:
        view: What `load_task` gives.
        dtype: torch.uint8 for the pixels as they are, shape (N, height, width, channels), or a floating-point type for
            what `normalise` makes of them, shape (N, 3, height, width).
        mean: Per channel that the model wants, of values from 0 to 1.
        std: As `mean`, the standard deviation.
        augmentation: For training; None serves the images as they are.
        seed: Of augmentation and order.
        store: Whether to decode the images once, or each time; see `pixels`.
        label: The column of labels; None for images alone.

    Attributes:
        pixels: The images by row number.
        labels: int64 ids, shape (N,), or float32 0, 1 and NaN (unknown), shape (N, k); None without labels.
        subject_ids: Subject of each row, None where it is unknown.

    Raises:
        MedIMetaError: If the images cannot be served like this, or the labels are not what `load_task` gives.
    """

    def __init__(
        self,
        view: Dataset,
        *,
        dtype: torch.dtype = torch.float32,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        store: bool = True,
        label: str | None = "label",
    ) -> None:
        self.pixels = pixels(view, store=store)
        self.dtype, self.mean, self.std = dtype, tuple(mean), tuple(std)
        self.augmentation, self.seed = augmentation, seed
        if dtype != torch.uint8:
            check_form(dtype, self.mean, self.std, self.pixels.shape[-1])
        self.labels = None if label is None else _labels(view, label)
        has_subjects = "subject_id" in view.column_names
        self.subject_ids: list[str | None] = view["subject_id"][:] if has_subjects else [None] * len(view)
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # workers that stay see it change
        self._draws = (-1, torch.empty(0))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_draws": (-1, torch.empty(0))}

    @property
    def epoch(self) -> int:
        """The number of the epoch, 0 at first."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Change the augmentation; in workers too."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def __getitem__(self, row: int) -> Tensors:
        tensors: Tensors = self.__getitems__([row])[0]
        return tensors

    def __getitems__(self, rows: Sequence[int]) -> Batch:
        return Batch(self.batch(rows))

    def batch(self, rows: RowNumbers, device: torch.device | str | None = None) -> Tensors:
        """The batch of some rows.

        Args:
            rows: Row numbers; the same row may come several times.
            device: Where to augment and normalise, and where the result lies; pixels go there as uint8.

        Returns:
            `pixel_values` as `dtype` says, and `labels`.
        """
        rows = np.asarray(rows, np.int64)
        images = torch.from_numpy(self.pixels.take(rows))
        labels = None if self.labels is None else torch.from_numpy(self.labels[rows])
        if device is not None:
            images = _sent(images, device)
            labels = None if labels is None else labels.to(device, non_blocking=True)
        if self.augmentation is not None:
            images = self.augmentation(images, self._draws_of(rows))
        if self.dtype != torch.uint8:
            images = normalise(images, dtype=self.dtype, mean=self.mean, std=self.std)
        return {"pixel_values": images} if labels is None else {"pixel_values": images, "labels": labels}

    def _draws_of(self, rows: np.ndarray[Any, Any]) -> torch.Tensor:
        if self._draws[0] != self.epoch:
            self._draws = self.epoch, epoch_draws(len(self), seed=self.seed, epoch=self.epoch)
        return self._draws[1][torch.from_numpy(rows)]


class Batch(Sequence[Tensors]):
    """The rows of a batch, as views of it: what a `DataLoader` hands from dataset to collate function.

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
    """The collate function for a `PixelDataset`: takes the batch as it is, or puts single rows together."""
    tensors: Tensors = rows.tensors if isinstance(rows, Batch) else default_collate(list(rows))
    return tensors


def collate_images(
    rows: Sequence[dict[str, Any]],
    *,
    dtype: torch.dtype = torch.float32,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Tensors:
    """The collate function for rows that are streamed, whose images are decoded already.

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


def _sent(images: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    if torch.device(device).type == "cuda":
        images = images.pin_memory()  # only from there does the copy run beside other work
    return images.to(device, non_blocking=True)


def _labels(view: Dataset, column: str) -> np.ndarray[Any, Any]:
    if column not in view.column_names:
        raise unknown("column", column, view.column_names, hint="label=None serves images alone.")
    labels = np.asarray(view.select_columns([column]).with_format("numpy")[:][column])
    kind = labels.dtype.kind, labels.ndim
    if kind not in (("i", 1), ("f", 2)):
        raise MedIMetaError(
            f"Column {column!r} holds neither an id nor a vector of floats per row. medimeta.load_task makes such "
            "labels of any task."
        )
    return labels.astype(np.int64 if kind == ("i", 1) else np.float32)
