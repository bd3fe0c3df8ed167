"""Multi-task training: one backbone with a head per task, and batches that each hold rows of one task.

    model = MultiTask(backbone, tasks, size=224)
    for task, images, parts in served(MixedBatches(sizes), data):
        ...

Every batch is divided among the processes, so that their number does not change the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from ...cards.facts import Task
from ...files.parallel import ordered_map
from ..data.mixing import MixedBatches
from ..data.pixel_dataset import PixelDataset, Tensors
from ..encoders.backbone import Backbone, width_of
from .launch import summed

HEADS = "heads.safetensors"


class MultiTask(nn.Module):
    """A backbone with a linear head per task.

    Seed the generators first: the weights of the heads are drawn here.

    Args:
        backbone: The backbone.
        tasks: The tasks.
    """

    def __init__(self, backbone: Backbone, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.backbone, self.tasks = backbone.eval(), list(tasks)
        width = width_of(backbone)
        self.heads = nn.ModuleList(nn.Linear(width, len(task.labels)) for task in self.tasks)

    def forward(self, pixel_values: torch.Tensor, task: Task) -> torch.Tensor:
        """Return the logits of a task, (N, k), for images of shape (N, 3, size, size)."""
        logits: torch.Tensor = self.heads[self.tasks.index(task)](self.backbone(pixel_values))
        return logits

    def classifier(self, task: Task) -> Classifier:
        """Return the image classifier of a task; it shares its weights with this model."""
        return Classifier(self.backbone, self.heads[self.tasks.index(task)])

    def save_pretrained(self, folder: Path) -> None:
        """Write the backbone in the format of its library, and the heads next to it."""
        self.backbone.save_pretrained(folder)
        heads = {
            f"{task.dataset}.{task.column}.{name}": weights.detach().cpu().contiguous()
            for task, head in zip(self.tasks, self.heads, strict=True)
            for name, weights in head.named_parameters()
        }
        save_file(heads, folder / HEADS)

    def restore(self, folder: Path) -> None:
        """Load the weights that `save_pretrained` wrote."""
        self.backbone.restore(folder)
        saved = load_file(folder / HEADS)
        for task, head in zip(self.tasks, self.heads, strict=True):
            start = f"{task.dataset}.{task.column}."
            head.load_state_dict({name.removeprefix(start): w for name, w in saved.items() if name.startswith(start)})


class Classifier(nn.Module):
    """Backbone and head, with the call and the output of a transformers model."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
        """Return `logits`, (N, k), for images of shape (N, 3, size, size)."""
        return SimpleNamespace(logits=self.head(self.backbone(pixel_values)))


def served(
    batches: MixedBatches,
    data: Mapping[Task, PixelDataset],
    *,
    parts: int = 1,
    processes: int = 1,
    rank: int = 0,
    device: torch.device | str | None = None,
) -> Iterator[tuple[Task, int, list[Tensors]]]:
    """Yield one epoch of mixed-task batches, or one process's share of them; a thread prepares the next one.

    Args:
        batches: The rows of each batch, of all processes.
        data: The images of each task.
        parts: Gradient accumulation: number of parts of a batch.
        processes: Number of processes that share each part.
        rank: This process.
        device: As for `PixelDataset.batch`.

    Yields:
        The task, the number of images in the batch of all processes, and this process's parts of it. A small batch may
        have fewer parts, or none for this process.
    """

    def fetch(number: int) -> tuple[Task, int, list[Tensors]]:
        task, rows = batches[number]
        mine = [np.array_split(part, processes)[rank] for part in np.array_split(rows, parts)]
        return task, len(rows), [data[task].batch(share, device) for share in mine if len(share)]

    for images in data.values():
        images.set_epoch(batches.epoch)
    with ThreadPoolExecutor(1) as executor:
        yield from ordered_map(fetch, range(len(batches)), executor, 2)


@torch.no_grad()
def sum_gradients(accelerator: Accelerator, model: nn.Module) -> None:
    """Sum gradients over processes, in one message, for a batch of one task of which each process has a share.

    This replaces data-parallel wrappers, which expect a gradient for every weight, and so for every head, in every
    step. Weights that no process used keep no gradient, so that the optimizer does not change them.
    """
    if accelerator.num_processes == 1:
        return
    parameters = list(model.parameters())
    used = torch.tensor([parameter.grad is not None for parameter in parameters], device=accelerator.device)
    used = summed(accelerator, used.float()) > 0
    trained = [parameter for parameter, here in zip(parameters, used.tolist(), strict=True) if here]
    # A process that had no image of a small batch has no gradients.
    mine = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    message = summed(accelerator, torch.cat([gradient.flatten() for gradient in mine]))
    for parameter, part in zip(trained, torch.split(message, [p.numel() for p in trained]), strict=True):
        parameter.grad = part.view_as(parameter)
