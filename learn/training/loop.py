"""What the training scripts in `examples/` share: data, batches, losses and metrics.

torch is imported here, so import this module only where you train.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from datasets import Dataset
from torch.nn import functional
from torch.utils.data import Sampler

from ...builders.dataset import load_dataset
from ...cards.facts import SPLITS, Task
from ...errors import MedIMetaError
from ..data.augment import Augmentation
from ..data.batches import serve
from ..data.pixel_dataset import PixelDataset
from ..data.statistics import class_weights, labels_of, positive_weights
from ..data.views import task_view
from ..encoders.models import Preprocessing
from ..evaluation.metrics import absent_labels, evaluate_scores
from ..evaluation.scores import probabilities
from .arguments import data_options


class OneClass(MedIMetaError):
    """The validation split cannot tell a better model from a worse one."""


def load_splits(
    args: argparse.Namespace, task: Task, splits: Sequence[str] = SPLITS
) -> tuple[dict[str, Dataset], dict[str, PixelDataset]]:
    """Splits of a task, with all columns and as uint8 pixels, training images with published augmentation.

    Args:
        args: Of `arguments.parser`, with those of `add_training`.
        task: The task.
        splits: The splits, with "validation".

    Raises:
        OneClass: If all validation images with known labels are of one class.
    """
    options = data_options(args, task.dataset)
    rows = {split: load_dataset(task.dataset, split=split, **options) for split in splits}
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


def targets(data: PixelDataset) -> np.ndarray:
    """The labels of data that have some."""
    if data.labels is None:
        raise MedIMetaError("These images have no labels. Make the PixelDataset with label='label'.")
    return data.labels


class EqualBatches(Sampler[list[int]]):
    """Every image once per epoch, in random batches of nearly equal size, and this process's share of each.

    The batches depend on nothing but seed and epoch: one process or several, in parts or at once, take the same
    optimiser steps. No image is repeated to fill a batch and none is dropped.

    Args:
        images: How many there are.
        batch_size: Images per optimiser step, at most.
        seed: Of the order.
        parts: Gradient accumulation: the parts of a batch come one after the other.
        processes: How many processes share each part.
        rank: Which of them this is.

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
        """Mean images per process and part; summed losses are divided by it, so that all images count alike."""
        return self.images / len(self) / self.processes

    def __len__(self) -> int:
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.images)
        for batch in np.array_split(order, self.steps):
            for part in np.array_split(batch, self.parts):
                yield np.array_split(part, self.processes)[self.rank].tolist()


def loss_weights(args: argparse.Namespace, data: PixelDataset, task: Task) -> torch.Tensor | None:
    """The weights that `--class-weights` asks for, from the training labels alone."""
    if not args.class_weights:
        return None
    return torch.from_numpy((positive_weights if task.kind == "multilabel" else class_weights)(targets(data), task))


def image_losses(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """The loss of each image: cross-entropy, or for multilabel the mean binary cross-entropy of its known labels.

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
    """The metrics of a split, from all its logits and labels.

    Args:
        task: The task.
        logits: Shape (N, k).
        labels: As for `image_losses`.

    Returns:
        What `evaluate_scores` gives and `cross_entropy`, the mean of `image_losses` without weights.

    Raises:
        MedIMetaError: If a logit is no finite number.
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
    preprocessing: Preprocessing,
    data: PixelDataset,
    *,
    batch_size: int = 64,
) -> torch.Tensor:
    """The logits of all images of a split, in its order and in every process; the processes share the work.

    Args:
        accelerator: Says which processes there are, and the precision.
        model: Prepared or not; left in evaluation mode.
        preprocessing: That of the model.
        data: Pixels as uint8.
        batch_size: Images at a time, in each process.

    Returns:
        float32, shape (N, k), on the CPU.
    """
    # The bare model: data-parallel wrappers wait in each pass for the others, who may have a batch less.
    model = accelerator.unwrap_model(model).eval()
    world = accelerator.num_processes
    if world > 1:  # statistics of batch normalisation differ between processes while they train; the first one's hold
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
    found = torch.cat(logits)
    padded = functional.pad(found, (0, 0, 0, longest - len(found)))
    everyone = accelerator.gather(padded).cpu().split(longest)
    return torch.cat([part[: len(share)] for part, share in zip(everyone, shares, strict=True)])
