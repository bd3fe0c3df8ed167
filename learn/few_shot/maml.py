"""Model-agnostic meta-learning: weights from which a few gradient steps solve a new task.

MAML: C. Finn, P. Abbeel, S. Levine, arXiv 1703.03400. Learned rates (Meta-SGD): Z. Li et al., arXiv 1707.09835.

An episode is solved from the shared weights w by a few steps of gradient descent on its support set,
w <- w - rate * gradient. The shared weights w are trained on the loss of the query set after these steps. The rate is
one fixed number, as published (the published code calls it MetaSGD, which is TorchOpt's name for a differentiable SGD),
or one learned number per weight. Second order differentiates through the steps and is exact. First order treats the
inner gradients as constants, which saves most of the memory and time: the gradient of the loss at the solution replaces
that at w.

Every episode has its own number of classes and gets a new head of zeros, which is not learned. Learned rates of the
head are shared by all classes: one per feature, and one for the biases.

Batch normalisation is transductive, as published: support and query set are each normalised by their own mean and
variance. A vision transformer has no such layers.
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
from ..encoders.network import Network, batch_norms
from ..training.launch import summed
from .problems import losses, outputs_of

Weights = dict[str, torch.Tensor]
Order = Literal[1, 2]
HEAD = ("head.weight", "head.bias")
RATES = "rates.safetensors"


@dataclass(frozen=True)
class Problem:
    """The tensors of an episode.

    Attributes:
        task: The task of the episode; see `recipe.task_of`.
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
    """The parameters of meta-learning: the weights of a backbone and, if `learned`, an inner rate for each of them.

    Args:
        network: The backbone; only the width of its head is used.
        rate: Inner learning rate of all weights.
        learned: Whether the rates are learned, starting from `rate` (Meta-SGD), or stay fixed (MAML).

    Attributes:
        network: The backbone.
        rates: By name of the weight. Learned: tensors of its shape, "head.weight" (1, features), "head.bias" (1,).
        state: Backbone and learned rates as a module, whose state is all that needs saving.
    """

    def __init__(self, network: Network, rate: float = 0.1, *, learned: bool = False) -> None:
        self.network, self.learned = network, learned
        shapes = self.weights | {HEAD[0]: network.head.weight[:1], HEAD[1]: network.head.bias[:1]}
        rates = nn.ParameterList([torch.full_like(like, rate) for like in shapes.values()] if learned else [])
        self.rates: dict[str, Any] = dict(zip(shapes, rates, strict=True)) if learned else dict.fromkeys(shapes, rate)
        self.state = nn.ModuleDict({"network": network, "rates": rates})

    @property
    def weights(self) -> Weights:
        """The trained weights of the backbone, by name."""
        return {n: w for n, w in self.network.named_parameters() if n not in HEAD and w.requires_grad}

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Everything that is learned, in a fixed order."""
        return [*self.weights.values(), *(self.rates.values() if self.learned else ())]

    def save_pretrained(self, folder: Path) -> None:
        """Write a plain backbone, which `AutoModel.from_pretrained` opens, and learned rates in rates.safetensors.

        The rates are named after the weights in `AutoModelForImageClassification`, and those of a head.
        """
        self.network.model.save_pretrained(folder)
        if not self.learned:
            return
        rates = {name.removeprefix("model."): rate.detach().cpu().contiguous() for name, rate in self.rates.items()}
        save_file(rates, folder / RATES)

    def solve(
        self, problem: Problem, *, steps: int, order: Order = 1, rates: Mapping[str, Any] | None = None
    ) -> Weights:
        """Return the weights that solve an episode, learned from its support set.

        Args:
            problem: The episode.
            steps: Number of gradient steps, 0 or more.
            order: 2 keeps the graph, so that the steps can be differentiated.
            rates: Rates to use instead of `self.rates`.
        """
        head = self.network.head.weight
        outputs = outputs_of(problem.task)
        start = {**self.weights, HEAD[0]: head.new_zeros(outputs, head.shape[1]), HEAD[1]: head.new_zeros(outputs)}

        def loss(weights: Weights) -> torch.Tensor:
            logits = functional_call(self.network, weights, (problem.support,))
            return losses(problem.task, logits, problem.support_labels).mean()

        return adapt(loss, start, self.rates if rates is None else rates, steps, order=order)

    def logits(self, problem: Problem, weights: Weights) -> torch.Tensor:
        """Return the logits of the query set, given the weights that solve the episode."""
        logits: torch.Tensor = functional_call(self.network, weights, (problem.query,))
        return logits

    @torch.no_grad()
    def answer(self, problem: Problem, *, steps: int, rate: float) -> tuple[float, torch.Tensor]:
        """Solve an episode with one rate for all weights, and return its query loss and logits."""
        weights = self.solve(problem, steps=steps, rates=dict.fromkeys(self.rates, rate))
        logits = self.logits(problem, weights)
        return losses(problem.task, logits, problem.query_labels).mean().item(), logits

    def gradients(self, problem: Problem, *, steps: int, order: Order) -> tuple[float, list[torch.Tensor]]:
        """Return the query loss of an episode and its gradients.

        Args:
            problem: The episode.
            steps: Number of inner steps.
            order: 2 is exact; 1 treats the inner gradients as constants.

        Returns:
            The loss, and a tensor for each of `parameters`.
        """
        # The fused kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH) if order == 2 else nullcontext():
            weights = self.solve(problem, steps=steps, order=order)
            loss = losses(problem.task, self.logits(problem, weights), problem.query_labels).mean()
            gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        return loss.item(), list(gradients)


def adapt(
    loss: Callable[[Weights], torch.Tensor], weights: Weights, rates: Mapping[str, Any], steps: int, *, order: Order
) -> Weights:
    """Return the weights after some steps of gradient descent, `w - rate * gradient`.

    Args:
        loss: Function from weights to a number.
        weights: The weights to start from.
        rates: By name, a number or a tensor that broadcasts to the weight.
        steps: Number of steps.
        order: 2: the result can be differentiated with respect to weights and rates. 1: the same, with the gradients
            of the steps as constants.
    """
    slope = grad(loss)
    for _ in range(steps):
        # In first order no graph of the gradient is kept.
        slopes = slope(weights if order == 2 else {name: weight.detach() for name, weight in weights.items()})
        weights = {name: weight - rates[name] * slopes[name] for name, weight in weights.items()}
    return weights


def sum_over_processes(
    accelerator: Accelerator, loss: float, gradients: list[torch.Tensor]
) -> tuple[float, list[torch.Tensor]]:
    """Return loss and gradients, summed over processes in one message."""
    shapes = [gradient.shape for gradient in gradients]
    message = torch.cat([gradient.flatten() for gradient in gradients] + [gradients[0].new_tensor([loss])])
    message = summed(accelerator, message)
    parts = torch.split(message[:-1], [shape.numel() for shape in shapes])
    return message[-1].item(), [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


@torch.no_grad()
def refresh_batch_norms(network: Network, batches: Iterable[torch.Tensor]) -> None:
    """Estimate the statistics of batch normalisation, which was transductive in training, from some images.

    The backbone can then be used in evaluation mode, e.g. by a probe. A network without such layers is not changed.
    """
    update_bn(batches, network)
    network.eval()


@contextmanager
def transductive(model: nn.Module) -> Iterator[None]:
    """Make batch normalisation use the statistics of the current batch without recording them."""
    layers = batch_norms(model)
    before = [(layer.training, layer.track_running_stats) for layer in layers]
    for layer in layers:
        layer.training, layer.track_running_stats = True, False  # type: ignore[assignment]
    try:
        yield
    finally:
        for layer, (training, tracking) in zip(layers, before, strict=True):
            layer.training, layer.track_running_stats = training, tracking
