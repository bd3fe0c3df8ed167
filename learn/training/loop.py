"""The parts of a training loop: data, batches, losses, metrics and predictions."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset
from torch.nn import functional
from torch.utils.data import Sampler

from ...cards.facts import SPLITS, Task
from ...errors import MedIMetaError
from ..data.augmentation.augment import Augmentation
from ..data.batches import serve
from ..data.pixel_dataset import PixelDataset
from ..data.statistics import class_weights, labels_of, positive_weights
from ..data.views import task_view
from ..encoders.transform import ImageTransform
from ..evaluation.measures.metrics import absent_labels, evaluate_scores
from ..evaluation.measures.scores import probabilities
from .arguments import load_rows


class OneClass(MedIMetaError):
    """A validation split with labels of one class, which cannot choose a model."""

    code = "one-class"


def load_splits(
    args: argparse.Namespace, task: Task, splits: Sequence[str] = SPLITS
) -> tuple[dict[str, Dataset], dict[str, PixelDataset]]:
    """Return splits of a task, with all columns and as uint8 pixels; training images get the published augmentation.

    Args:
        args: Arguments of the run.
        task: The task.
        splits: The splits to load; must include "validation".

    Raises:
        OneClass: If all validation images with known labels are of one class.
    """
    rows = {split: load_rows(args, task.dataset, split) for split in splits}
    labels = labels_of(task_view(rows["validation"], task), task)
    if len(absent_labels(task, labels)) == len(task.labels) - (task.kind == "binary"):  # no label can be ranked
        raise OneClass(
            f"The {len(labels)} validation image(s) of {task.name!r} ({task.dataset}) are all of one class, so that "
            "validation AUROC cannot choose a model. Use a fuller source, or another task."
        )
    augmentation = None if args.no_augmentation else Augmentation()
    return rows, {
        split: PixelDataset(
            task_view(view, task),
            dtype=torch.uint8,
            augmentation=augmentation if split == "train" else None,
            seed=args.seed,
            store=not args.no_store,
        )
        for split, view in rows.items()
    }


def known_labels(data: PixelDataset) -> np.ndarray:
    """Return the labels of a dataset.

    Raises:
        MedIMetaError: If it was created without labels.
    """
    if data.labels is None:
        raise MedIMetaError("These images have no labels. Create the PixelDataset with label='label'.")
    return data.labels


class EqualBatches(Sampler[list[int]]):
    """Batches of nearly equal size with every image once per epoch in random order, and one process's share of each.

    The batches depend only on seed and epoch: one process or several, in parts or at once, take the same optimiser
    steps. No image is repeated to fill a batch, and none is dropped.

    Args:
        images: Number of images.
        batch_size: Images per optimiser step, at most.
        seed: Seed of the order.
        parts: Gradient accumulation: parts of a batch that follow each other.
        processes: Number of processes that share each part.
        rank: Rank of this process.

    Raises:
        MedIMetaError: If there are too few images for every process to have one in every part.
    """

    def __init__(
        self, images: int, batch_size: int, *, seed: int, parts: int = 1, processes: int = 1, rank: int = 0
    ) -> None:
        self.epoch = 0  # set it before each epoch: it changes the order
        self.images, self.seed, self.parts, self.processes, self.rank = images, seed, parts, processes, rank
        self.steps = math.ceil(images / batch_size)
        if images // max(self.steps, 1) < parts * processes:
            raise MedIMetaError(
                f"{images} training image(s) in batches of {batch_size} are too few for {processes} process(es) x "
                f"{parts} gradient accumulation part(s). Use a larger --batch-size, or fewer of those."
            )

    @property
    def share(self) -> float:
        """Mean number of images per process and part, which summed losses are divided by: all images count alike."""
        return self.images / len(self) / self.processes

    def __len__(self) -> int:
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.images)
        for batch in np.array_split(order, self.steps):
            for part in np.array_split(batch, self.parts):
                yield np.array_split(part, self.processes)[self.rank].tolist()


def loss_weights(args: argparse.Namespace, data: PixelDataset, task: Task) -> torch.Tensor | None:
    """Return the weights for `--class-weights`, from the training labels alone; None without this option."""
    if not args.class_weights:
        return None
    return torch.from_numpy(
        (positive_weights if task.kind == "multilabel" else class_weights)(known_labels(data), task)
    )


def image_losses(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Return the loss of each image: cross-entropy; for multilabel the mean binary cross-entropy of its known labels.

    Args:
        logits: Shape (N, k).
        labels: Ids, shape (N,), or for multilabel 0, 1 or NaN (unknown: no loss), shape (N, k).
        weights: Per class, or for multilabel per positive label, shape (k,).

    Returns:
        float32, shape (N,), not averaged over images.
    """
    logits = logits.float()  # half precision is too coarse for a sum of exponentials
    weights = None if weights is None else weights.to(logits.device)
    if labels.ndim == 1:
        return functional.cross_entropy(logits, labels, weight=weights, reduction="none")
    known = ~labels.isnan()
    losses = functional.binary_cross_entropy_with_logits(
        logits, labels.nan_to_num(), pos_weight=weights, reduction="none"
    )
    return (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)


