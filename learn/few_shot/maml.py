"""Model-agnostic meta-learning: weights, and rates to learn with, from which a few steps solve a new task.

MAML: C. Finn, P. Abbeel, S. Levine, arXiv 1703.03400; learned rates (Meta-SGD): Z. Li et al., arXiv 1707.09835.

An episode is solved from the shared weights w by a few steps of gradient descent on its support set, with a rate per
weight: w <- w - rate * gradient. What is learned are w and the rates; their loss is that of the solved episode's query
set. To differentiate it through the steps (second order) is exact. First order takes the gradients inside for
constants, which saves most of the memory and time: the loss's slope at the solution stands for that at w.

The head is new in every episode, since every episode has its own number of classes: it starts at zero and is not
learned, but its rates are, one per feature and one for the biases, the same for all classes.

Batch normalisation is transductive, as published: support and query set are each normalised by their own mean and
variance. A vision transformer has none, and nothing to be transductive about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import nn
from torch.func import functional_call, grad
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim.swa_utils import update_bn

from ...cards.facts import Task
from ..encoders.backbones import Network, batch_norms
from .problems import losses, outputs_of

Weights = dict[str, torch.Tensor]
Order = Literal[1, 2]
HEAD = ("head.weight", "head.bias")
RATES = "rates.safetensors"


@dataclass(frozen=True)
class Problem:
    """The tensors of an episode.

    Attributes:
        task: The episode's own, see `problems.task_of`.
        support: Pixels, shape (s, 3, size, size).
        support_labels: As in `Episode`.
        query: Pixels, shape (q, 3, size, size).
        query_labels: As in `Episode`.
    """

    task: Task
    support: torch.Tensor
    support_labels: torch.Tensor
    query: torch.Tensor
    query_labels: torch.Tensor


class MetaLearner:
    """What MAML learns: the weights of a backbone and a rate for each of them.

    Args:
        network: The backbone; its head's weights are not used, only its width.
        rate: Of all rates, at first.

    Attributes:
        network: The same.
        rates: By name of the weight, of its shape; "head.weight" (1, features), "head.bias" (1,).
        state: Backbone and rates as a module, whose state is all that there is to save and to go on from.
    """

    def __init__(self, network: Network, rate: float = 0.1) -> None:
        self.network = network
        shapes = self.weights | {"head.weight": network.head.weight[:1], "head.bias": network.head.bias[:1]}
        rates = nn.ParameterList([torch.full_like(like, rate) for like in shapes.values()])
        self.rates: Weights = dict(zip(shapes, rates, strict=True))
        self.state = nn.ModuleDict({"network": network, "rates": rates})

    @property
    def weights(self) -> Weights:
        """The backbone's weights that are trained."""
        return {n: w for n, w in self.network.named_parameters() if n not in HEAD and w.requires_grad}

    @property
    def parameters(self) -> list[torch.Tensor]:
        """All that is learned, in a fixed order."""
        return [*self.weights.values(), *self.rates.values()]

    def save_pretrained(self, folder: Path) -> None:
        """Write a plain backbone, which `AutoModel.from_pretrained` opens, and rates.safetensors beside it.

        The rates have the names of the weights in `AutoModelForImageClassification`, and those of a head.
        """
        self.network.model.base_model.save_pretrained(folder)
        rates = {name.removeprefix("model."): rate.detach().cpu().contiguous() for name, rate in self.rates.items()}
        save_file(rates, folder / RATES)

    def solve(
        self, problem: Problem, *, steps: int, order: Order = 1, rates: Mapping[str, Any] | None = None
    ) -> Weights:
        """The weights that solve an episode, by its support set.

        Args:
            problem: The episode.
            steps: How many, 0 or more.
            order: 2 keeps what is needed to differentiate through the steps.
            rates: Others than the learned ones.
        """
        head = self.network.head.weight
        outputs = outputs_of(problem.task)
        start = {**self.weights, HEAD[0]: head.new_zeros(outputs, head.shape[1]), HEAD[1]: head.new_zeros(outputs)}

        def loss(weights: Weights) -> torch.Tensor:
            logits = functional_call(self.network, weights, (problem.support,))
            return losses(problem.task, logits, problem.support_labels).mean()

        return adapt(loss, start, self.rates if rates is None else rates, steps, order=order)

    def logits(self, problem: Problem, weights: Weights) -> torch.Tensor:
        """The solved episode's answers for its query set."""
        logits: torch.Tensor = functional_call(self.network, weights, (problem.query,))
        return logits

    @torch.no_grad()
    def answer(self, problem: Problem, *, steps: int, rate: float) -> tuple[float, torch.Tensor]:
        """Solve an episode by plain gradient descent with one rate for all weights; query loss and logits."""
        weights = self.solve(problem, steps=steps, rates=dict.fromkeys(self.rates, rate))
        logits = self.logits(problem, weights)
        return losses(problem.task, logits, problem.query_labels).mean().item(), logits

    def gradients(self, problem: Problem, *, steps: int, order: Order) -> tuple[float, list[torch.Tensor]]:
        """Query loss of an episode and its gradients.

        Args:
            problem: The episode.
            steps: Of the inner loop.
            order: 2 is exact; 1 takes the gradients of the inner loop for constants.

        Returns:
            The loss, and a tensor for each of `parameters`.
        """
        # The fused kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH) if order == 2 else nullcontext():
            weights = self.solve(problem, steps=steps, order=order)
            loss = losses(problem.task, self.logits(problem, weights), problem.query_labels).mean()
            found = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        return loss.item(), list(found)


