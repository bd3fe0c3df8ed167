"""The linear probe: L2-regularised logistic regression on fixed features.

The objective is that of scikit-learn's `LogisticRegression`: C times the summed loss plus half the squared weights,
with an intercept that is not regularised. Multiclass and ordinal tasks have one multinomial model, binary tasks and
each label of a multilabel task a binary one; rows whose label is unknown are left out for that label.

Features are rotated onto their principal axes once. There the Hessian is nearly diagonal, so that a diagonal
preconditioner makes L-BFGS converge in few steps, and each strength starts from the solution of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ...cards.facts import Task
from .minimise import minimise

STRENGTHS = tuple(np.logspace(-6, 5, 45).tolist())  # C, as in DINOv2's evaluation (Oquab et al., 2023)
TOLERANCE = 1e-6  # Euclidean norm of the gradient of the objective, divided by C times the number of rows
STEPS = 500
DOUBLE = 1 << 24  # numbers in a matrix of features; larger ones are multiplied in float32, and summed in float64
BLOCK = 4096  # rows that are multiplied at once


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
        """Return the standardisation of features, shape (N, width)."""
        features = features.double()
        mean, std = features.mean(dim=0), features.std(dim=0, correction=0)
        constant = std <= 1e-7 * mean.abs().clamp_min(1e-30)
        return cls(mean, torch.where(constant, torch.ones_like(std), std))

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Return standardised features, float64."""
        return (features.double() - self.mean) / self.std


def fit_path(
    task: Task,
    features: torch.Tensor,
    labels: np.ndarray,
    strengths: Sequence[float] = STRENGTHS,
    *,
    rotate: bool = True,
) -> Iterator[Probe]:
    """Yield a fitted probe for each strength, from the strongest regularisation to the weakest, with warm starts.

    Args:
        task: The task.
        features: Features, shape (N, width); standardise them first.
        labels: Ids, shape (N,), negative for unknown; multilabel: 0, 1 or NaN (unknown), shape (N, k).
        strengths: Values of C; they are fitted in ascending order.
        rotate: Whether to rotate features first; for a single small problem without large C this is slower.

    Yields:
        A probe per strength, with one output for a binary task and one per label otherwise.
    """
    labels = np.asarray(labels)
    if task.kind != "multilabel" and not (known := labels >= 0).all():
        features, labels = features[torch.from_numpy(known)], labels[known]
    objective = _Objective(task, features, labels, rotate=rotate)
    point = torch.zeros_like(objective.inverse(1.0, None))
    curvature = None
    for strength in sorted(strengths):
        inverse = objective.inverse(strength, curvature)
        point, converged = minimise(
            lambda at, strength=strength: objective(at, strength),  # type: ignore[misc]
            point,
            inverse,
            tolerance=TOLERANCE,
            steps=STEPS,
            noise=objective.noise,
        )
        curvature = objective.curvature
        yield objective.probe(point, strength, bool(converged.all()))


