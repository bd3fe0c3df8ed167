"""What the training scripts in `examples/` share: arguments, data, batches, losses and the choice of a model.

torch and transformers are imported here, so import this module only where you train.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from torch.nn import functional
from torch.utils.data import Sampler

from ..cards.catalogue import DATASETS, SPLITS, Task
from ..cards.errors import MedIMetaError
from .metrics import evaluate_scores
from .views import class_weights, labels_of, load_task, positive_weights

VIT = "google/vit-base-patch16-224-in21k"


def parser(description: str | None) -> argparse.ArgumentParser:
    """The command line of a training script; the defaults are the published protocol where it names them."""
    wanted = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    add = wanted.add_argument
    add("--dataset", required=True, help="id of the dataset, e.g. bus")
    add("--task", help="name of the task; the main task if not given")
    add("--data-dir", help="raw source, release or Hub folder; without it MEDIMETA_DATA or a download")
    add("--partial", action="store_true", help="accept a raw source with fewer images than published")
    add("--cache-dir", help="cache of the prepared dataset; that of `datasets` if not given")
    model = wanted.add_mutually_exclusive_group()
    model.add_argument(
        "--model", default=VIT, help="checkpoint for image classification, Hub name or folder (%(default)s)"
    )
    model.add_argument("--tiny", action="store_true", help="instead, a small ViT with random weights; needs no Hub")
    add("--epochs", type=int, default=100, help="at most (%(default)s)")
    add("--patience", type=int, default=10, help="stop after this many epochs without a better one (%(default)s)")
    add("--batch-size", type=int, default=64, help="images per optimiser step, over all processes (%(default)s)")
    add("--gradient-accumulation", type=int, default=1, help="parts to compute a batch in (%(default)s)")
    add("--lr", type=float, default=1e-4, help="learning rate of AdamW (%(default)s)")
    add("--weight-decay", type=float, default=0.0, help="weight decay of AdamW (%(default)s)")
    add("--class-weights", action="store_true", help="weigh classes (multilabel: positives) by their rarity in train")
    add("--mixed-precision", choices=("no", "fp16", "bf16"), default="no", help="fp16 needs a GPU (%(default)s)")
    add("--seed", type=int, default=0, help="of the new weights and the order of images (%(default)s)")
    add("--num-workers", type=int, default=0, help="processes that decode images (%(default)s)")
    add("--output-dir", type=Path, required=True, help="for model/, result.json and curve.png")
    return wanted


def load_views(args: argparse.Namespace) -> tuple[Task, dict[str, Dataset]]:
    """The task and its three splits, with the columns `image` and `label`.

    Raises:
        MedIMetaError: If the validation split cannot tell a better model from a worse one.
    """
    card = DATASETS[args.dataset]
    task = card.tasks[0] if args.task is None else card.task(args.task)
    options = {"data_dir": args.data_dir, "partial": args.partial, "cache_dir": args.cache_dir}
    views = {s: load_task(card.id, task.name, split=s, **options).select_columns(["image", "label"]) for s in SPLITS}
    labels = labels_of(views["validation"], task)
    if math.isnan(evaluate_scores(task, np.full((len(labels), len(task.labels)), 0.5), labels)["auroc"]):
        raise MedIMetaError(
            f"The {len(labels)} validation image(s) of {task.name!r} ({card.id}) are all of one class, so that "
            "validation AUROC cannot choose a model. Use a fuller source, or another task."
        )
    return task, views


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


def loss_weights(args: argparse.Namespace, view: Dataset, task: Task) -> torch.Tensor | None:
    """The weights that `--class-weights` asks for, from the training labels alone."""
    if not args.class_weights:
        return None
    return torch.from_numpy((positive_weights if task.target == "multilabel" else class_weights)(view, task))


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
    scores = logits.double().sigmoid() if task.target == "multilabel" else logits.double().softmax(dim=1)
    loss = image_losses(logits, labels).mean().item()
    return evaluate_scores(task, scores.numpy(), labels.numpy()) | {"cross_entropy": loss}


def merit(metrics: Mapping[str, float]) -> float:
    """What the best epoch is chosen by: AUROC and, where it is equal (as often on small splits), the lower loss."""
    loss = metrics["cross_entropy"]
    return metrics["auroc"] - 1e-9 * loss / (1 + loss)