def adapt(
    loss: Callable[[Weights], torch.Tensor], weights: Weights, rates: Mapping[str, Any], steps: int, *, order: Order
) -> Weights:
    """Gradient descent as a function: the weights after some steps of `w - rate * gradient`.

    Args:
        loss: From weights to a number.
        weights: To start from.
        rates: By name, a number or a tensor that broadcasts to the weight.
        steps: How many.
        order: 2: the result can be differentiated with respect to weights and rates. 1: as if the gradients on the way
            were constants.
    """
    slope = grad(loss)
    for _ in range(steps):
        # Where nothing asks for the derivative of a gradient, no graph of it is kept.
        slopes = slope(weights if order == 2 else {name: weight.detach() for name, weight in weights.items()})
        weights = {name: weight - rates[name] * slopes[name] for name, weight in weights.items()}
    return weights


def sum_over_processes(
    accelerator: Accelerator, loss: float, gradients: list[torch.Tensor]
) -> tuple[float, list[torch.Tensor]]:
    """Add up, in one message, what the processes found for their shares of an outer batch."""
    shapes = [gradient.shape for gradient in gradients]
    message = torch.cat([gradient.flatten() for gradient in gradients] + [gradients[0].new_tensor([loss])])
    message = accelerator.reduce(message, "sum")
    parts = torch.split(message[:-1], [shape.numel() for shape in shapes])
    return message[-1].item(), [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


@torch.no_grad()
def refresh_batch_norms(network: Network, batches: Iterable[torch.Tensor]) -> None:
    """Let batch normalisation, which was transductive in training, remember the statistics of some images.

    So that the backbone can be used in evaluation mode, as a probe does. Without such layers nothing happens.
    """
    update_bn(batches, network)
    network.eval()


@contextmanager
def transductive(model: nn.Module) -> Iterator[None]:
    """Let batch normalisation use the statistics of the batch at hand, and remember none of them."""
    layers = batch_norms(model)
    before = [(layer.training, layer.track_running_stats) for layer in layers]
    for layer in layers:
        layer.training, layer.track_running_stats = True, False  # type: ignore[assignment]
    try:
        yield
    finally:
        for layer, (training, tracking) in zip(layers, before, strict=True):
            layer.training, layer.track_running_stats = training, tracking