def measure(task: Task, logits: torch.Tensor | np.ndarray, labels: torch.Tensor | np.ndarray) -> dict[str, float]:
    """Return the metrics of a split, from all its logits and labels.

    Args:
        task: The task.
        logits: Shape (N, k).
        labels: As for `image_losses`.

    Returns:
        The metrics of `evaluate_scores`, and `cross_entropy`, the mean of `image_losses` without weights.

    Raises:
        MedIMetaError: If a logit is not finite.
    """
    logits, labels = torch.as_tensor(logits).cpu(), torch.as_tensor(labels).cpu()
    if not logits.isfinite().all():
        raise MedIMetaError("The model gives NaN or infinity: training diverged. Use a lower --lr, or full precision.")
    loss = image_losses(logits, labels).mean().item()
    return evaluate_scores(task, probabilities(task, logits.numpy()), labels.numpy()) | {"cross_entropy": loss}


@torch.no_grad()
def predict(
    accelerator: Accelerator,
    model: torch.nn.Module,
    preprocessing: ImageTransform,
    data: PixelDataset,
    *,
    batch_size: int = 64,
) -> torch.Tensor:
    """Return the logits of all images of a split, in its order and in every process; the processes share the work.

    Args:
        accelerator: The accelerator, which determines processes and precision.
        model: The model, prepared or not; left in evaluation mode.
        preprocessing: Preprocessing of the model.
        data: Pixels as uint8.
        batch_size: Images per pass in each process.

    Returns:
        float32, shape (N, k), on the CPU.
    """
    # The bare model: in each pass a data-parallel wrapper waits for other processes, which may have a batch less.
    model = accelerator.unwrap_model(model).eval()
    world = accelerator.num_processes
    if world > 1:  # batch statistics differ between processes during training; those of the first are used
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)
    shares = np.array_split(np.arange(len(data)), world)
    mine = shares[accelerator.process_index]
    parts = [mine[start : start + batch_size] for start in range(0, max(1, len(mine)), batch_size)]
    logits = []
    for batch in serve(data, parts, device=accelerator.device):
        with accelerator.autocast():
            logits.append(model(pixel_values=preprocessing(batch["pixel_values"])).logits.float())
    if world == 1:
        return torch.cat(logits).cpu()
    longest = len(shares[0])
    own = torch.cat(logits)
    padded = functional.pad(own, (0, 0, 0, longest - len(own)))
    everyone = torch.split(cast(torch.Tensor, accelerator.gather(padded)).cpu(), longest)
    return torch.cat([part[: len(share)] for part, share in zip(everyone, shares, strict=True)])