class _Objective:
    """The objective of a probe: mean loss, gradient, and the conversion of its parameters to a `Probe`.

    Binary tasks and labels of multilabel tasks are problems of one output each; a multinomial model is one problem.
    Parameters are the weights on principal axes with the bias as the last entry, of each output, shape (problems,
    outputs * (axes + 1)), of the labels that training rows have.

    Attributes:
        curvature: Mean derivative of each output's error by its logit, at the last point, shape (outputs,).
        noise: Relative rounding error of the objective.
    """

    def __init__(self, task: Task, features: torch.Tensor, labels: np.ndarray, *, rotate: bool) -> None:
        self.task, self.labels, self.rows = task, len(task.labels), len(features)
        self.basis: torch.Tensor | None = None
        if rotate:
            self.features, self.basis = principal(features)
        else:
            self.features = features.double()
        self.noise = 4 * torch.finfo(self.features.dtype).eps
        self.spread = self.features.double().square().mean(dim=0)
        device = features.device
        self.known: torch.Tensor | None = None
        if task.kind == "multilabel":
            truth = torch.tensor(labels, dtype=torch.float64, device=device)
            self.known, truth = (~truth.isnan()).to(self.features), truth.nan_to_num()
            self.present = torch.arange(self.labels, device=device)
        elif task.kind == "binary":
            truth = torch.tensor(labels, device=device)[:, None]
            self.present = torch.zeros(1, dtype=torch.int64, device=device)
        else:
            self.present, ids = torch.unique(torch.tensor(labels, device=device), return_inverse=True)
            truth = functional.one_hot(ids, len(self.present))
        self.truth = truth.to(self.features)
        self.outputs = len(self.present)
        self.joint = task.kind not in ("binary", "multilabel")
        self.curvature = torch.full((self.outputs,), 0.25, dtype=torch.float64, device=device)

    def __call__(self, parameters: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the objective of each problem, divided by C times the number of rows, and its gradient."""
        matrix = parameters.view(self.outputs, -1)
        weight, bias = matrix[:, :-1], matrix[:, -1]
        factors, offsets = weight.T.to(self.features), bias.to(self.features)
        loss = torch.zeros(self.outputs, dtype=torch.float64, device=matrix.device)
        gradient, curvature = torch.zeros_like(matrix), torch.zeros_like(loss)
        for start in range(0, self.rows, BLOCK):
            rows = slice(start, start + BLOCK)
            features, truth = self.features[rows], self.truth[rows]
            logits = torch.addmm(offsets, features, factors)
            if self.joint:
                logs = logits.log_softmax(dim=1)
                predicted, losses = logs.exp(), -(truth * logs)
            else:
                predicted, losses = logits.sigmoid(), functional.softplus(logits) - truth * logits
            error, variance = predicted - truth, predicted * (1 - predicted)
            if self.known is not None:
                known = self.known[rows]
                losses, error, variance = losses * known, error * known, variance * known
            loss += losses.sum(dim=0, dtype=torch.float64)
            curvature += variance.sum(dim=0, dtype=torch.float64)
            gradient[:, :-1] += error.T @ features
            gradient[:, -1] += error.sum(dim=0, dtype=torch.float64)
        self.curvature = curvature / self.rows
        scale = 1 / (strength * self.rows)
        gradient = gradient / self.rows
        gradient[:, :-1] += scale * weight
        value = loss / self.rows + 0.5 * scale * weight.square().sum(dim=1)
        return (value.sum()[None] if self.joint else value), gradient.view_as(parameters)

    def inverse(self, strength: float, curvature: torch.Tensor | None) -> torch.Tensor:
        """Return the inverse of the diagonal of the Hessian, as `minimise` takes it."""
        curvature = self.curvature if curvature is None else curvature.clamp_min(1e-6)
        spread = torch.cat([self.spread, self.spread.new_ones(1)])  # constant features have no axis at all
        scale = torch.full_like(spread, 1 / (strength * self.rows))
        scale[-1] = 0
        inverse = 1 / (curvature[:, None] * spread + scale)
        return inverse.view(1, -1) if self.joint else inverse

    def probe(self, parameters: torch.Tensor, strength: float, converged: bool) -> Probe:
        """Return parameters as a probe: of all features and all labels."""
        matrix = parameters.view(self.outputs, -1)
        weight, bias = matrix[:, :-1].T, matrix[:, -1].clone()
        weight = weight if self.basis is None else self.basis @ weight
        if self.task.kind != "binary" and self.outputs < self.labels:
            whole = torch.zeros(len(weight), self.labels, dtype=weight.dtype, device=weight.device)
            rest = torch.full((self.labels,), -torch.inf, dtype=weight.dtype, device=weight.device)
            whole[:, self.present], rest[self.present] = weight, bias
            weight, bias = whole, rest
        return Probe(strength, weight.contiguous(), bias, converged)


def principal(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotate features onto their principal axes; a regularised solution has nothing outside of them.

    Args:
        features: Shape (N, width).

    Returns:
        Rotated features, shape (N, m) with m <= min(N, width), float64, or float32 where they are large; and the axes,
        orthonormal, float64, shape (width, m).
    """
    rows, width = features.shape
    if rows < width:
        double = features.double()
        values, left = torch.linalg.eigh(double @ double.T)
        kept = values > 1e-12 * values[-1].clamp_min(1e-300)
        axes, _ = torch.linalg.qr(double.T @ (left[:, kept] / values[kept].sqrt()))
        return double @ axes, axes
    dtype = torch.float64 if features.numel() <= DOUBLE else torch.float32
    gram = torch.zeros(width, width, dtype=torch.float64, device=features.device)
    for block in torch.split(features, BLOCK):
        block = block.to(dtype)
        gram += block.T @ block
    axes = torch.linalg.eigh(gram).eigenvectors
    return torch.cat([block.to(dtype) @ axes.to(dtype) for block in torch.split(features, BLOCK)]), axes
