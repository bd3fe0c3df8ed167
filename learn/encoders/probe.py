"""The linear probe: L2-regularised logistic regression on fixed features, by L-BFGS.

The objective is that of scikit-learn's `LogisticRegression`: C times the summed loss plus half the squared weights,
with an intercept that is not regularised. Multiclass and ordinal tasks have one multinomial model, binary tasks and
each label of a multilabel task a binary one; rows whose label is unknown are left out for that label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ...cards.facts import Task

STRENGTHS = tuple(np.logspace(-6, 5, 45).tolist())  # C, as in DINOv2's evaluation (Oquab et al., 2023)
TOLERANCE = 1e-6  # largest absolute entry of the gradient of the objective, divided by C times the number of rows
STEPS = 500
HISTORY = 10


@dataclass(frozen=True)
class Probe:
    """A logistic regression.

    Attributes:
        strength: C, the inverse strength of the regularisation.
        weight: Shape (width, outputs), float64.
        bias: Shape (outputs,), float64; minus infinity for a class that no training row has.
        converged: Whether the gradient reached `TOLERANCE`.
    """

    strength: float
    weight: torch.Tensor
    bias: torch.Tensor
    converged: bool

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (N, outputs), of features, shape (N, width)."""
        return features.to(self.weight) @ self.weight + self.bias


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation of each feature of the training rows; constant features stay 0.

    Attributes:
        mean: Shape (width,), float64.
        std: Shape (width,), float64.
    """

    mean: torch.Tensor
    std: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor) -> Standardisation:
        """Return that of features, shape (N, width)."""
        features = features.double()
        mean, std = features.mean(dim=0), features.std(dim=0, correction=0)
        constant = std <= 1e-7 * mean.abs().clamp_min(1e-30)
        return cls(mean, torch.where(constant, torch.ones_like(std), std))

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Return standardised features, float64."""
        return (features.double() - self.mean) / self.std


def fit_path(
    task: Task, features: torch.Tensor, labels: np.ndarray, strengths: Sequence[float] = STRENGTHS
) -> Iterator[Probe]:
    """Fit a probe for each strength, from the strongest regularisation on, each from the one before.

    Args:
        task: The task.
        features: Features, shape (N, width); standardise them first.
        labels: Ids, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape (N, k).
        strengths: Values of C; they are fitted in ascending order.

    Yields:
        A probe per strength, with one output for a binary task and one per label otherwise.
    """
    labels = np.asarray(labels)
    if task.kind != "multilabel":
        known = labels >= 0
        features, labels = features[torch.from_numpy(known)], labels[known]
    objective = _Objective(task, features.double(), labels)
    start = torch.zeros(objective.features.shape[1] + 1, objective.outputs, dtype=torch.float64, device=features.device)
    for strength in sorted(strengths):
        start, converged = _minimum(objective, start, strength)
        yield objective.probe(start, strength, converged)


class _Objective:
    """The mean loss, its gradient, and how its parameters become a probe of all labels.

    Parameters are the weights with the bias as the last row, of the labels that training rows have.
    """

    def __init__(self, task: Task, features: torch.Tensor, labels: np.ndarray) -> None:
        self.task, self.labels = task, len(task.labels)
        device = features.device
        self.features, self.basis = _reduced(features)
        self.rows = len(features)
        if task.kind == "multilabel":
            truth = torch.from_numpy(labels).to(device, torch.float64)
            self.known = ~truth.isnan()
            self.truth = truth.nan_to_num()
            self.present = torch.arange(self.labels, device=device)
        else:
            ids = torch.from_numpy(labels).to(device)
            if task.kind == "binary":
                self.truth, self.present = ids[:, None].double(), torch.zeros(1, dtype=torch.int64, device=device)
                self.known = torch.ones_like(self.truth, dtype=torch.bool)
            else:
                self.present, self.truth = torch.unique(ids, return_inverse=True)
        self.outputs = len(self.present)

    def __call__(self, parameters: torch.Tensor, strength: float) -> tuple[float, torch.Tensor]:
        """Return the objective, divided by C times the number of rows, and its gradient."""
        weight, bias = parameters[:-1], parameters[-1]
        logits = self.features @ weight + bias
        if self.task.kind in ("binary", "multilabel"):
            loss = functional.binary_cross_entropy_with_logits(logits, self.truth, reduction="none")[self.known].sum()
            error = (logits.sigmoid() - self.truth) * self.known
        else:
            loss = functional.cross_entropy(logits, self.truth, reduction="sum")
            error = logits.softmax(dim=1) - functional.one_hot(self.truth, self.outputs)
        scale = 1 / (strength * self.rows)
        gradient = torch.cat([self.features.T @ error / self.rows + scale * weight, error.sum(0)[None] / self.rows])
        return float(loss / self.rows + 0.5 * scale * weight.square().sum()), gradient

    def probe(self, parameters: torch.Tensor, strength: float, converged: bool) -> Probe:
        """Return parameters as a probe: of all features and all labels."""
        weight, bias = self.basis @ parameters[:-1], parameters[-1]
        if self.task.kind != "binary" and self.outputs < self.labels:
            whole = torch.zeros(len(weight), self.labels, dtype=weight.dtype, device=weight.device)
            rest = torch.full((self.labels,), -torch.inf, dtype=weight.dtype, device=weight.device)
            whole[:, self.present], rest[self.present] = weight, bias
            weight, bias = whole, rest
        return Probe(strength, weight.contiguous(), bias, converged)


def _reduced(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotate features onto the space of the rows, where the solution is; the regularisation does not notice.

    Returns:
        Features, shape (N, m) with m = min(N, width), and the basis, shape (width, m).
    """
    rows, width = features.shape
    if rows >= width:
        return features, torch.eye(width, dtype=features.dtype, device=features.device)
    basis, triangle = torch.linalg.qr(features.T)
    return triangle.T.contiguous(), basis


def _minimum(objective: _Objective, start: torch.Tensor, strength: float) -> tuple[torch.Tensor, bool]:
    """Minimise by L-BFGS with a line search that satisfies the strong Wolfe conditions."""
    parameters = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [parameters],
        max_iter=STEPS,
        max_eval=2 * STEPS,
        history_size=HISTORY,
        tolerance_grad=TOLERANCE,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        with torch.no_grad():
            value, parameters.grad = objective(parameters, strength)
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    result = parameters.detach()
    return result, bool(objective(result, strength)[1].abs().max() <= TOLERANCE)
